"""Error rates with confidence intervals. Pure.

Alignment by rapidfuzz, the engine inside jiwer: the counts per recording are all that is needed.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from rapidfuzz.distance import Levenshtein

from ruasr_tel.engines.phrases import words_of
from ruasr_tel.errors import ConfigError

Counts: TypeAlias = npt.NDArray[np.int64]

RESAMPLES = 2000
"""Of a bootstrap: enough for a stable second digit of a 95 % interval (our choice)."""
NORMALISATION = "lower case, ё as е, everything but letters and digits a space"
"""What is done to both texts before they are compared."""

_NUMBER = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Rate:
    """An error rate over all recordings.

    Attributes:
        errors: substituted, deleted and inserted units.
        units: words or letters said.
        low: lower end of the 95 % interval of `rate`.
        high: its upper end.
    """

    errors: int
    units: int
    low: float
    high: float

    @property
    def rate(self) -> float:
        """Errors per unit; 0 where nothing was said and nothing heard, else 1 at least."""
        if not self.units:
            return float(self.errors > 0)
        return self.errors / self.units


@dataclass(frozen=True, slots=True)
class Score:
    """How one condition went.

    Attributes:
        wer: word error rate.
        cer: letter error rate, spaces included.
        substitutions: words heard as others.
        deletions: words not heard.
        insertions: words heard that were not said.
        exact: recordings without an error.
        recordings: all of them.
    """

    wer: Rate
    cer: Rate
    substitutions: int
    deletions: int
    insertions: int
    exact: int
    recordings: int


def normalise(text: str, *, numbers_as_words: bool = False) -> str:
    """Return a text as it is compared; see NORMALISATION.

    Args:
        text: said or heard.
        numbers_as_words: digits become words in the nominative, `5` is `пять`.

    Raises:
        ConfigError: for numbers as words, num2words is not installed.
    """
    if numbers_as_words:
        text = _NUMBER.sub(lambda found: f" {_in_words(int(found.group()))} ", text)
    return words_of(text)


def _in_words(number: int) -> str:
    try:
        from num2words import num2words
    except ImportError as exc:
        raise ConfigError(
            "numbers as words need num2words: pip install 'ruasr-tel[numbers]'"
        ) from exc
    return str(num2words(number, lang="ru"))


def score(pairs: Sequence[tuple[str, str]], seed: int = 0) -> Score:
    """Return the error rates of what was said against what was heard.

    The interval is a percentile bootstrap over recordings: the words of one go wrong together.

    Args:
        pairs: said and heard, normalised, at least one.
        seed: of the resampling.
    """
    counts = np.zeros((len(pairs), 4), dtype=np.int64)  # word errors, words, letter errors, letters
    kinds = {"replace": 0, "delete": 0, "insert": 0}
    for row, (said, heard) in zip(counts, pairs, strict=True):
        said_words, heard_words = said.split(), heard.split()
        edits = Levenshtein.editops(said_words, heard_words)
        for edit in edits:
            kinds[edit.tag] += 1
        row[:] = len(edits), len(said_words), Levenshtein.distance(said, heard), len(said)
    sums = _resampled(counts, seed)
    return Score(
        wer=_rate(counts[:, 0], counts[:, 1], sums[:, 0], sums[:, 1]),
        cer=_rate(counts[:, 2], counts[:, 3], sums[:, 2], sums[:, 3]),
        substitutions=kinds["replace"],
        deletions=kinds["delete"],
        insertions=kinds["insert"],
        exact=int((counts[:, 2] == 0).sum()),
        recordings=len(pairs),
    )


def _resampled(counts: Counts, seed: int) -> Counts:
    """Return the sums of each resample, one after another: all at once are gigabytes.

    Args:
        counts: shape (n, m), n > 0.
        seed: of the resampling.

    Returns:
        shape (RESAMPLES, m).
    """
    draw = np.random.default_rng(seed)
    size = len(counts)
    times = (np.bincount(draw.integers(0, size, size), minlength=size) for _ in range(RESAMPLES))
    return np.array([each @ counts for each in times])


def _rate(
    errors: Counts,
    units: Counts,
    errors_again: Counts,
    units_again: Counts,
) -> Rate:
    rates = errors_again / np.maximum(units_again, 1)
    low, high = np.percentile(rates, [2.5, 97.5])
    return Rate(int(errors.sum()), int(units.sum()), float(low), float(high))
