from hypothesis import given
from hypothesis import strategies as st

from ruasr_tel.pace import DecodeRate, TokenBucket

STEPS = st.lists(st.tuples(st.floats(0.0, 10.0), st.floats(0.0, 5.0)), max_size=60)


def test_a_new_bucket_is_full() -> None:
    bucket = TokenBucket(rate=1.0, capacity=2.0)
    assert bucket.allows(0.0)
    bucket.charge(1.5)
    assert bucket.allows(0.0)
    bucket.charge(0.5)
    assert not bucket.allows(0.0)


def test_a_bucket_fills_with_time_up_to_its_capacity() -> None:
    bucket = TokenBucket(rate=0.5, capacity=2.0)
    assert bucket.allows(0.0)
    bucket.charge(3.0)
    assert not bucket.allows(1.9)
    assert bucket.allows(2.1)
    assert bucket.allows(1000.0)
    bucket.charge(2.0)
    assert not bucket.allows(1000.0)


def test_a_bucket_owes_no_more_than_its_capacity() -> None:
    bucket = TokenBucket(rate=1.0, capacity=2.0)
    assert bucket.allows(0.0)
    bucket.charge(3600.0)
    assert not bucket.allows(2.0)
    assert bucket.allows(2.1)


def test_in_debt_half_of_what_can_be_owed_is_allowed() -> None:
    bucket = TokenBucket(rate=1.0, capacity=2.0)
    bucket.charge(2.5)
    assert not bucket.allows(0.0)
    assert bucket.allows(0.0, in_debt=True)
    bucket.charge(0.5)
    assert not bucket.allows(0.0, in_debt=True)
    assert bucket.allows(0.1, in_debt=True)


def test_a_share_of_nothing_allows_nothing() -> None:
    assert not TokenBucket(rate=0.0, capacity=0.0).allows(0.0)
    assert not TokenBucket(rate=0.0, capacity=0.0).allows(0.0, in_debt=True)


@given(steps=STEPS)
def test_what_is_used_stays_within_the_share(steps: list[tuple[float, float]]) -> None:
    rate, capacity = 0.4, 2.0
    bucket = TokenBucket(rate, capacity)
    now_s, used, largest = 0.0, 0.0, 0.0
    for pause_s, cost in steps:
        now_s += pause_s
        if bucket.allows(now_s):
            cost = min(cost, capacity)
            bucket.charge(cost)
            used += cost
            largest = max(largest, cost)
    assert used <= rate * now_s + capacity + largest + 1e-6


def test_the_decode_rate_is_zero_before_the_first_decode() -> None:
    assert DecodeRate().value == 0.0


def test_the_decode_rate_counts_long_decodes_more() -> None:
    rate = DecodeRate()
    rate.add(busy_s=1.0, audio_s=10.0)
    assert rate.value == 0.1
    rate.add(busy_s=0.1, audio_s=0.1)
    assert rate.value == 1.0 / 9.1


def test_the_decode_rate_forgets() -> None:
    rate = DecodeRate()
    rate.add(busy_s=50.0, audio_s=1.0)
    for _ in range(200):
        rate.add(busy_s=0.1, audio_s=1.0)
    assert abs(rate.value - 0.1) < 1e-6


def test_pieces_of_streams_count_as_a_decode_once_they_are_as_long_as_one() -> None:
    rate = DecodeRate()
    rate.add(busy_s=1.0, audio_s=10.0)
    for _ in range(9):
        rate.add_streamed(busy_s=0.25, audio_s=0.5)
    assert rate.value == 0.1
    rate.add_streamed(busy_s=0.25, audio_s=0.5)
    assert rate.value == (0.9 + 2.5) / (9.0 + 5.0)
    rate.add_streamed(busy_s=100.0, audio_s=0.1)
    assert rate.value == (0.9 + 2.5) / (9.0 + 5.0)
