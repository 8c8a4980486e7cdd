"""Which jobs have no room, and when."""

import pytest

from ruasr_tel.errors import Overloaded
from ruasr_tel.jobs import JobQueue, SchedulerConfig
from ruasr_tel.work import Work
from tests.core.jobs_kit import BULK, CONFIG, FINAL, FIRST, PARTIAL, answer, submit, take, work


def test_finals_are_never_refused() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=1)
    submit(queue, *(work() for _ in range(500)))
    assert queue.waiting(FINAL) == 500
    assert queue.pending_audio_s == 500.0


def test_partials_are_refused_while_finals_wait() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=1)
    submit(queue, work(), work(), work(PARTIAL), work())
    with pytest.raises(Overloaded, match=r"^3 finals wait$"):
        queue.submit(work(PARTIAL), 0.0)
    assert queue.refused == {FINAL: 0, FIRST: 0, PARTIAL: 1, BULK: 0}


def test_partials_are_refused_while_partials_wait() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=1)
    submit(queue, *(work(PARTIAL) for _ in range(3)))
    with pytest.raises(Overloaded, match=r"^3 partials wait$"):
        queue.submit(work(PARTIAL), 0.0)


def test_partials_are_refused_when_they_used_their_share_of_the_engine() -> None:
    config = SchedulerConfig(partial_share=0.5, partial_window_s=4.0)
    queue: JobQueue[Work] = JobQueue(config, slots=2)  # one engine second per second, at most 4
    submit(queue, work(PARTIAL))
    answer(queue, take(queue), busy_s=5.0)
    with pytest.raises(Overloaded, match=r"^partials had 50% of the engine's time$"):
        queue.submit(work(PARTIAL), 0.9)
    submit(queue, work(PARTIAL), now_s=1.1)
    assert queue.busy_s == {FINAL: 0.0, FIRST: 0.0, PARTIAL: 5.0, BULK: 0.0}


def test_a_segment_s_first_partials_go_before_later_ones_and_on_when_those_had_the_share() -> None:
    config = SchedulerConfig(partial_share=0.5, partial_window_s=4.0, partial_queue=2)
    queue: JobQueue[Work] = JobQueue(config, slots=2)  # one engine second per second, at most 4
    later, first = work(PARTIAL, deadline_s=0.0), work(FIRST)
    submit(queue, later, first)
    taken = take(queue)
    assert taken.jobs == [first]
    answer(queue, taken, busy_s=2.0)
    answer(queue, take(queue), busy_s=3.0)  # one second is owed
    with pytest.raises(Overloaded, match=r"^partials had 50% of the engine's time$"):
        queue.submit(work(PARTIAL), 0.0)
    submit(queue, work(FIRST))
    answer(queue, take(queue), busy_s=1.0)  # two: half of what can be
    with pytest.raises(Overloaded, match=r"^partials had 50% of the engine's time$"):
        queue.submit(work(FIRST), 0.0)
    submit(queue, work(FIRST), work(FIRST), now_s=0.1)
    with pytest.raises(Overloaded, match=r"^2 partials wait$"):
        queue.submit(work(FIRST), 0.1)
    submit(queue, work(FINAL), work(FINAL), work(FINAL), now_s=0.1)
    with pytest.raises(Overloaded, match=r"^3 finals wait$"):
        queue.submit(work(FIRST), 0.1)
    assert queue.refused == {FINAL: 0, FIRST: 3, PARTIAL: 1, BULK: 0}


def test_finals_and_bulk_use_none_of_the_share_of_partials() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=1)
    submit(queue, work(FINAL), work(BULK))
    answer(queue, take(queue), busy_s=1000.0)
    queue.failed(take(queue), "no", busy_s=1000.0, now_s=0.0)
    submit(queue, work(PARTIAL))
    assert queue.busy_s == {FINAL: 1000.0, FIRST: 0.0, PARTIAL: 0.0, BULK: 1000.0}


def test_no_recording_begins_while_as_many_segments_wait_as_may_and_none_is_refused() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=1)
    submit(queue, work(BULK), work(BULK))
    queue.admit_bulk()
    submit(queue, work(BULK))
    with pytest.raises(Overloaded, match=r"^3 segments of recordings wait, the limit \(sched"):
        queue.admit_bulk()
    assert queue.refused[BULK] == 1
    submit(queue, work(BULK))  # of one that began before
