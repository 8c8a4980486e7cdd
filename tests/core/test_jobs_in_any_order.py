"""Any order of submit, take, cancel, answer, error, death, time and stop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ruasr_tel.engines.base import PLAIN, DecodeOptions, Hypothesis
from ruasr_tel.errors import DecodeError, Overloaded
from ruasr_tel.jobs import BATCH_LENGTH_RATIO, Answer, JobQueue, Outcome, SchedulerConfig
from ruasr_tel.work import PARTIALS, Batch, Priority, State, Work

RATE_HZ = 8000
FINAL, PARTIAL, BULK = Priority.FINAL, Priority.PARTIAL, Priority.BULK
CONFIG = SchedulerConfig(partial_max_finals=2, partial_queue=3, bulk_queue=3, final_timeout_s=10.0)


def said(job: Work) -> Hypothesis:
    return Hypothesis(f"job {job.number}")


class JobQueueMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.jobs: list[Work] = []
        self.answers: dict[Work, Outcome] = {}
        self.running: list[Batch[Work]] = []
        self.now_s = 0.0

    @initialize(slots=st.integers(1, 3), batch_size=st.integers(1, 3))
    def begin(self, slots: int, batch_size: int) -> None:
        self.slots, self.batch_size = slots, batch_size
        self.queue: JobQueue[Work] = JobQueue(CONFIG, slots, batch_size)

    def note(self, answers: list[Answer[Work]]) -> None:
        for job, outcome in answers:
            assert job not in self.answers, "answered twice"
            self.answers[job] = outcome

    def unanswered(self, *states: State) -> list[Work]:
        return [job for job in self.jobs if job.state in states and job not in self.answers]

    @rule(
        priority=st.sampled_from(Priority),
        seconds=st.sampled_from((0.5, 1.0, 1.4, 2.0)),
        due_s=st.none() | st.floats(0.0, 30.0),
        options=st.sampled_from((PLAIN, DecodeOptions(("да",)), DecodeOptions(alternatives=3))),
    )
    def submit(
        self, priority: Priority, seconds: float, due_s: float | None, options: DecodeOptions
    ) -> None:
        samples = np.zeros(int(seconds * RATE_HZ), dtype=np.int16)
        deadline_s = None if due_s is None else self.now_s + due_s
        job = Work(samples, RATE_HZ, priority, deadline_s, options)
        try:
            answers = self.queue.submit(job, self.now_s)
        except Overloaded:
            assert priority in PARTIALS
            return
        self.jobs.append(job)
        self.note(answers)

    @rule()
    def take(self) -> None:
        batch = self.queue.take()
        if batch is None:
            return
        waiting = self.unanswered(State.QUEUED)
        head = batch.jobs[0]
        sooner = {job.priority for job in waiting if job.priority < head.priority}
        assert FINAL not in sooner
        assert not (head.priority is PARTIAL and sooner)
        for job in waiting:
            if job.priority is head.priority:
                assert (not head.struck, head.due_s) <= (not job.struck, job.due_s)
        lengths = [job.audio_s for job in batch.jobs]
        assert max(lengths) <= min(lengths) * BATCH_LENGTH_RATIO
        assert {job.priority for job in batch.jobs} == {head.priority}
        assert {job.options for job in batch.jobs} == {head.options} == {batch.options}
        assert len(batch.jobs) <= self.batch_size
        self.running.append(batch)
        struck = [one for one in self.running if any(job.struck for job in one.jobs)]
        assert all(len(one.jobs) == 1 for one in struck)
        if any(one.jobs[0].priority is FINAL for one in struck):
            assert len(self.running) == 1
        if struck:
            assert sum(one.jobs[0].priority is BULK for one in self.running) <= 1

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        job = data.draw(st.sampled_from(self.jobs))
        answers = self.queue.cancel(job)
        assert answers == ([] if job in self.answers else [(job, None)])
        self.note(answers)

    def land(self, data: st.DataObject) -> Batch[Work]:
        return self.running.pop(data.draw(st.integers(0, len(self.running) - 1)))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), busy_s=st.floats(0.0, 5.0))
    def answer(self, data: st.DataObject, busy_s: float) -> None:
        batch = self.land(data)
        open_jobs = [job for job in batch.jobs if job not in self.answers]
        answers = self.queue.answered(batch, [said(job) for job in batch.jobs], busy_s, self.now_s)
        assert answers == [(job, said(job)) for job in open_jobs]
        self.note(answers)

    @precondition(lambda self: self.running)
    @rule(data=st.data(), miscount=st.booleans())
    def fail(self, data: st.DataObject, miscount: bool) -> None:
        batch = self.land(data)
        open_jobs = [job for job in batch.jobs if job not in self.answers]
        answers = (
            self.queue.answered(batch, [], 0.1, self.now_s)
            if miscount
            else self.queue.failed(batch, "too loud", 0.1, self.now_s)
        )
        assert [job for job, _ in answers] == open_jobs
        self.note(answers)

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        """Everything dies, but the news may come one by one, with other steps between them."""
        batch = self.land(data)
        given_up = {
            job
            for job in batch.jobs
            if job not in self.answers and (job.struck or job.priority in PARTIALS)
        }
        answers = self.queue.died(batch, "exit code 139", self.now_s)
        assert {job for job, _ in answers} == given_up
        self.note(answers)

    @rule(seconds=st.sampled_from((0.1, 2.0, 11.0)))
    def wait(self, seconds: float) -> None:
        self.now_s += seconds
        answers = self.queue.expire(self.now_s)
        assert all(self.now_s - job.submitted_s >= CONFIG.final_timeout_s for job, _ in answers)
        assert all(job.priority is not BULK for job, _ in answers)
        self.note(answers)

    @rule(really=st.sampled_from((False, False, False, True)))
    def stop(self, really: bool) -> None:
        if really:
            self.note(self.queue.stop())

    @invariant()
    def counts_agree(self) -> None:
        if not hasattr(self, "queue"):
            return
        assert self.queue.running == len(self.running) <= self.slots
        for priority in Priority:
            waiting = [j for j in self.unanswered(State.QUEUED) if j.priority is priority]
            assert self.queue.waiting(priority) == len(waiting)
        finals = [j for j in self.unanswered(State.QUEUED, State.RUNNING) if j.priority is FINAL]
        assert self.queue.pending_audio_s == pytest.approx(sum(job.audio_s for job in finals))
        assert self.queue.wait_s(self.now_s) >= 0.0

    def teardown(self) -> None:
        if hasattr(self, "queue"):
            self.note(self.queue.stop())
            assert set(self.answers) == set(self.jobs)


def test_every_job_is_answered_exactly_once_in_any_order() -> None:
    run_state_machine_as_test(
        JobQueueMachine, settings=settings(max_examples=80, stateful_step_count=40, deadline=None)
    )


GUILTY = st.lists(st.booleans(), min_size=1, max_size=12)


@settings(deadline=None)
@given(
    guilty=GUILTY,
    slots=st.integers(1, 4),
    batch_size=st.integers(1, 3),
    choices=st.lists(st.integers(0, 3), min_size=1, max_size=20),
)
def test_only_the_guilty_are_given_up(
    guilty: list[bool], slots: int, batch_size: int, choices: list[int]
) -> None:
    """An engine that every guilty segment ends, together with everything it holds."""
    queue: JobQueue[Work] = JobQueue(CONFIG, slots, batch_size)
    jobs = [Work(np.zeros(RATE_HZ, dtype=np.int16), RATE_HZ, FINAL) for _ in guilty]
    answers = [one for job in jobs for one in queue.submit(job, now_s=0.0)]
    running: list[Batch[Work]] = []
    for step in range(10 * len(jobs)):
        while (taken := queue.take()) is not None:
            running.append(taken)
        if not running:
            break
        batch = running.pop(choices[step % len(choices)] % len(running))
        if any(guilty[job.number] for job in batch.jobs):
            for held in [batch, *running]:
                answers += queue.died(held, "exit code 139", now_s=0.0)
            running = []
        else:
            answers += queue.answered(batch, [said(job) for job in batch.jobs], 0.1, now_s=0.0)
    assert len(answers) == len(jobs)
    for job, outcome in answers:
        assert isinstance(outcome, DecodeError) == guilty[job.number]
