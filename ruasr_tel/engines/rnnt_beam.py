"""Search of a transducer with phrases, closed lists and alternatives.

What is plain stays greedy; only a caller who asks for more pays for the search. It goes frame by
frame as the greedy one does, at most so many tokens in each (Graves 2012, "Sequence Transduction
with Recurrent Neural Networks", arXiv 1211.3711, 2.4, with frames as steps), and a text's
probability is the sum over the alignments that were kept.
"""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from heapq import nlargest
from typing import Final

import numpy as np
import numpy.typing as npt

from ruasr_tel.engines.base import DecodeOptions, Hypothesis
from ruasr_tel.engines.ctc import Vocabulary
from ruasr_tel.engines.kept import KeptLists
from ruasr_tel.engines.nearest import keep_to_list
from ruasr_tel.engines.phrases import START, Preferred, clean, fold, unspellable
from ruasr_tel.engines.rnnt import (
    MAX_TOKENS_PER_FRAME,
    GreedyRnnt,
    Heard,
    Networks,
    frame_of,
    log_softmax,
)

WIDTH: Final = 4
"""Texts kept after each frame (sherpa-onnx's max_active_paths)."""
FLOOR_LOG_PROB: Final = -12.0
"""A symbol less probable than this is not looked at in a frame. Lower than a CTC search's, for a
prediction network is surer of what follows: with preferred words 17 of 27 words that were lost in
noise stayed lost, with -8 20, at no cost that could be measured (our measurement)."""
ALTERNATIVES_MAX: Final = 4
"""No more readings than texts are kept."""


@dataclass(frozen=True, slots=True)
class Path:
    """A text in the making.

    Attributes:
        ids: its token ids.
        frames: in which each was said.
        log_probs: of each.
        total: natural log of the text's probability over the alignments that were kept.
        gain: what its phrases add.
        state: of the guide.
        heard: what the prediction network makes of it; None until it is asked.
    """

    ids: tuple[int, ...]
    frames: tuple[int, ...]
    log_probs: tuple[float, ...]
    total: float
    gain: float
    state: int
    heard: Heard | None

    @property
    def rank(self) -> float:
        """What paths are compared by."""
        return self.total + self.gain


class RnntSearch:
    """Finds the most probable texts of an encoder's output.

    Args:
        networks: of the transducer.
        vocabulary: of the joiner.
        max_tokens_per_frame: after so many the search goes on to the next frame.
        width: texts kept after each frame.
        floor: natural log probability below which a symbol is not looked at.
    """

    def __init__(
        self,
        networks: Networks,
        vocabulary: Vocabulary,
        max_tokens_per_frame: int = MAX_TOKENS_PER_FRAME,
        width: int = WIDTH,
        floor: float = FLOOR_LOG_PROB,
    ) -> None:
        self._networks = networks
        self._vocabulary = vocabulary
        self._letters = [fold(symbol) for symbol in vocabulary.symbols]
        self._most = max_tokens_per_frame
        self._width = width
        self._floor = floor

    def run(self, encoded: npt.NDArray[np.float32], guide: Preferred | None = None) -> list[Path]:
        """Return the texts that were kept to the end, best first.

        Args:
            encoded: the encoder's output of one segment, shape (size, frames).
            guide: what phrases add.
        """
        start = START if guide is None else guide.start
        beam = [Path((), (), (), 0.0, 0.0, start, self._networks.start())]
        for number in range(encoded.shape[1]):
            beam = self._frame(beam, number, frame_of(encoded, number), guide)
        if guide is not None:
            beam = [replace(path, gain=path.gain + guide.finish(path.state)) for path in beam]
        return sorted(beam, key=lambda path: path.rank, reverse=True)

    def _frame(
        self,
        beam: list[Path],
        number: int,
        frame: npt.NDArray[np.float32],
        guide: Preferred | None,
    ) -> list[Path]:
        """Return the paths after one frame."""
        done: dict[tuple[int, ...], Path] = {}
        going = beam
        for _ in range(self._most):
            longer: dict[tuple[int, ...], Path] = {}
            for path in going:
                assert path.heard is not None
                log_probs = log_softmax(self._networks.scores(frame, path.heard))
                silent = float(log_probs[self._vocabulary.blank])
                _merge(done, replace(path, total=path.total + silent))
                for said in self._said(path, log_probs, number, guide):
                    _merge(longer, said)
            going = [self._listened(path) for path in self._kept(longer)]
        for path in going:  # the frame has no room for more, nor for a blank
            _merge(done, path)
        return self._kept(done)

    def _kept(self, paths: dict[tuple[int, ...], Path]) -> list[Path]:
        """Return the best paths, and the most probable one in any case.

        A long phrase that begins to come true lends more than anything else can have; where it
        then does not, only a path without it still knows what was said.
        """
        best = nlargest(self._width, paths.values(), key=lambda path: path.rank)
        likely = max(paths.values(), key=lambda path: path.total, default=None)
        return best if likely is None or likely in best else [*best, likely]

    def _said(
        self,
        path: Path,
        log_probs: npt.NDArray[np.float64],
        number: int,
        guide: Preferred | None,
    ) -> Iterable[Path]:
        """Yield the path with each token that is probable enough; `heard` is still the old one."""
        for token in np.flatnonzero(log_probs > self._floor).tolist():
            if token == self._vocabulary.blank:
                continue
            state, gain = path.state, path.gain
            for letter in self._letters[token] if guide is not None else "":
                assert guide is not None
                state, more = guide.step(state, letter)
                gain += more
            log_prob = float(log_probs[token])
            yield Path(
                (*path.ids, token),
                (*path.frames, number),
                (*path.log_probs, log_prob),
                path.total + log_prob,
                gain,
                state,
                path.heard,
            )

    def _listened(self, path: Path) -> Path:
        """Return a path that `_said` made, with its last token heard."""
        assert path.heard is not None
        return replace(path, heard=self._networks.after(path.ids[-1], path.heard))


