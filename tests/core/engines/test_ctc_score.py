import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruasr_tel.engines.ctc import LogProbs
from ruasr_tel.engines.ctc_score import align, log_probabilities

SYMBOLS, BLANK = 3, 2


@st.composite
def posteriors(draw: st.DrawFn, frames: int = 5) -> LogProbs:
    """Rows of three probabilities that sum to 1, some of them tiny."""
    count = draw(st.integers(1, frames))
    weights = draw(
        st.lists(
            st.lists(st.floats(-12, 0), min_size=SYMBOLS, max_size=SYMBOLS),
            min_size=count,
            max_size=count,
        )
    )
    rows = np.array(weights)
    log_probs: LogProbs = rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))
    return log_probs.astype(np.float32)


def collapse(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(
        token for i, token in enumerate(path) if token != BLANK and (i == 0 or path[i - 1] != token)
    )


def all_alignments(log_probs: LogProbs) -> dict[tuple[int, ...], list[tuple[int, ...]]]:
    """Every text that a segment can say -> every alignment of it."""
    found: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for path in itertools.product(range(SYMBOLS), repeat=len(log_probs)):
        found.setdefault(collapse(path), []).append(path)
    return found


def log_prob_of(log_probs: LogProbs, path: tuple[int, ...]) -> float:
    return sum(float(row[symbol]) for row, symbol in zip(log_probs, path, strict=True))


@settings(deadline=None)
@given(log_probs=posteriors())
def test_a_text_has_the_probability_of_all_its_alignments(log_probs: LogProbs) -> None:
    texts = all_alignments(log_probs)
    scores = log_probabilities(log_probs, list(texts), BLANK)
    for score, paths in zip(scores, texts.values(), strict=True):
        expected = math.log(sum(math.exp(log_prob_of(log_probs, path)) for path in paths))
        assert score == pytest.approx(expected, abs=1e-6)
    assert np.exp(scores).sum() == pytest.approx(1.0, abs=1e-5)


@settings(deadline=None)
@given(log_probs=posteriors())
def test_an_alignment_is_the_best_of_all(log_probs: LogProbs) -> None:
    for text, paths in all_alignments(log_probs).items():
        found = align(log_probs, text, BLANK)
        assert len(found.starts) == len(found.log_probs) == len(text)
        assert list(found.starts) == sorted(set(found.starts))
        bounds = [*found.starts, len(log_probs)]
        # The blanks between the tokens are not in the tokens' sums: put the best ones back.
        candidates = [path for path in paths if starts_of(path) == found.starts or not found.starts]
        best = max(log_prob_of(log_probs, path) for path in paths)
        assert max(log_prob_of(log_probs, path) for path in candidates) == pytest.approx(best)
        assert all(begin < end for begin, end in itertools.pairwise(bounds))
        assert sum(found.log_probs) >= best - 1e-5


def starts_of(path: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(
        i for i, token in enumerate(path) if token != BLANK and (i == 0 or path[i - 1] != token)
    )


def test_a_text_longer_than_the_audio_is_impossible() -> None:
    log_probs = np.log(np.full((2, SYMBOLS), 1 / 3, dtype=np.float32))
    scores = log_probabilities(log_probs, [(0, 1, 0), (0, 0), (0, 1)], BLANK)
    assert scores[0] == scores[1] == -math.inf
    assert scores[2] == pytest.approx(math.log(1 / 9))
    with pytest.raises(ValueError, match="2 tokens do not fit into 2 frames"):
        align(log_probs, (0, 0), BLANK)


def test_a_long_segment_does_not_vanish() -> None:
    """25 s at 40 ms: a product of 625 probabilities of 1e-3 is far below the smallest double."""
    rows = np.full((625, SYMBOLS), 1e-3)
    rows[:, BLANK] = 1 - 2e-3
    log_probs = np.log(rows).astype(np.float32)
    (score,) = log_probabilities(log_probs, [(0, 1) * 300], BLANK)
    assert -5000 < score < -300
    (empty,) = log_probabilities(log_probs, [()], BLANK)
    assert empty == pytest.approx(625 * math.log(1 - 2e-3), rel=1e-4)
