import numpy as np

from ruasr_tel.engines.base import Hypothesis
from ruasr_tel.jobs import LIVE_S, JobQueue
from ruasr_tel.work import Work
from tests.core.jobs_kit import (
    BULK,
    CONFIG,
    FINAL,
    PARTIAL,
    answer,
    order,
    reason,
    said,
    submit,
    take,
    work,
)


def test_finals_go_before_partials_before_bulk() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=1)
    jobs = [work(BULK), work(PARTIAL), work(FINAL), work(BULK), work(PARTIAL), work(FINAL)]
    submit(queue, *jobs)
    assert order(queue) == [jobs[i] for i in (2, 5, 1, 4, 0, 3)]


def test_finals_go_by_deadline_and_equals_in_order_of_submission() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=1)
    late, soon = work(deadline_s=5.0), work(deadline_s=1.0)
    first, second = work(deadline_s=3.0), work(deadline_s=3.0)
    submit(queue, late, first, soon, second)
    assert order(queue) == [soon, first, second, late]


def test_a_final_without_a_deadline_is_due_after_a_second() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=1)
    without, before, after = work(), work(deadline_s=0.9), work(deadline_s=1.1)
    submit(queue, after, without, before)
    assert order(queue) == [before, without, after]


def test_no_more_batches_run_than_there_are_slots() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=2)
    submit(queue, work(), work(), work())
    first = take(queue)
    take(queue)
    assert queue.take() is None
    assert queue.running == 2
    answer(queue, first)
    take(queue)


def test_one_of_several_slots_is_kept_for_finals() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=2)
    submit(queue, work(PARTIAL), work(PARTIAL), work(BULK))
    take(queue)
    assert queue.take() is None
    final = work(FINAL)
    submit(queue, final)
    assert take(queue).jobs == [final]


def test_recordings_leave_a_slot_free_while_calls_are_there() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=2)
    submit(queue, work(FINAL))
    answer(queue, take(queue))
    submit(queue, work(BULK), work(BULK), work(BULK), now_s=LIVE_S - 0.1)
    first = take(queue)
    assert queue.take() is None
    queue.answered(first, [said(job) for job in first.jobs], 0.2, now_s=LIVE_S + 0.1)
    take(queue)
    take(queue)
    assert queue.running == 2


def test_recordings_use_every_slot_while_no_call_is_there() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=3)
    submit(queue, work(BULK), work(BULK), work(BULK))
    for _ in range(3):
        take(queue)
    assert queue.running == 3


def test_the_only_slot_takes_partials() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=1)
    submit(queue, work(PARTIAL))
    assert take(queue).jobs[0].priority is PARTIAL


def test_a_batch_holds_jobs_of_one_priority_and_similar_length() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=1, batch_size=8)
    partial, bulk = work(PARTIAL, seconds=2.0), work(BULK, seconds=2.0)
    head, short, long, similar = (work(seconds=length) for length in (2.0, 1.0, 9.0, 3.0))
    submit(queue, partial, bulk, head, short, long, similar)
    assert take(queue).jobs == [head, similar]


def test_a_batch_is_no_larger_than_the_engine_wants() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=1, batch_size=2)
    jobs = [work() for _ in range(3)]
    submit(queue, *jobs)
    assert take(queue).jobs == jobs[:2]


def test_each_job_of_a_batch_gets_its_own_answer() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=1, batch_size=3)
    jobs = [work() for _ in range(3)]
    submit(queue, *jobs)
    batch = take(queue)
    assert batch.audio_s == 3.0
    queue.cancel(jobs[1])
    assert answer(queue, batch) == [(jobs[0], said(jobs[0])), (jobs[2], said(jobs[2]))]


def test_a_cancelled_job_never_reaches_the_engine() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=1)
    gone, other = work(), work()
    submit(queue, gone, other)
    assert queue.cancel(gone) == [(gone, None)]
    assert queue.cancel(gone) == []
    assert queue.pending_audio_s == 1.0
    assert order(queue) == [other]


