"""A growing line of samples whose beginning can be forgotten; positions are absolute."""

import numpy as np

from ruasr_tel.types import Samples


class Tape:
    """Samples in memory, from one position of the line to its end.

    Args:
        capacity: samples that it holds before it has to grow.

    Attributes:
        start: position of the first sample that is held.
        end: one past the newest.
    """

    def __init__(self, capacity: int) -> None:
        self._store = np.zeros(capacity, np.int16)
        self._head = 0  # where `start` lies in the store
        self.start = 0
        self.end = 0

    def append(self, samples: Samples) -> None:
        """Add samples, int16, shape (n,)."""
        used = self._head + self.end - self.start
        if used + len(samples) > len(self._store):
            self._make_room(len(samples))
            used = self.end - self.start
        self._store[used : used + len(samples)] = samples
        self.end += len(samples)

    def copy(self, start: int, end: int) -> Samples:
        """Return a copy of [start, end), which must be held."""
        offset = self._head - self.start
        return self._store[start + offset : end + offset].copy()

    def forget(self, before: int) -> None:
        """Hold nothing any more from before a position."""
        self._head += before - self.start
        self.start = before

    def _make_room(self, more: int) -> None:
        """Move what is held to the front; twice the need, so that a copy is paid for once."""
        held = self.copy(self.start, self.end)
        if 2 * (len(held) + more) > len(self._store):
            self._store = np.zeros(2 * (len(held) + more), np.int16)
        self._store[: len(held)] = held
        self._head = 0
