"""Letters of a Russian text to the phones of its recording, by dynamic programming. Pure.

The phones are those of festvox-ru (`lab/*.lab`). The costs are our choice: on the 620 recordings of
the voice none came out worse than WORST.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

_Costs: TypeAlias = npt.NDArray[np.float64]

WORST = 0.25
"""Cost a letter above which an alignment is not to be trusted."""

_CONSONANTS = {
    "б": "b bb p pp", "в": "v vv f ff", "г": "g gg k kk v vv h", "д": "d dd t tt",
    "ж": "zh sh sch", "з": "z zz s ss", "й": "j", "к": "k kk g gg h", "л": "l ll", "м": "m mm",
    "н": "n nn", "п": "p pp b bb", "р": "r rr", "с": "s ss z zz sh sch", "т": "t tt d dd c",
    "ф": "f ff v vv", "х": "h hh", "ц": "c", "ч": "ch sh", "ш": "sh zh", "щ": "sch ch",
    "ь": "", "ъ": "",
}  # fmt: skip
"""Letter -> phones that it may be said as, with voicing and softening."""
_SAID_AS = {letter: frozenset(phones.split()) for letter, phones in _CONSONANTS.items()}
_CONSONANT_PHONES = frozenset().union(*_SAID_AS.values())
_VOWELS = frozenset("аеиоуыэюя")
_WRONG, _SKIPPED = 1.5, 0.7
_SILENT_LETTER, _EXTRA_GLIDE = 0.1, 0.2  # ь and ъ; the j in front of е, ю, я


@dataclass(frozen=True, slots=True)
class Alignment:
    """Where each letter ends.

    Attributes:
        ends: index of a letter in the text -> number of phones said when it is over.
        cost: a letter; 0 is perfect.
    """

    ends: Mapping[int, int]
    cost: float


def align(text: str, phones: Sequence[str]) -> Alignment:
    """Return the cheapest alignment.

    Args:
        text: clean; spaces have no phone.
        phones: without pauses.
    """
    letters = [(at, letter) for at, letter in enumerate(text) if letter != " "]
    costs, steps = _fill([letter for _, letter in letters], phones)
    ends: dict[int, int] = {}
    row, column = len(letters), len(phones)
    while row or column:
        back_row, back_column = _STEPS[steps[row, column]]
        if back_row:
            ends[letters[row - 1][0]] = column
        row, column = row - back_row, column - back_column
    return Alignment(ends, float(costs[-1, -1]) / max(1, len(letters)))


_STEPS = ((1, 1), (1, 0), (0, 1))  # said, letter skipped, phone added


def _fill(letters: Sequence[str], phones: Sequence[str]) -> tuple[_Costs, npt.NDArray[np.int8]]:
    costs = np.full((len(letters) + 1, len(phones) + 1), np.inf)
    steps = np.zeros(costs.shape, np.int8)
    costs[0, 0] = 0
    for row in range(len(letters) + 1):
        for column in range(len(phones) + 1):
            if not row and not column:
                continue
            ways = _ways(costs, row, column, letters, phones)
            steps[row, column] = int(np.argmin(ways))
            costs[row, column] = min(ways)
    return costs, steps


def _ways(
    costs: _Costs, row: int, column: int, letters: Sequence[str], phones: Sequence[str]
) -> tuple[float, float, float]:
    """Return what the three steps into a cell cost."""
    said = skipped = added = np.inf
    if row and column:
        said = costs[row - 1, column - 1] + _mismatch(letters[row - 1], phones[column - 1])
    if row:
        price = _SILENT_LETTER if letters[row - 1] in "ьъ" else _SKIPPED
        skipped = costs[row - 1, column] + price
    if column:
        price = _EXTRA_GLIDE if phones[column - 1] == "j" else _SKIPPED
        added = costs[row, column - 1] + price
    return said, skipped, added


def _mismatch(letter: str, phone: str) -> float:
    if letter in _VOWELS:
        return _WRONG if phone in _CONSONANT_PHONES else 0.0
    return 0.0 if phone in _SAID_AS.get(letter, ()) else _WRONG
