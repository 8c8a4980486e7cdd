"""Phrase lists that were made ready for a search, kept for the next segment. Pure."""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Final, Generic, TypeVar

from ruasr_tel.engines.base import PLAIN, DecodeOptions

T = TypeVar("T")

KEPT_PHRASES: Final = 20_000
"""Phrases of all lists that are kept together: two of the longest that a caller may bring. 10,000
phrases of two words take 40 MB, of four 90 MB; closed for a CTC search twice that (our
measurement)."""


class KeptLists(Generic[T]):
    """What a search makes of phrase lists; all go when another has no room beside them.

    Thread-safe: a list that two threads want at once may be made twice.

    Args:
        make: makes the list of some options ready; number of alternatives and patience are the same
            for all of them, for they change nothing in it.
        most: phrases of all lists that are kept; a list without any counts as one.
    """

    def __init__(self, make: Callable[[DecodeOptions], T], most: int = KEPT_PHRASES) -> None:
        self._make = make
        self._most = most
        self._lists: dict[DecodeOptions, T] = {}

    def get(self, options: DecodeOptions) -> T:
        """Return the list of these options, made ready now if it is not kept."""
        asked = replace(options, alternatives=PLAIN.alternatives, patient=PLAIN.patient)
        with suppress(KeyError):
            return self._lists[asked]
        kept = sum(map(_room, tuple(self._lists)))
        if kept + _room(asked) > self._most:
            self._lists.clear()
        made = self._lists[asked] = self._make(asked)
        return made


def _room(options: DecodeOptions) -> int:
    """Return how many phrases a list counts as: without any it is kept, too."""
    return max(1, len(options.phrases))
