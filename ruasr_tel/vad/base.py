"""What every voice activity detector offers, and how it is configured."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import Field

from ruasr_tel.section import Section
from ruasr_tel.types import Waveform

VAD_RATE_HZ = 8000
"""Rate of what detectors hear: the telephone's own."""

WINDOW_SAMPLES = 256
"""One window, 32 ms at 8 kHz: what Silero takes at this rate (silero-vad utils_vad.py)."""

Probabilities: TypeAlias = npt.NDArray[np.float32]
"""Probability of speech in 0..1, float32, shape (k,): one per window."""


class VadConfig(Section):
    """Voice activity detection; where to cut by it is in the profiles."""

    engine: Literal["silero", "energy"] = "silero"
    """`silero`: a small neural network. `energy`: loudness only, no model file, for quiet lines."""
    model: Path | None = None
    """Silero's ONNX file; unset: the one that comes with ruasr_tel."""
    tick_ms: int = Field(32, ge=1, le=500)
    """How often the waiting windows of all legs are scored in one batch; 32 is one window. From 16
    legs on half as often."""


class VadState:
    """What a detector remembers of one leg; only the detector that made it looks inside."""

    __slots__ = ()


class Vad(Protocol):
    """A voice activity detector, shared by all legs; blocking, one call at a time."""

    def new_state(self) -> VadState:
        """Return the memory of a leg that has not been heard yet."""
        ...

    def score(self, work: Sequence[tuple[VadState, Waveform]]) -> list[Probabilities]:
        """Return the speech probabilities of each leg's next windows and advance its state.

        Args:
            work: per leg its state and float32 windows, shape (k, 256) at 8 kHz, k >= 0, in
                order; no state occurs twice.

        Returns:
            one array of shape (k,) per leg, in the order of `work`.
        """
        ...
