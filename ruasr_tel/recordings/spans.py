"""Stretches of time on one time line: joined, measured, compared. Pure."""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import TypeAlias

Span: TypeAlias = tuple[float, float]
"""[start, end) in seconds."""


class Spans:
    """Disjoint stretches of time, ordered.

    Args:
        spans: in any order; what touches or overlaps becomes one.
    """

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        self._spans: list[Span] = []
        for start_s, end_s in sorted(spans):
            if self._spans and start_s <= self._spans[-1][1]:
                start_s, before_s = self._spans.pop()
                end_s = max(end_s, before_s)
            self._spans.append((start_s, end_s))
        self._starts = [start_s for start_s, _ in self._spans]

    @property
    def spans(self) -> Sequence[Span]:
        """The stretches, disjoint, ordered."""
        return self._spans

    @property
    def length_s(self) -> float:
        """Seconds in all stretches together."""
        return sum(end_s - start_s for start_s, end_s in self._spans)

    def clipped(self, end_s: float) -> "Spans":
        """Return what lies in [0, end_s)."""
        return Spans((max(0.0, start), min(end_s, end)) for start, end in self.touching(0.0, end_s))

    def touching(self, start_s: float, end_s: float) -> list[Span]:
        """Return the stretches that share time with [start_s, end_s), whole."""
        first = max(0, bisect_right(self._starts, start_s) - 1)
        last = bisect_right(self._starts, end_s)
        return [span for span in self._spans[first:last] if span[1] > start_s and span[0] < end_s]

    def within(self, start_s: float, end_s: float) -> float:
        """Return how many seconds of [start_s, end_s) lie in the stretches."""
        return sum(
            min(end_s, end) - max(start_s, start) for start, end in self.touching(start_s, end_s)
        )

    def common_s(self, others: "Spans") -> float:
        """Return how many seconds lie in both."""
        if not self._spans:
            return 0.0
        near = others.touching(self._spans[0][0], self._spans[-1][1])
        return sum(self.within(start_s, end_s) for start_s, end_s in near)
