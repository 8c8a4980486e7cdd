"""Voice activity by loudness over an adapting noise floor: no model file, for quiet lines."""

from collections.abc import Sequence

import numpy as np

from ruasr_tel.types import Waveform
from ruasr_tel.vad.base import WINDOW_SAMPLES, Probabilities, VadState

_QUIETEST_DB = -70.0
"""Levels are not taken for lower: the smallest step of A-law is 72 dB below full scale (G.711)."""

_FIRST_FLOOR_DB = -60.0
"""Noise floor of a leg not heard yet: above an idle line (-70 dB), below quiet speech (-45 dB)."""

_RISE_DB = 0.1
"""Rise of the floor per window, 3 dB a second: speech pauses before it is taken for noise."""

_FALL = 0.5
"""Part of the way down per window: the floor reaches a quieter line within five windows."""

_MARGIN_DB = 12.0
"""Level above the floor at which speech and noise are equally likely."""

_SLOPE_DB = 3.0
"""Level over the margin that raises the odds by e."""


class EnergyState(VadState):
    """One leg's noise floor."""

    __slots__ = ("floor_db",)

    def __init__(self) -> None:
        self.floor_db = _FIRST_FLOOR_DB


class EnergyVad:
    """Compares each window's level with the leg's noise floor, in dB of full scale."""

    def new_state(self) -> EnergyState:
        """Return the memory of a leg that has not been heard yet."""
        return EnergyState()

    def score(self, work: Sequence[tuple[VadState, Waveform]]) -> list[Probabilities]:
        """Return the speech probabilities of each leg's next windows; see `Vad.score`."""
        return [_score(state, windows) for state, windows in work]


def _score(state: VadState, windows: Waveform) -> Probabilities:
    """Return the probabilities of one leg's windows, shape (k,)."""
    assert isinstance(state, EnergyState), "a state of another detector"
    power = np.einsum("ij,ij->i", windows, windows) / WINDOW_SAMPLES
    levels_db = np.maximum(10 * np.log10(np.maximum(power, 1e-10)), _QUIETEST_DB)
    above_db = np.empty(len(windows), np.float32)
    for index, level_db in enumerate(levels_db.tolist()):
        if level_db < state.floor_db:
            state.floor_db += _FALL * (level_db - state.floor_db)
        else:
            state.floor_db = min(state.floor_db + _RISE_DB, level_db)
        above_db[index] = level_db - state.floor_db
    probabilities: Probabilities = 1 / (1 + np.exp((_MARGIN_DB - above_db) / _SLOPE_DB))
    return probabilities