def test_a_job_cancelled_while_it_runs_gets_no_second_answer() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=1)
    job = work()
    submit(queue, job)
    batch = take(queue)
    assert queue.cancel(job) == [(job, None)]
    assert queue.pending_audio_s == 0.0
    assert answer(queue, batch) == []


def test_a_job_cancelled_while_it_runs_is_not_decoded_again() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=1)
    job = work()
    submit(queue, job)
    batch = take(queue)
    queue.cancel(job)
    assert queue.died(batch, "killed by SIGKILL", now_s=0.0) == []
    assert queue.take() is None


def test_an_error_reaches_the_jobs_of_its_batch_alone() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=2)
    bad, good = work(), work()
    submit(queue, bad, good)
    first, second = take(queue), take(queue)
    [(job, outcome)] = queue.failed(first, "too loud", busy_s=0.1, now_s=0.0)
    assert (job, reason(outcome)) == (bad, "too loud")
    assert answer(queue, second) == [(good, said(good))]


def test_each_job_gets_an_error_of_its_own() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=1, batch_size=2)
    submit(queue, work(), work())
    first, second = (one for _, one in queue.failed(take(queue), "no", busy_s=0.1, now_s=0.0))
    assert first is not second


def test_a_wrong_number_of_answers_is_an_error_of_the_batch() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=1, batch_size=2)
    submit(queue, work(), work())
    answers = queue.answered(take(queue), [Hypothesis("один")], busy_s=0.1, now_s=0.0)
    assert [reason(outcome) for _, outcome in answers] == [
        "the engine gave 1 answers to 2 segments"
    ] * 2


def test_what_a_dead_engine_held_goes_to_the_front_and_runs_alone() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=2, batch_size=4)
    first, second, third = work(), work(seconds=5.0), work(deadline_s=0.0)
    submit(queue, first, second)
    held = [take(queue), take(queue)]
    submit(queue, third)
    for batch in held:
        assert queue.died(batch, "killed by SIGKILL", now_s=0.0) == []
    alone = take(queue)
    assert alone.jobs == [first]
    assert queue.take() is None
    answer(queue, alone)
    assert order(queue) == [second, third]


def test_a_struck_job_waits_until_nothing_else_runs() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=2)
    struck, other = work(), work()
    submit(queue, struck, other)
    batch, beside = take(queue), take(queue)
    queue.died(batch, "killed by SIGKILL", now_s=0.0)
    assert queue.take() is None
    answer(queue, beside)
    assert take(queue).jobs == [struck]


def test_a_struck_job_keeps_to_its_class() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=1)
    bulk, waiting, final = work(BULK), work(BULK), work()
    submit(queue, bulk, waiting)
    batch = take(queue)
    queue.died(batch, "killed by SIGKILL", now_s=0.0)
    submit(queue, final)
    assert order(queue) == [final, bulk, waiting]


def test_a_struck_segment_of_a_recording_runs_alone_among_recordings_and_calls_go_on() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=4)
    bulk, other, final = work(BULK), work(BULK), work()
    submit(queue, bulk, other, final)
    for batch in [take(queue), take(queue), take(queue)]:
        queue.died(batch, "killed by SIGKILL", now_s=0.0)
    first = take(queue)
    assert (first.jobs, queue.take()) == ([final], None)  # of a call: nothing runs beside it
    answer(queue, first)
    again = take(queue)
    assert (again.jobs, queue.take()) == ([bulk], None)
    live, partial = work(), work(PARTIAL)
    submit(queue, live, partial)
    assert [take(queue).jobs, take(queue).jobs] == [[live], [partial]]
    assert queue.take() is None
    answer(queue, again)
    assert take(queue).jobs == [other]


def test_a_job_that_ends_the_engine_twice_is_given_up() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=1)
    job = work()
    submit(queue, job)
    assert queue.died(take(queue), "exit code 139", now_s=0.0) == []
    [(same, outcome)] = queue.died(take(queue), "exit code 139", now_s=0.0)
    assert same is job
    assert reason(outcome) == (
        "the segment ended the engine process twice (exit code 139); not tried again"
    )


