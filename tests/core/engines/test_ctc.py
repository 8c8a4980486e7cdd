from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruasr_tel.engines.base import PLAIN, Hypothesis
from ruasr_tel.engines.ctc import GreedyCtc, Posteriors, Vocabulary

LETTERS = Vocabulary.of([" ", "а", "б", "<blk>"], "<blk>")


def posteriors(best: list[int], seed: int = 0) -> Posteriors:
    """Random scores whose best symbols are `best`."""
    scores = np.random.default_rng(seed).normal(0, 1, (len(best), 4))
    for frame, symbol in enumerate(best):
        scores[frame, symbol] = scores[frame].max() + 1
    log_probs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
    return Posteriors(log_probs.astype(np.float32), 0.04)


@given(best=st.lists(st.integers(0, 3), max_size=40), seed=st.integers(0, 9))
def test_repeats_and_blanks_are_taken_out(best: list[int], seed: int) -> None:
    given = posteriors(best, seed)
    heard = GreedyCtc(LETTERS).decode(given, PLAIN)
    runs = [
        (symbol, [i for i, _ in run]) for symbol, run in groupby(enumerate(best), lambda x: x[1])
    ]
    said = [(symbol, frames) for symbol, frames in runs if symbol != 3]
    assert heard.tokens == tuple(LETTERS.symbols[symbol] for symbol, _ in said)
    assert heard.starts_s == tuple(frames[0] * 0.04 for _, frames in said)
    assert heard.log_probs == pytest.approx(
        [sum(given.log_probs[frame, symbol] for frame in frames) for symbol, frames in said],
        rel=1e-4,
    )
    assert heard.text == " ".join("".join(heard.tokens).split())


def test_nothing_but_blanks_is_empty() -> None:
    assert GreedyCtc(LETTERS).decode(posteriors([3, 3, 3]), PLAIN) == Hypothesis("", log_probs=())


def test_pieces_of_words_begin_with_a_space() -> None:
    pieces = Vocabulary.of(["<unk>", "▁да", ",", "▁", "нет", "<blk>"], "<blk>")
    assert pieces.blank == 5
    assert pieces.text([pieces.symbols[i] for i in (1, 2, 3, 4)]) == "да, нет"


def test_it_says_that_it_can_do_nothing_special() -> None:
    decoder = GreedyCtc(LETTERS)
    assert (decoder.hotwords, decoder.closed_lists, decoder.alternatives) == (False, False, 1)