class BeamRnnt:
    """Decodes a transducer by what a caller asks for; thread-safe.

    A closed list is the nearest phrases to what was heard with a preference for them, as with
    sherpa-onnx's transducers.

    Args:
        networks: of the transducer.
        vocabulary: of the joiner.
        max_tokens_per_frame: after so many the search goes on to the next frame.
    """

    hotwords = True
    closed_lists = True
    alternatives = ALTERNATIVES_MAX

    def __init__(
        self,
        networks: Networks,
        vocabulary: Vocabulary,
        max_tokens_per_frame: int = MAX_TOKENS_PER_FRAME,
    ) -> None:
        self._vocabulary = vocabulary
        self._greedy = GreedyRnnt(networks, vocabulary, max_tokens_per_frame)
        self._search = RnntSearch(networks, vocabulary, max_tokens_per_frame)
        self._guides = KeptLists(self._compile)

    def decode(
        self, encoded: npt.NDArray[np.float32], frame_s: float, options: DecodeOptions
    ) -> Hypothesis:
        """Return what was said, by what `options` ask for.

        Args:
            encoded: the encoder's output of one segment, shape (size, frames).
            frame_s: seconds from one frame to the next.
            options: what is asked for; a phrase with a letter that the model does not have is left
                out, which is said on stderr, once.
        """
        if not options.phrases and options.alternatives == 1:
            return self._greedy.decode(encoded, frame_s)
        found: dict[str, Hypothesis] = {}
        for path in self._search.run(encoded, self._guides.get(options)):
            hypothesis = self._hypothesis(path, frame_s)
            found.setdefault(hypothesis.text, hypothesis)
        best, *others = found.values()
        if options.closed and options.phrases:
            return keep_to_list(best, options)
        return replace(best, alternatives=tuple(others[: options.alternatives - 1]))

    def _hypothesis(self, path: Path, frame_s: float) -> Hypothesis:
        tokens = tuple(self._vocabulary.symbols[index] for index in path.ids)
        return Hypothesis(
            text=self._vocabulary.text(tokens),
            tokens=tokens,
            starts_s=tuple(frame * frame_s for frame in path.frames),
            log_probs=path.log_probs,
            score=path.rank,
        )

    def _compile(self, options: DecodeOptions) -> Preferred | None:
        phrases = clean(options.phrases)
        blank = self._vocabulary.blank
        symbols = [one for i, one in enumerate(self._vocabulary.symbols) if i != blank]
        for phrase in unspellable(phrases, symbols):
            written = phrases.pop(phrase)
            sys.stderr.write(f"phrase left out, the model has not all its letters: {written}\n")
        return Preferred(phrases, options.boost / _letters(symbols)) if phrases else None


def _letters(symbols: Sequence[str]) -> float:
    """Return how many letters a token has on average."""
    counted = [length for one in symbols if (length := len(fold(one).strip()))] or [1]
    return sum(counted) / len(counted)


def _merge(paths: dict[tuple[int, ...], Path], path: Path) -> None:
    """Add a path; the same text by another alignment is one with it, timed as the likelier."""
    known = paths.get(path.ids)
    if known is None:
        paths[path.ids] = path
        return
    better = known if known.total >= path.total else path
    total = float(np.logaddexp(known.total, path.total))
    paths[path.ids] = replace(better, total=total)
