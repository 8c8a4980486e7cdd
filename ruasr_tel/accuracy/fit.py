"""Fits the map from a model's probabilities to shares of right words. Pure.

What it gives goes into the catalogue (`calibration`); engines/calibration.py applies it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz.distance import Levenshtein

from ruasr_tel.accuracy.score import normalise
from ruasr_tel.engines.calibration import Calibration
from ruasr_tel.events import Word

KNOTS = 6
"""Points of the map: each then stands on some hundred words of a list of prompts (our choice)."""
BINS = 10
"""Of the expected calibration error, equally wide (Guo et al. 2017, "On Calibration of Modern
Neural Networks", 2)."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One word that was heard.

    Attributes:
        confidence: of the model, 0..1.
        right: whether it was said there.
    """

    confidence: float
    right: bool


def judge(said: str, heard: Sequence[Word]) -> list[Judged]:
    """Return the heard words that have a confidence, each with whether it is right.

    Args:
        said: the true text.
        heard: in order.
    """
    owners = [(index, part) for index, word in enumerate(heard) for part in _parts(word)]
    wrong: set[int] = set()
    parts = [part for _, part in owners]
    for step in Levenshtein.opcodes(parts, normalise(said).split()):
        if step.tag != "equal":
            wrong |= {owners[at][0] for at in range(step.src_start, step.src_end)}
    return [
        Judged(word.confidence, index not in wrong)
        for index, word in enumerate(heard)
        if word.confidence is not None and _parts(word)
    ]


def fit(words: Sequence[Judged], knots: int = KNOTS) -> Calibration:
    """Return the map that these words say: groups of equal size by confidence, made to rise.

    Args:
        words: at least one.
        knots: groups.
    """
    ordered = sorted(words, key=lambda word: word.confidence)
    groups = [group for group in np.array_split(np.arange(len(ordered)), knots) if len(group)]
    pools: list[tuple[float, float, int]] = []  # sums of confidence and of right words, words
    for group in groups:
        some = [ordered[index] for index in group]
        pools.append((sum(w.confidence for w in some), sum(w.right for w in some), len(some)))
        while len(pools) > 1 and not _rises(pools[-2], pools[-1]):
            last, before = pools.pop(), pools.pop()
            pools.append((last[0] + before[0], last[1] + before[1], last[2] + before[2]))
    return Calibration(
        tuple((round(sure / count, 3), round(right / count, 3)) for sure, right, count in pools)
    )


def calibration_error(words: Sequence[Judged]) -> float:
    """Return the expected calibration error: how far confidences are from shares, on average.

    Args:
        words: at least one.
    """
    bins = [min(int(word.confidence * BINS), BINS - 1) for word in words]
    error = 0.0
    for number in set(bins):
        some = [word for word, its in zip(words, bins, strict=True) if its == number]
        error += abs(sum(word.confidence - word.right for word in some))
    return error / len(words)


def mapped(words: Sequence[Judged], calibration: Calibration) -> list[Judged]:
    """Return the words with calibrated confidences."""
    return [Judged(calibration.confidence(word.confidence), word.right) for word in words]


def held_out(recordings: Sequence[Sequence[Judged]], knots: int = KNOTS) -> list[Judged]:
    """Return the words calibrated by a map of the other half of the recordings.

    Args:
        recordings: their words; both halves, every other one, must have some.
        knots: of each map.
    """
    halves = [[word for one in recordings[begin::2] for word in one] for begin in (0, 1)]
    return [
        word for half, other in (halves, halves[::-1]) for word in mapped(half, fit(other, knots))
    ]


def _parts(word: Word) -> list[str]:
    return normalise(word.text).split()


def _rises(lower: tuple[float, float, int], upper: tuple[float, float, int]) -> bool:
    """Return whether a map may go through both pools, also when its points are rounded."""
    means = [(round(sure / count, 3), right / count) for sure, right, count in (lower, upper)]
    return means[0][0] < means[1][0] and means[0][1] <= means[1][1]
