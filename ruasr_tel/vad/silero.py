"""Silero VAD at 8 kHz by onnxruntime: forward only, each window once, all legs in one batch.

The model's interface is that of silero-vad's own `OnnxWrapper` (utils_vad.py): inputs `input`,
float32 (legs, 32 samples of context + 256), `state`, float32 (2, legs, 128), and `sr`; outputs
`output`, float32 (legs, 1), and `stateN`.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from ruasr_tel.errors import ModelLoadError
from ruasr_tel.types import Waveform
from ruasr_tel.vad.base import VAD_RATE_HZ, WINDOW_SAMPLES, Probabilities, VadState

_CONTEXT_SAMPLES = 32
"""Samples before the window that the model sees again at 8 kHz (silero-vad utils_vad.py)."""

_HIDDEN = 128
"""Width of the model's recurrent state."""

_RATE = np.array(VAD_RATE_HZ, np.int64)
_INPUTS = {"input", "sr", "state"}
_CURE = "reinstall ruasr_tel, or take the file from the silero-vad wheel on PyPI"


class SileroState(VadState):
    """One leg's recurrent state and last samples: 1152 bytes."""

    __slots__ = ("context", "hidden")

    def __init__(self) -> None:
        self.hidden: Waveform = np.zeros((2, _HIDDEN), np.float32)
        self.context: Waveform = np.zeros(_CONTEXT_SAMPLES, np.float32)


class SileroVad:
    """The loaded model.

    Measured on one core of an AMD EPYC Milan with onnxruntime 1.32: 90 us a window alone, 35 us
    in a batch of 16, 32 us in a batch of 64; with 32 ms between the runs, when the caches are cold,
    450 us alone and 48 us in a batch of 50.

    Args:
        model: the ONNX file, such as models/silero-vad/silero_vad_op18_ifless.onnx.

    Raises:
        ModelLoadError: the file is missing or not this model; names it and the cure.
    """

    def __init__(self, model: Path) -> None:
        if not model.is_file():
            raise ModelLoadError(f"VAD model {model} is missing; {_CURE}")
        try:
            self._session = onnxruntime.InferenceSession(
                model, _session_options(), providers=["CPUExecutionProvider"]
            )
            inputs = {node.name for node in self._session.get_inputs()}
            if inputs != _INPUTS:
                raise ValueError(f"its inputs are {sorted(inputs)}")
            silence = self.score([(self.new_state(), np.zeros((1, WINDOW_SAMPLES), np.float32))])
            if not 0 <= silence[0][0] <= 0.5:
                raise ValueError(f"it hears speech in silence, {silence[0][0]:.2f}")
        except Exception as exc:  # onnxruntime's errors have no common base
            reason = str(exc).partition("\n")[0]
            raise ModelLoadError(f"VAD model {model} is not Silero's ({reason}); {_CURE}") from exc

    def new_state(self) -> SileroState:
        """Return the memory of a leg that has not been heard yet."""
        return SileroState()

    def score(self, work: Sequence[tuple[VadState, Waveform]]) -> list[Probabilities]:
        """Return the speech probabilities of each leg's next windows; see `Vad.score`.

        Turn t scores window t of every leg that has so many, in one inference.
        """
        answers: list[Probabilities] = [np.zeros(0, np.float32)] * len(work)
        # Most windows first: the legs that still have some are then always those in front.
        order = sorted(range(len(work)), key=lambda index: -len(work[index][1]))
        windows = [work[index][1] for index in order]
        batch = _Batch([work[index][0] for index in order])
        scored = np.empty((len(work), max(map(len, windows), default=0)), np.float32)
        for turn in range(scored.shape[1]):
            active = [leg[turn] for leg in windows if turn < len(leg)]
            scored[: len(active), turn] = batch.infer(self._session, active)
        batch.save()
        for index, row, leg in zip(order, scored, windows, strict=True):
            answers[index] = row[: len(leg)]
        return answers


class _Batch:
    """The states of some legs side by side, as the model takes them."""

    def __init__(self, states: Sequence[VadState]) -> None:
        self._states = [state for state in states if isinstance(state, SileroState)]
        assert len(self._states) == len(states), "a state of another detector"
        self._hidden = np.zeros((2, len(states), _HIDDEN), np.float32)
        self._heard = np.zeros((len(states), _CONTEXT_SAMPLES + WINDOW_SAMPLES), np.float32)
        for leg, state in enumerate(self._states):
            self._hidden[:, leg] = state.hidden
            self._heard[leg, :_CONTEXT_SAMPLES] = state.context

    def infer(self, session: onnxruntime.InferenceSession, windows: list[Waveform]) -> Waveform:
        """Return the probabilities, shape (len(windows),), of one window of each leg in front."""
        legs = len(windows)
        heard, hidden = self._heard[:legs], self._hidden[:, :legs]
        np.stack(windows, out=heard[:, _CONTEXT_SAMPLES:])
        probabilities, hidden[:] = session.run(
            ("output", "stateN"),
            {"input": heard, "state": np.ascontiguousarray(hidden), "sr": _RATE},
        )
        heard[:, :_CONTEXT_SAMPLES] = heard[:, -_CONTEXT_SAMPLES:]
        column: Waveform = probabilities[:, 0]
        return column

    def save(self) -> None:
        """Write the states back."""
        for leg, state in enumerate(self._states):
            state.hidden[:] = self._hidden[:, leg]
            state.context[:] = self._heard[leg, :_CONTEXT_SAMPLES]


def _session_options() -> onnxruntime.SessionOptions:
    """One thread that does not spin: the tick has a thread of its own."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options