def test_a_partial_is_not_decoded_again() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=1)
    submit(queue, work(PARTIAL))
    [(_, outcome)] = queue.died(take(queue), "exit code 139", now_s=0.0)
    assert reason(outcome) == "the engine process ended (exit code 139)"


def test_nothing_is_given_up_while_the_engine_returns_anything() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=1)
    submit(queue, work(), work())
    queue.answered(take(queue), [Hypothesis("")], busy_s=14.0, now_s=14.0)
    assert queue.expire(23.9) == []


def test_what_waits_for_an_engine_that_is_away_is_given_up() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=1)
    held, waiting, young = work(), work(), work()
    submit(queue, held, waiting)
    batch = take(queue)
    submit(queue, young, now_s=5.0)
    assert queue.expire(9.9) == []
    answers = queue.expire(10.0)
    assert [job for job, _ in answers] == [waiting, held]
    assert reason(answers[0][1]) == "the engine did not come back within 10 s"
    assert queue.waiting(FINAL) == 1
    assert answer(queue, batch) == []
    assert order(queue) == [young]


def test_segments_of_recordings_wait_for_the_engine_however_long_it_is_away() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=1)
    held, waiting = work(BULK), work(BULK)
    submit(queue, held, waiting)
    batch = take(queue)
    assert queue.expire(1000.0) == []
    assert answer(queue, batch) == [(held, said(held))]
    assert order(queue) == [waiting]


def test_recordings_have_no_part_in_the_pace() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=1)
    submit(queue, work(seconds=4.0), work(BULK, seconds=15.0))
    answer(queue, take(queue), busy_s=0.1)
    answer(queue, take(queue), busy_s=12.0)  # in a thread of the lowest priority
    assert queue.rate.value == 0.1 / 4.0
    assert queue.busy_s[BULK] == 12.0


def test_the_wait_of_a_final_follows_from_the_audio_before_it() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=2)
    assert queue.wait_s(0.0) == 0.0
    submit(queue, work(seconds=4.0))
    answer(queue, take(queue), busy_s=1.0)
    assert queue.rate.value == 0.25
    submit(queue, work(seconds=6.0), work(seconds=10.0), work(BULK, seconds=10.0))
    assert queue.wait_s(0.0) == 16.0 * 0.25 / 2
    take(queue)
    assert queue.wait_s(0.0) == 16.0 * 0.25 / 2


def test_the_wait_is_no_less_than_that_of_the_first_waiting_final() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=1)
    submit(queue, work(), work(), now_s=3.0)
    take(queue)
    submit(queue, work(), now_s=5.0)
    assert queue.wait_s(7.0) == 4.0


def test_finals_that_are_due_later_make_nobody_wait() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=1)
    submit(queue, work())
    answer(queue, take(queue), busy_s=0.5)
    submit(queue, *(work(deadline_s=float(due_s)) for due_s in range(1, 10)))
    assert queue.wait_s(0.0) == 0.5
    assert queue.wait_s(1.0) == 1.0
    assert queue.wait_s(3.5) == 3.5


def test_a_job_without_a_sensible_rate_has_no_length() -> None:
    assert Work(np.zeros(8, dtype=np.int16), 0, FINAL).audio_s == 0.0


def test_stop_answers_everything_and_everything_after() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=1)
    running, waiting, late = work(), work(), work()
    submit(queue, running, waiting)
    batch = take(queue)
    assert queue.stop() == [(waiting, None), (running, None)]
    assert queue.stop() == []
    assert queue.submit(late, 0.0) == [(late, None)]
    assert queue.take() is None
    assert answer(queue, batch) == []


def test_what_returns_after_stop_has_no_effect() -> None:
    queue: JobQueue[Work] = JobQueue(CONFIG, slots=2)
    submit(queue, work(), work())
    first, second = take(queue), take(queue)
    queue.stop()
    assert queue.failed(first, "no", busy_s=0.0, now_s=0.0) == []
    assert queue.died(second, "no", now_s=0.0) == []
    assert queue.take() is None
