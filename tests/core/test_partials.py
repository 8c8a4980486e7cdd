"""When partials are decoded, at 1000 samples a second so that samples are milliseconds."""

import asyncio

import numpy as np
import pytest

from ruasr_tel.partials import Partials, PartialsConfig
from ruasr_tel.scheduler import Job, Priority

RATE_HZ = 1000


def make(**settings: int | bool) -> Partials:
    return Partials(PartialsConfig.model_validate(settings), RATE_HZ)


@pytest.fixture
async def job() -> Job:
    job = Job(np.zeros(1, np.int16), RATE_HZ, Priority.PARTIAL)
    job.result = asyncio.get_running_loop().create_future()
    return job


def first_due(partials: Partials, after: int) -> int:
    return next(now for now in range(after, after + 100_000) if partials.due(now))


async def test_two_early_decodes_then_the_interval(job: Job) -> None:
    partials = make(first_ms=300, interval_ms=600)
    partials.begin(1000)
    at = 1000
    steps = []
    for _ in range(4):
        now = first_due(partials, at)
        steps.append(now - at)
        partials.sent(job, now)
        partials.came_back(job, 0.01)
        at = now
    assert steps == [300, 300, 600, 600]


async def test_the_interval_grows_to_three_times_the_turnaround(job: Job) -> None:
    partials = make(first_ms=100, interval_ms=600)
    partials.begin(0)
    partials.sent(job, 100)
    partials.came_back(job, 0.5)
    partials.sent(job, 200)
    partials.came_back(job, 0.0)
    assert first_due(partials, 200) == 200 + 3 * 500
    partials.sent(job, 1700)
    assert not partials.due(99_999)
    partials.came_back(job, 0.0)
    assert first_due(partials, 1700) == 1700 + 600


async def test_one_decode_at_a_time(job: Job) -> None:
    partials = make()
    partials.begin(0)
    partials.sent(job, 300)
    assert not partials.due(10_000)
    partials.came_back(job, 0.01)
    assert partials.due(10_000)


async def test_without_room_it_is_tried_again_soon_until_a_text_is_shown_then_after_an_interval(
    job: Job,
) -> None:
    partials = make(first_ms=300, interval_ms=600)
    partials.begin(0)
    assert partials.is_first
    partials.skip(300)
    assert first_due(partials, 0) == 600
    for now in (600, 900):
        assert partials.is_first
        partials.sent(job, now)
        partials.came_back(job, 1.0)
    assert not partials.is_first
    partials.skip(1500)
    assert first_due(partials, 0) == 1500 + 3 * 1000
    partials.begin(5000)
    assert partials.is_first
    partials.skip(5300)  # how long decodes of the segment before took says nothing of short ones
    assert first_due(partials, 5000) == 5600


async def test_a_stopped_segment_has_no_more_but_the_next_one_has() -> None:
    partials = make(first_ms=300)
    partials.begin(0)
    partials.stop()
    assert not partials.due(1_000_000)
    partials.begin(1000)
    assert first_due(partials, 0) == 1300


async def test_a_new_segment_cancels_the_decode_of_the_one_before(job: Job) -> None:
    partials = make()
    partials.begin(0)
    agreement = partials.sent(job, 300)
    assert not partials.is_stale(agreement)
    partials.begin(1000)
    assert job.result.cancelled()
    assert partials.is_stale(agreement)
    assert not partials.due(1299)
    assert partials.due(1300)
    partials.came_back(job, 9.0)  # too late to count
    partials.sent(job, 1300)
    partials.came_back(job, 0.0)
    assert first_due(partials, 1300) == 1600


def test_switched_off_there_are_none() -> None:
    partials = make(enabled=False)
    partials.begin(0)
    assert not partials.due(1_000_000)
    partials.cancel()  # nothing to cancel
