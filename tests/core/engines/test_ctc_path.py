import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruasr_tel.engines.base import PLAIN, Hypothesis
from ruasr_tel.engines.ctc import GreedyCtc, LogProbs, Posteriors, Vocabulary
from ruasr_tel.engines.ctc_path import GreedyPath

VOCABULARY = Vocabulary(("а", "б", " ", "<blk>"), blank=3)
FRAME_S = 0.25


def frames(symbols: list[int], seed: int = 0) -> LogProbs:
    """Log probabilities in which these symbols are the best ones."""
    scores = np.random.default_rng(seed).uniform(0, 1, (len(symbols), 4))
    scores[np.arange(len(symbols)), symbols] = 1.5
    log_probs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return np.asarray(log_probs, dtype=np.float32)


@given(
    symbols=st.lists(st.integers(0, 3), max_size=40),
    cuts=st.lists(st.integers(0, 40), max_size=5),
)
def test_any_portions_give_what_the_whole_gives(symbols: list[int], cuts: list[int]) -> None:
    heard = frames(symbols)
    path = GreedyPath(VOCABULARY)
    for portion in np.split(heard, sorted(min(cut, len(symbols)) for cut in cuts)):
        path.push(portion)
    whole = GreedyCtc(VOCABULARY).decode(Posteriors(heard, FRAME_S), PLAIN)
    said = path.hypothesis(FRAME_S)
    assert (said.text, said.tokens, said.starts_s) == (whole.text, whole.tokens, whole.starts_s)
    assert said.log_probs == pytest.approx(whole.log_probs, abs=1e-5)


def test_a_blank_between_equal_symbols_makes_them_two() -> None:
    path = GreedyPath(VOCABULARY)
    path.push(frames([0, 0, 3, 0]))
    path.push(frames([0, 2, 1]))
    said = path.hypothesis(FRAME_S)
    assert (said.text, said.tokens) == ("аа б", ("а", "а", " ", "б"))
    assert said.starts_s == (0.0, 0.75, 1.25, 1.5)


def test_nothing_heard_is_empty() -> None:
    assert GreedyPath(VOCABULARY).hypothesis(FRAME_S) == Hypothesis("", log_probs=())
