"""From a CTC network's posteriors to text. Pure: this is where a decoder of one's own goes in.

An engine that runs a CTC network itself (engines/onnx.py) hands each segment's `Posteriors` and the
caller's `DecodeOptions` to a `CtcDecoder`; what that can do (hotwords, closed lists, alternatives)
becomes what the engine says it can do (`EngineInfo`). `GreedyCtc` is the plain one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from ruasr_tel.engines.base import DecodeOptions, Hypothesis

LogProbs: TypeAlias = npt.NDArray[np.float32]
"""Natural log probabilities, float32, shape (frames, symbols)."""


@dataclass(frozen=True, slots=True)
class Posteriors:
    """What a CTC network heard in one segment.

    Attributes:
        log_probs: shape (frames, symbols); every row sums to 1 after exp.
        frame_s: seconds from one frame to the next; frame 0 begins with the segment.
    """

    log_probs: LogProbs
    frame_s: float


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """A network's output symbols by id.

    Attributes:
        symbols: as they are put together to a text: a word begins with a space, where the model's
            list has `▁` or a space.
        blank: id of the blank.
    """

    symbols: tuple[str, ...]
    blank: int

    @classmethod
    def of(cls, symbols: Sequence[str], blank: str) -> "Vocabulary":
        """Return the vocabulary of a token list.

        Args:
            symbols: as in tokens.txt, in the order of their ids.
            blank: the blank's name among them.
        """
        return cls(tuple(each.replace("▁", " ") for each in symbols), list(symbols).index(blank))

    def text(self, tokens: Sequence[str]) -> str:
        """Return tokens put together, words separated by single spaces."""
        return " ".join("".join(tokens).split())


class CtcDecoder(Protocol):
    """Turns posteriors into text. Thread-safe; blocking."""

    @property
    def hotwords(self) -> bool:
        """Whether it can prefer phrases."""
        ...

    @property
    def closed_lists(self) -> bool:
        """Whether it can keep to a closed list of phrases."""
        ...

    @property
    def alternatives(self) -> int:
        """The most readings it gives."""
        ...

    @property
    def lm(self) -> str:
        """The language models that it uses unless asked for others; empty without."""
        ...

    def is_plain(self, options: DecodeOptions) -> bool:
        """Return whether all that is asked for is the best symbol of every frame."""
        ...

    def decode(self, posteriors: Posteriors, options: DecodeOptions) -> Hypothesis:
        """Return what was said; leaves out of `options` what it cannot do."""
        ...


class GreedyCtc:
    """Takes the best symbol of every frame.

    A token's log probability is the sum over its frames, as onnx-asr has it.

    Args:
        vocabulary: of the network.
    """

    hotwords = False
    closed_lists = False
    alternatives = 1
    lm = ""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary

    def is_plain(self, options: DecodeOptions) -> bool:
        """Return True: it does nothing else."""
        return True

    def decode(self, posteriors: Posteriors, options: DecodeOptions) -> Hypothesis:
        """Return the text of the best symbols, repeats and blanks taken out."""
        log_probs = posteriors.log_probs
        blank = self._vocabulary.blank
        best = log_probs.argmax(axis=1)
        spoken = best != blank
        begins = np.flatnonzero(spoken & (np.diff(best, prepend=blank) != 0))
        if not len(begins):
            return Hypothesis("", log_probs=())
        level = np.where(spoken, np.take_along_axis(log_probs, best[:, None], axis=1)[:, 0], 0.0)
        tokens = tuple(self._vocabulary.symbols[index] for index in best[begins])
        return Hypothesis(
            text=self._vocabulary.text(tokens),
            tokens=tokens,
            starts_s=tuple((begins * posteriors.frame_s).tolist()),
            log_probs=tuple(np.add.reduceat(level, begins).tolist()),
        )
