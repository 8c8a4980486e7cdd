import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruasr_tel.engines.ctc import LogProbs
from ruasr_tel.engines.ctc_search import FLOOR_LOG_PROB, BeamSearch, Steps
from ruasr_tel.engines.phrases import OnlyThese, Preferred, fold
from tests.core.engines.test_ctc_score import all_alignments, log_prob_of

SYMBOLS = ("а", " ", "<blk>")
BLANK = 2


@st.composite
def posteriors(draw: st.DrawFn) -> LogProbs:
    """Rows whose symbols are all above the search's floor, so that it may see every alignment."""
    rows = np.array(
        draw(st.lists(st.lists(st.floats(-3, 0), min_size=3, max_size=3), min_size=1, max_size=5))
    )
    log_probs: LogProbs = rows - np.log(np.exp(rows).sum(axis=1, keepdims=True))
    return log_probs.astype(np.float32)


def truth(log_probs: LogProbs) -> dict[tuple[int, ...], float]:
    """Every text -> the log of its probability, by adding up all its alignments."""
    return {
        text: math.log(sum(math.exp(log_prob_of(log_probs, path)) for path in paths))
        for text, paths in all_alignments(log_probs).items()
    }


def bonus_of(guide: Preferred, text: str) -> float:
    state, total = guide.start, 0.0
    for letter in text:
        state, gain = guide.step(state, letter)
        total += gain
    return total + guide.finish(state)


@settings(deadline=None)
@given(log_probs=posteriors())
def test_a_wide_beam_finds_every_text_with_its_probability(log_probs: LogProbs) -> None:
    found = {one.ids: one.log_prob for one in BeamSearch(SYMBOLS, BLANK, width=1000).run(log_probs)}
    assert found == pytest.approx(truth(log_probs), abs=1e-5)


@settings(deadline=None)
@given(log_probs=posteriors())
def test_the_best_comes_first_and_a_narrow_beam_never_says_more_than_there_is(
    log_probs: LogProbs,
) -> None:
    expected = truth(log_probs)
    readings = BeamSearch(SYMBOLS, BLANK, width=3).run(log_probs)
    assert 1 <= len(readings) <= 3
    assert [one.log_prob for one in readings] == sorted(
        (one.log_prob for one in readings), reverse=True
    )
    assert all(one.log_prob <= expected[one.ids] + 1e-5 for one in readings)


@settings(deadline=None)
@given(log_probs=posteriors(), bonus=st.floats(0, 5))
def test_preferred_phrases_are_added_to_the_true_probability(
    log_probs: LogProbs, bonus: float
) -> None:
    guide = Preferred(["а", "аа а"], bonus)
    readings = BeamSearch(SYMBOLS, BLANK, guide, width=1000).run(log_probs, guide.start)
    expected = truth(log_probs)
    ranked = {
        ids: score + bonus_of(guide, "".join(SYMBOLS[i] for i in ids))
        for ids, score in expected.items()
    }
    assert {one.ids: one.log_prob + one.gain for one in readings} == pytest.approx(ranked, abs=1e-4)
    first = readings[0]
    assert first.log_prob + first.gain == pytest.approx(max(ranked.values()), abs=1e-4)


@settings(deadline=None)
@given(log_probs=posteriors(), cost=st.floats(0, 3))
def test_a_closed_list_lets_nothing_else_out(log_probs: LogProbs, cost: float) -> None:
    guide = OnlyThese(["аа", "а аа"], cost)
    readings = BeamSearch(SYMBOLS, BLANK, guide, closed=True, width=1000).run(log_probs)
    expected = truth(log_probs)
    allowed = {
        ids: score - cost * len(parts)
        for ids, score in expected.items()
        if (parts := guide.split("".join(SYMBOLS[i] for i in ids))) is not None
    }
    assert {one.ids: one.log_prob + one.gain for one in readings} == pytest.approx(
        allowed, abs=1e-4
    )


def test_a_closed_list_looks_at_symbols_below_the_floor() -> None:
    rows = np.full((3, 3), 1e-6)
    rows[:, BLANK] = 1 - 2e-6
    log_probs = np.log(rows).astype(np.float32)
    assert log_probs[0, 0] < FLOOR_LOG_PROB
    said = BeamSearch(SYMBOLS, BLANK, OnlyThese(["а"], 0.0), closed=True).run(log_probs)
    assert {one.ids for one in said} >= {(), (0,)}
    assert [one.ids for one in BeamSearch(SYMBOLS, BLANK).run(log_probs)] == [()]


def test_word_pieces_step_through_their_letters() -> None:
    symbols = (" Да", "л", " дал", "<blk>")
    rows = np.full((2, 4), 0.01)
    rows[0] = 0.4, 0.1, 0.4, 0.1
    rows[1] = 0.1, 0.6, 0.1, 0.2
    log_probs = np.log(rows / rows.sum(axis=1, keepdims=True)).astype(np.float32)
    guide = OnlyThese(["дал"], 1.0)
    letters = [fold(symbol) for symbol in symbols]
    readings = BeamSearch(letters, 3, guide, closed=True).run(log_probs)
    assert {one.ids for one in readings} >= {(0, 1), (2,)}
    assert {
        guide.split("".join(symbols[i] for i in one.ids).lower()) is None for one in readings
    } <= {False}


@settings(deadline=None, max_examples=50)
@given(segments=st.lists(posteriors(), min_size=1, max_size=3), most=st.integers(1, 12))
def test_searches_that_share_what_they_keep_find_the_same(
    segments: list[LogProbs], most: int
) -> None:
    guides = [Preferred(["а"], 1.0), Preferred(["аа а"], 2.0)]
    steps = Steps(most)
    sharing = [BeamSearch(SYMBOLS, BLANK, guide, steps=steps) for guide in guides]
    for log_probs in segments:
        for guide, search in zip(guides, sharing, strict=True):
            alone = BeamSearch(SYMBOLS, BLANK, guide)
            assert search.run(log_probs, guide.start) == alone.run(log_probs, guide.start)
            assert 0 < len(steps) <= most
