from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.training import spoken
from models.training.russian import clean

MONTHS = ("мая", "июня")


def date(rng: Random) -> str:
    return spoken.date(rng, MONTHS)


MAKERS = (spoken.number, spoken.code, spoken.phone, spoken.day, date, spoken.time_of_day,
          spoken.money)  # fmt: skip


@pytest.mark.parametrize("make", MAKERS)
@given(seed=st.integers(0, 2**32))
@settings(deadline=None)
def test_the_same_seed_says_the_same_clean_words(make: Callable[[Random], str], seed: int) -> None:
    said = make(Random(seed))
    assert said == make(Random(seed))
    assert said
    assert said == clean(said)


@given(seed=st.integers(0, 2**32), count=st.integers(1, 12))
@settings(deadline=None)
def test_digits_are_said_one_by_one(seed: int, count: int) -> None:
    assert len(spoken.digits(Random(seed), count).split()) == count


def test_a_group_keeps_its_leading_zeros() -> None:
    said = {spoken.groups(Random(seed), [2]) for seed in range(2000)}
    assert {"ноль семь", "ноль ноль", "семь семь", "семьдесят семь"} <= said
    assert "семь" not in said


def test_money_and_time_agree_with_their_nouns() -> None:
    sums = {spoken.money(Random(seed)) for seed in range(3000)}
    assert any(said.endswith("одна копейка") for said in sums)
    assert not any(said.endswith("один копейка") for said in sums)
    times = {spoken.time_of_day(Random(seed)) for seed in range(3000)}
    assert {"двенадцать часов ровно", "один час ровно", "ноль часов пять минут"} <= times
