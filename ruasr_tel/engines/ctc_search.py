"""Prefix beam search over a CTC network's posteriors, led by phrases. Pure.

The search of Hannun et al., "First-pass large vocabulary continuous speech recognition using
bi-directional recurrent DNNs" (arXiv 1408.2873), algorithm 1: a prefix's probability is the sum
over its alignments. Why not a library's, and the figures behind the numbers: docs/adr/0015.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest
from typing import Final

import numpy as np

from ruasr_tel.engines.ctc import LogProbs
from ruasr_tel.engines.phrases import START, Guide

WIDTH: Final = 8
"""Prefixes kept: 50 change the CER of 125 prompts by 0.1 points and cost seven times as much."""
LED_WIDTH: Final = 16
"""Prefixes kept where language models lead: 8 lose words before their ends (3 points of WER), 32
cost twice as much for half a point (docs/adr/0027)."""
KEPT_STEPS: Final = 200_000
"""What guides said that is kept for later: 55 MB at most (our measurement)."""
FLOOR_LOG_PROB: Final = -8.0
"""A symbol less probable than this is not looked at in a frame, unless a list is closed."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One text that the search ended with.

    Attributes:
        ids: its token ids.
        log_prob: natural log of its probability, over the alignments that the beam kept.
        gain: what its phrases add.
    """

    ids: tuple[int, ...]
    log_prob: float
    gain: float


class _Prefix:
    """A text in the making; equal texts are one object."""

    __slots__ = ("children", "gain", "parent", "state", "token")

    def __init__(self, parent: "_Prefix | None", token: int, state: int, gain: float) -> None:
        self.parent = parent
        self.token = token
        self.state = state
        self.gain = gain
        self.children: dict[int, _Prefix | None] = {}

    def ids(self) -> tuple[int, ...]:
        found: list[int] = []
        node = self
        while node.parent is not None:
            found.append(node.token)
            node = node.parent
        return tuple(reversed(found))


class Steps:
    """What guides said, kept for later by all searches that share this; when full, all of it goes.

    Thread-safe: threads that fill it at once may each keep one more.

    Args:
        most: answers that are kept.
    """

    def __init__(self, most: int = KEPT_STEPS) -> None:
        self._most = most
        self._searches = itertools.count()
        self.known: dict[tuple[int, int, int], tuple[int, float] | None] = {}

    def __len__(self) -> int:
        """Return how many answers are kept."""
        return len(self.known)

    def number(self) -> int:
        """Return what the keys of one more search begin with."""
        return next(self._searches)

    def with_room(self) -> dict[tuple[int, int, int], tuple[int, float] | None]:
        """Return what is known, where one more answer may be put."""
        if len(self.known) >= self._most:
            self.known = {}  # not cleared: other threads look into it
        return self.known


class BeamSearch:
    """Searches with one guide; keeps what the guide said, so use it for many segments.

    Args:
        letters: what each of the network's symbols spells, folded; a word begins with a space.
        blank: id of the blank.
        guide: what phrases add and allow, or None.
        closed: whether the guide allows little: then every symbol it allows is looked at.
        width: prefixes kept after each frame.
        steps: where what the guide said is kept; None: alone.
    """

    def __init__(
        self,
        letters: Sequence[str],
        blank: int,
        guide: Guide | None = None,
        *,
        closed: bool = False,
        width: int = WIDTH,
        steps: Steps | None = None,
    ) -> None:
        self._letters = letters
        self._blank = blank
        self._guide = guide
        self._closed = closed
        self._width = width
        self._steps = Steps() if steps is None else steps
        self._number = self._steps.number()
        self._allowed: dict[int, list[int]] = {}

    def run(self, log_probs: LogProbs, start: int = START) -> list[Reading]:
        """Return what the segment may say, best first; empty if the guide allows nothing of it.

        Args:
            log_probs: shape (frames, symbols).
            start: the guide's state before the first letter.
        """
        beam: dict[_Prefix, tuple[float, float]] = {_Prefix(None, -1, start, 0.0): (1.0, 0.0)}
        scale = 0.0
        probs = np.exp(log_probs.astype(np.float64))
        for row_log, row in zip(log_probs, probs, strict=True):
            looked_at = [
                i for i in np.flatnonzero(row_log > FLOOR_LOG_PROB).tolist() if i != self._blank
            ]
            beam = self._advance(beam, row.tolist(), looked_at)
            best = max(sum(mass) for mass in beam.values())
            if best <= 0.0:
                return []
            scale += math.log(best)
            beam = {prefix: (b / best, n / best) for prefix, (b, n) in beam.items()}
        readings = [
            Reading(prefix.ids(), math.log(b + n) + scale, prefix.gain + end)
            for prefix, (b, n) in beam.items()
            if b + n > 0.0 and (end := self._finish(prefix.state)) is not None
        ]
        return sorted(readings, key=lambda one: one.log_prob + one.gain, reverse=True)

    def _advance(
        self,
        beam: dict[_Prefix, tuple[float, float]],
        row: Sequence[float],
        looked_at: Sequence[int],
    ) -> dict[_Prefix, tuple[float, float]]:
        """Return the beam after one frame: prefix -> mass that ends in blank, and in its token."""
        masses: dict[_Prefix, list[float]] = {}
        for prefix, (in_blank, in_token) in beam.items():
            total = in_blank + in_token
            mine = masses.setdefault(prefix, [0.0, 0.0])
            mine[0] += total * row[self._blank]
            if prefix.token >= 0:
                mine[1] += in_token * row[prefix.token]
            for token in self._tokens_after(prefix.state) if self._closed else looked_at:
                mass = (in_blank if token == prefix.token else total) * row[token]
                child = self._child(prefix, token) if mass > 0.0 else None
                if child is not None:
                    masses.setdefault(child, [0.0, 0.0])[1] += mass
        kept = nlargest(self._width, masses.items(), key=_rank)
        return {prefix: (mass[0], mass[1]) for prefix, mass in kept}

    def _child(self, prefix: _Prefix, token: int) -> _Prefix | None:
        try:
            return prefix.children[token]
        except KeyError:
            step = self._step(prefix.state, token)
            child = None if step is None else _Prefix(prefix, token, step[0], prefix.gain + step[1])
            prefix.children[token] = child
            return child

    def _step(self, state: int, token: int) -> tuple[int, float] | None:
        """Return the guide's state after all letters of a token and what they gain."""
        if self._guide is None:
            return START, 0.0
        key = self._number, state, token
        known = self._steps.known
        if key not in known:
            known = self._steps.with_room()
            known[key] = self._ask(self._guide, state, token)
        return known[key]

    def _ask(self, guide: Guide, state: int, token: int) -> tuple[int, float] | None:
        gain = 0.0
        for letter in self._letters[token]:
            step = guide.step(state, letter)
            if step is None:
                return None
            state, gain = step[0], gain + step[1]
        return state, gain

    def _tokens_after(self, state: int) -> list[int]:
        if state not in self._allowed:
            self._allowed[state] = [
                token
                for token in range(len(self._letters))
                if token != self._blank and self._step(state, token) is not None
            ]
        return self._allowed[state]

    def _finish(self, state: int) -> float | None:
        return 0.0 if self._guide is None else self._guide.finish(state)


def _rank(item: tuple[_Prefix, list[float]]) -> float:
    mass = item[1][0] + item[1][1]
    return math.log(mass) + item[0].gain if mass > 0.0 else -math.inf
