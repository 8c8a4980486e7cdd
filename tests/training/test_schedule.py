import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.training.schedule import Schedule, decay

PLAN = Schedule(highest_rate=1.0, warm_steps=10, flat=0.5)


def test_the_rate_rises_stays_and_falls() -> None:
    assert [PLAN.rate(0.0, step) for step in (0, 4, 9, 99)] == [0.1, 0.5, 1.0, 1.0]
    assert PLAN.rate(0.75, 99) == pytest.approx(0.505)
    assert PLAN.rate(1.0, 99) == pytest.approx(0.005)


@given(st.floats(0.5, 1.5), st.floats(0.5, 1.5))
@settings(deadline=None)
def test_in_the_end_it_only_falls(one: float, other: float) -> None:
    early, late = sorted([one, other])
    assert PLAN.rate(early, 50) >= PLAN.rate(late, 50) > 0


@given(st.floats(0, 1))
@settings(deadline=None)
def test_the_changes_grow_within_their_bounds(progress: float) -> None:
    wish = PLAN.wish(progress)
    assert PLAN.first_strength <= wish.strength <= PLAN.last_strength + 1e-9
    assert wish.longest_s in (PLAN.short_s, PLAN.longest_s)


def test_it_begins_short_and_weak_and_ends_long_and_strong() -> None:
    first, last = PLAN.wish(0.0), PLAN.wish(1.0)
    assert (first.strength, first.longest_s) == (PLAN.first_strength, PLAN.short_s)
    assert (last.strength, last.longest_s) == (PLAN.last_strength, PLAN.longest_s)


def test_the_average_follows_fast_at_first() -> None:
    assert decay(0, 0.998) == 0.1
    assert decay(10**6, 0.998) == 0.998
