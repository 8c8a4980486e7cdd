"""The map that words say: it always rises, and makes confidences true."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruasr_tel.accuracy.fit import Judged, calibration_error, fit, held_out, judge, mapped
from ruasr_tel.events import Word

WORDS = st.lists(st.builds(Judged, st.floats(0, 1), st.booleans()), min_size=1)


def overconfident(count: int) -> list[Judged]:
    """Words that are right as often as their confidence squared."""
    random = np.random.default_rng(0)
    sure = random.uniform(0, 1, count)
    return [Judged(float(one), bool(random.random() < one * one)) for one in sure]


def word(text: str, confidence: float | None = 0.5) -> Word:
    return Word(text, 0.0, 0.0, confidence)


def test_words_are_right_where_they_were_said() -> None:
    heard = [word("Алло,", 0.9), word("да"), word("иван-пётр", 0.2), word("нет", None), word("—")]
    assert judge("алло иван петр да", heard) == [
        Judged(0.9, True),
        Judged(0.5, False),
        Judged(0.2, True),
    ]
    assert judge("иван", [word("иван-пётр")]) == [Judged(0.5, False)]
    assert judge("да", []) == []


def test_an_error_is_how_far_confidence_is_from_the_share_of_right_words() -> None:
    assert calibration_error([Judged(0.95, True)] * 3 + [Judged(0.95, False)]) == pytest.approx(0.2)
    far = [Judged(1.0, False), Judged(0.0, True)]
    assert calibration_error(far) == 1.0


def test_the_map_makes_confidences_true() -> None:
    words = overconfident(3000)
    assert calibration_error(words) > 0.15
    assert calibration_error(mapped(words, fit(words))) < 0.03
    recordings = [words[begin : begin + 10] for begin in range(0, 3000, 10)]
    checked = held_out(recordings)
    assert len(checked) == 3000
    assert calibration_error(checked) < 0.05


@given(words=WORDS, knots=st.integers(1, 8))
def test_the_map_of_any_words_rises(words: list[Judged], knots: int) -> None:
    found = fit(words, knots)  # a map that does not rise is a ConfigError
    assert 1 <= len(found.knots) <= knots
    shares = [share for _, share in found.knots]
    assert all(0 <= found.confidence(word.confidence) <= 1 for word in words)
    assert min(shares) <= sum(word.right for word in words) / len(words) + 1e-3
    assert max(shares) >= sum(word.right for word in words) / len(words) - 1e-3
