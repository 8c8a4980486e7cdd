"""Greedy search of a transducer in GigaAM's two layouts: GigaAM's own export and sherpa-onnx's.

They differ in names, in the integer type of tokens, in an unused length, and in the order of the
prediction's axes (sherpa-onnx scripts/nemo/GigaAM/export-onnx-rnnt-v3.py, gigaam's decoder.py), so
ports are found by their kind and not by name.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ruasr_tel.engines.base import Hypothesis
from ruasr_tel.engines.ctc import Vocabulary

MAX_TOKENS_PER_FRAME = 3
"""gigaam's onnx_utils.py, MAX_LETTERS_PER_FRAME; onnx-asr's max_tokens_per_step."""

_INTEGERS = {"tensor(int32)": np.int32, "tensor(int64)": np.int64}


class PredictionNetwork:
    """The part that hears the tokens so far: an LSTM.

    Args:
        session: with a token (1, 1), perhaps its length (1,), and two float states as inputs, in
            this order; the prediction first and the states last among its outputs.
    """

    def __init__(self, session: Any) -> None:
        self._session = session
        ports = session.get_inputs()
        integers = [port for port in ports if port.type in _INTEGERS]
        states = [port for port in ports if port.type not in _INTEGERS]
        self._token, self._token_type = integers[0].name, _INTEGERS[integers[0].type]
        self._constants = {
            port.name: np.ones(1, dtype=_INTEGERS[port.type]) for port in integers[1:]
        }
        self._states = [port.name for port in states]
        self._zeros = [_zeros(port.shape) for port in states]

    def start(self) -> list[npt.NDArray[np.float32]]:
        """Return the states before the first token."""
        return self._zeros

    def step(
        self, token: int, states: Sequence[npt.NDArray[np.float32]]
    ) -> tuple[npt.NDArray[np.float32], list[npt.NDArray[np.float32]]]:
        """Return the prediction after `token`, shape (1, size, 1), and the new states."""
        feed = dict(zip(self._states, states, strict=True))
        given = {self._token: np.array([[token]], dtype=self._token_type)}
        outputs = self._session.run(None, {**given, **self._constants, **feed})
        return outputs[0].reshape(1, -1, 1), outputs[-len(self._states) :]


class GreedyRnnt:
    """Takes the best symbol at every step.

    Args:
        decoder: onnxruntime session of the prediction network.
        joiner: onnxruntime session that takes an encoder frame (1, n, 1) and a prediction
            (1, m, 1) and gives one score per symbol.
        vocabulary: of the joiner.
        max_tokens_per_frame: after so many the search goes on to the next frame.
    """

    def __init__(
        self,
        decoder: Any,
        joiner: Any,
        vocabulary: Vocabulary,
        max_tokens_per_frame: int = MAX_TOKENS_PER_FRAME,
    ) -> None:
        self._prediction = PredictionNetwork(decoder)
        self._joiner = joiner
        self._ports = [port.name for port in joiner.get_inputs()]
        self._vocabulary = vocabulary
        self._most = max_tokens_per_frame

    def decode(self, encoded: npt.NDArray[np.float32], frame_s: float) -> Hypothesis:
        """Return what was said.

        Args:
            encoded: the encoder's output of one segment, shape (size, frames).
            frame_s: seconds from one frame to the next.
        """
        blank = self._vocabulary.blank
        prediction, states = self._prediction.step(blank, self._prediction.start())
        ids: list[int] = []
        frames: list[int] = []
        log_probs: list[float] = []
        for frame in range(encoded.shape[1]):
            heard = np.ascontiguousarray(encoded[None, :, frame : frame + 1])
            for _ in range(self._most):
                scores = self._joiner.run(
                    None, dict(zip(self._ports, (heard, prediction), strict=True))
                )[0].reshape(-1)
                best = int(scores.argmax())
                if best == blank:
                    break
                ids.append(best)
                frames.append(frame)
                log_probs.append(_log_probability(scores, best))
                prediction, states = self._prediction.step(best, states)
        tokens = tuple(self._vocabulary.symbols[index] for index in ids)
        return Hypothesis(
            text=self._vocabulary.text(tokens),
            tokens=tokens,
            starts_s=tuple(frame * frame_s for frame in frames),
            log_probs=tuple(log_probs),
        )


def _zeros(shape: Sequence[int | str | None]) -> npt.NDArray[np.float32]:
    """Return zeros; lengths that are free (the batch) are 1."""
    return np.zeros([size if isinstance(size, int) else 1 for size in shape], dtype=np.float32)


def _log_probability(scores: npt.NDArray[np.float32], index: int) -> float:
    """Return the log softmax at `index`; GigaAM's joiner has applied it already."""
    highest = float(scores.max())
    return float(scores[index]) - highest - float(np.log(np.exp(scores - highest).sum()))
