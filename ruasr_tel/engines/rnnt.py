"""A transducer and its greedy search, in GigaAM's own export and in sherpa-onnx's.

They differ in names, in the integer type of tokens, in an unused length, and in the order of the
prediction's axes (sherpa-onnx scripts/nemo/GigaAM/export-onnx-rnnt-v3.py, gigaam's decoder.py), so
ports are found by their kind and not by name.
"""

from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Heard:
    """What the prediction network makes of the tokens so far.

    Attributes:
        prediction: shape (1, size, 1).
        states: of the network.
    """

    prediction: npt.NDArray[np.float32]
    states: Sequence[npt.NDArray[np.float32]]


class Networks:
    """The two small networks of a transducer, which a search asks.

    Args:
        decoder: onnxruntime session of the prediction network.
        joiner: onnxruntime session that takes an encoder frame (1, n, 1) and a prediction
            (1, m, 1) and gives one score per symbol.
        blank: id of the blank.
    """

    def __init__(self, decoder: Any, joiner: Any, blank: int) -> None:
        self._prediction = PredictionNetwork(decoder)
        self._joiner = joiner
        self._ports = [port.name for port in joiner.get_inputs()]
        self._blank = blank

    def start(self) -> Heard:
        """Return what is made of no tokens."""
        return Heard(*self._prediction.step(self._blank, self._prediction.start()))

    def after(self, token: int, heard: Heard) -> Heard:
        """Return what is made of one more token."""
        return Heard(*self._prediction.step(token, heard.states))

    def scores(self, frame: npt.NDArray[np.float32], heard: Heard) -> npt.NDArray[np.float32]:
        """Return one score per symbol, shape (symbols,).

        Args:
            frame: of the encoder, shape (1, size, 1).
            heard: the tokens before it.
        """
        feed = dict(zip(self._ports, (frame, heard.prediction), strict=True))
        scores: npt.NDArray[np.float32] = self._joiner.run(None, feed)[0].reshape(-1)
        return scores


class GreedyRnnt:
    """Takes the best symbol at every step.

    Args:
        networks: of the transducer.
        vocabulary: of the joiner.
        max_tokens_per_frame: after so many the search goes on to the next frame.
    """

    def __init__(
        self,
        networks: Networks,
        vocabulary: Vocabulary,
        max_tokens_per_frame: int = MAX_TOKENS_PER_FRAME,
    ) -> None:
        self._networks = networks
        self._vocabulary = vocabulary
        self._most = max_tokens_per_frame

    def decode(self, encoded: npt.NDArray[np.float32], frame_s: float) -> Hypothesis:
        """Return what was said.

        Args:
            encoded: the encoder's output of one segment, shape (size, frames).
            frame_s: seconds from one frame to the next.
        """
        blank = self._vocabulary.blank
        heard = self._networks.start()
        ids: list[int] = []
        frames: list[int] = []
        log_probs: list[float] = []
        for number in range(encoded.shape[1]):
            frame = frame_of(encoded, number)
            for _ in range(self._most):
                scores = self._networks.scores(frame, heard)
                best = int(scores.argmax())
                if best == blank:
                    break
                ids.append(best)
                frames.append(number)
                log_probs.append(float(log_softmax(scores)[best]))
                heard = self._networks.after(best, heard)
        tokens = tuple(self._vocabulary.symbols[index] for index in ids)
        return Hypothesis(
            text=self._vocabulary.text(tokens),
            tokens=tokens,
            starts_s=tuple(frame * frame_s for frame in frames),
            log_probs=tuple(log_probs),
        )


def frame_of(encoded: npt.NDArray[np.float32], number: int) -> npt.NDArray[np.float32]:
    """Return one frame of an encoder's output (size, frames), shape (1, size, 1)."""
    return np.ascontiguousarray(encoded[None, :, number : number + 1])


def log_softmax(scores: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return natural log probabilities; GigaAM's joiner has applied it already."""
    above = scores.astype(np.float64) - float(scores.max())
    result: npt.NDArray[np.float64] = above - np.log(np.exp(above).sum())
    return result


def _zeros(shape: Sequence[int | str | None]) -> npt.NDArray[np.float32]:
    """Return zeros; lengths that are free (the batch) are 1."""
    return np.zeros([size if isinstance(size, int) else 1 for size in shape], dtype=np.float32)
