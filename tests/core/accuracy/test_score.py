import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruasr_tel.accuracy.score import RESAMPLES, normalise, score
from ruasr_tel.errors import ConfigError
from tests.core.engines.prompts import letter_errors

TEXTS = st.lists(st.sampled_from(["да", "нет", "раз", "два"]), max_size=5).map(" ".join)


@settings(deadline=None, max_examples=30)
@given(pairs=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5))
def test_letters_and_kinds_add_up(pairs: list[tuple[str, str]]) -> None:
    found = score(pairs)
    assert found.cer.errors == sum(letter_errors(heard, said) for said, heard in pairs)
    assert found.cer.units == sum(len(said) for said, _ in pairs)
    assert found.wer.units == sum(len(said.split()) for said, _ in pairs)
    assert found.wer.errors == found.substitutions + found.deletions + found.insertions
    assert found.exact == sum(said == heard for said, heard in pairs)


def test_each_kind_of_error() -> None:
    found = score([("раз два три", "раз три три"), ("да", ""), ("нет", "нет нет да")])
    assert (found.substitutions, found.deletions, found.insertions) == (1, 1, 2)
    assert found.wer.rate == pytest.approx(4 / 5)
    assert (found.exact, found.recordings) == (0, 3)


def test_the_interval_holds_the_rate_and_shrinks_with_more_recordings() -> None:
    few = score([("да нет", "да нет"), ("да нет", "да")] * 5).wer
    many = score([("да нет", "да нет"), ("да нет", "да")] * 500).wer
    assert few.rate == many.rate == 0.25
    assert few.low < many.low < 0.25 < many.high < few.high
    sure = score([("да", "да")] * 10).wer
    assert (sure.rate, sure.low, sure.high) == (0.0, 0.0, 0.0)


def test_each_resample_is_drawn_and_summed_as_if_all_were_there_at_once() -> None:
    wrong = [0, 1, 0, 2, 1, 0, 3]
    pairs = [("да нет раз два", " ".join(["да", "нет", "раз", "два"][n:])) for n in wrong]
    picks = np.random.default_rng(5).integers(0, len(wrong), (RESAMPLES, len(wrong)))
    rates = np.array(wrong)[picks].sum(axis=1) / (4 * len(wrong))
    found = score(pairs, seed=5).wer
    assert (found.low, found.high) == pytest.approx(tuple(np.percentile(rates, [2.5, 97.5])))


def test_many_recordings_take_little_memory() -> None:
    pairs = [("да нет", "да")] * 2000
    tracemalloc.start()
    try:
        score(pairs)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 4e6  # all resamples together have 2000 × 2000 numbers


def test_nothing_said_is_right_only_if_nothing_was_heard() -> None:
    assert score([("", "")]).wer.rate == 0.0
    assert score([("", "да")]).wer.rate == 1.0


def test_texts_are_compared_as_models_write_them() -> None:
    assert normalise("  Ещё… РАЗ, «АТС-5»!") == "еще раз атс 5"
    assert normalise("Доб. 21", numbers_as_words=True) == "доб двадцать один"
    assert normalise("в5", numbers_as_words=True) == "в пять"


def test_without_num2words_the_cure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "num2words", None)
    with pytest.raises(ConfigError, match=r"pip install 'ruasr-tel\[numbers\]'"):
        normalise("5", numbers_as_words=True)
