"""Which segment the engine gets next, and who gets its answer; no asyncio, no clock.

`JobQueue` is the scheduler's state machine. Every step returns the answers it brought about, and
over its life every job that was submitted gets exactly one: a hypothesis, a DecodeError, or None
because it was cancelled or the queue stopped.
"""

from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import Generic, TypeAlias

from pydantic import Field

from ruasr_tel.engines.base import Hypothesis
from ruasr_tel.errors import DecodeError, Overloaded
from ruasr_tel.pace import DecodeRate, TokenBucket
from ruasr_tel.section import Section
from ruasr_tel.work import PARTIALS, Batch, Priority, State, Work, WorkT

BATCH_LENGTH_RATIO = 1.5
"""Longest to shortest segment of one batch. A batch of 1, 2.5, 5 and 10 s costs 2.3 times what its
segments cost one by one: all are padded to the longest (sherpa-onnx 2.0.1, our measurement)."""

FINAL_DUE_S = 1.0
"""A final without a deadline is due this long after it was submitted (our choice: the second that a
caller takes for a natural pause)."""

LIVE_S = 10.0
"""Calls are there while one of them submitted something within so long (our choice: people pause
for less). Then recordings, too, leave a slot free."""


class SchedulerConfig(Section):
    """How the work of all calls shares the engine. Finals of running calls are never refused."""

    partial_share: float = Field(default=0.4, ge=0.0, le=1.0)
    """Share of the engine's time that partials may use; then they are skipped, first ones last."""

    partial_window_s: float = Field(default=5.0, gt=0.0, le=60.0)
    """Seconds over which partials may use up unused share of the engine's time."""

    partial_max_finals: int = Field(default=2, ge=0, le=1000)
    """Partials are skipped while more finals than this wait."""

    partial_queue: int = Field(default=16, ge=1, le=1000)
    """Partials that may wait, first ones and later ones each; more are skipped."""

    bulk_queue: int = Field(default=10_000, ge=1, le=1_000_000)
    """Segments of recordings that may wait; while as many do, no recording begins: its job tries
    again later."""

    final_timeout_s: float = Field(default=60.0, gt=0.0, le=3600.0)
    """Seconds after which a call's segment is given up if the engine answered nothing for as long;
    recordings wait."""


Outcome: TypeAlias = Hypothesis | DecodeError | None
"""What becomes of a job; None: it was cancelled, or the queue stopped."""

Answer: TypeAlias = tuple[WorkT, Outcome]


class JobQueue(Generic[WorkT]):
    """The state of the scheduler: what waits and what runs.

    Finals go first, by deadline, then partials, a segment's first ones before the later ones, then
    bulk; equals in order of submission. When the engine process ends, the finals and bulk jobs it
    held go back to the front of their class, and each of them runs alone from then on, so that only
    the guilty one can end it a second time and is then given up. Bulk ones run alone among their
    like only: no call waits for a recording. Partials it held are given up at once: newer ones will
    come.

    Args:
        config: limits.
        slots: batches that may run at once.
        batch_size: jobs that one batch may hold.
    """

    def __init__(self, config: SchedulerConfig, slots: int, batch_size: int = 1) -> None:
        self._config = config
        self._slots = slots
        self._batch_size = batch_size
        # While there are two slots, one is kept for finals: they never wait for anything else.
        self._other_slots = max(1, slots - 1)
        share = slots * config.partial_share
        self._partial_budget = TokenBucket(share, share * config.partial_window_s)
        self._queued: list[WorkT] = []  # sorted by _rank
        self._running: list[Batch[WorkT]] = []
        self._submitted = 0
        self._returned_s = float("-inf")  # when the engine last returned anything
        self._called_s = float("-inf")  # when a call last submitted anything
        self._seen_s = 0.0  # the last moment we were told of
        self._stopped = False
        self.rate = DecodeRate()
        self.refused = dict.fromkeys(Priority, 0)
        """Jobs refused so far; of BULK, recordings."""
        self.busy_s = dict.fromkeys(Priority, 0.0)
        """Seconds that slots, and streams beside them, kept the engine busy so far."""

    def submit(self, job: WorkT, now_s: float) -> list[Answer[WorkT]]:
        """Take a new job; after `stop` it is answered at once.

        Raises:
            Overloaded: there is no room for a partial now.
        """
        if self._stopped:
            job.state = State.DONE
            return [(job, None)]
        self._seen_s = now_s
        if job.priority is not Priority.BULK:
            self._called_s = now_s
        if job.priority in PARTIALS:
            self._refuse_partial(job.priority, now_s)
        job.due_s = now_s + FINAL_DUE_S if job.deadline_s is None else job.deadline_s
        job.submitted_s = now_s
        job.number = self._submitted
        self._submitted += 1
        self._enqueue(job)
        return []

    def admit_bulk(self) -> None:
        """Say whether a recording may begin now; the segments of those that began have room.

        Raises:
            Overloaded: as many segments of recordings wait as may.
        """
        waiting, limit = self.waiting(Priority.BULK), self._config.bulk_queue
        if waiting >= limit:
            self.refused[Priority.BULK] += 1
            raise Overloaded(
                f"{waiting} segments of recordings wait, the limit (scheduler.bulk_queue)"
            )

    def cancel(self, job: WorkT) -> list[Answer[WorkT]]:
        """Drop a job, queued or running; nothing happens to one that is answered."""
        if job.state is State.QUEUED:
            self._queued.remove(job)
        return self._finish([job], None)

    def take(self) -> Batch[WorkT] | None:
        """Return what should run now, or None if nothing may."""
        head = self._head()
        if head is None or self._must_wait(head):
            return None
        batch = Batch(self._company(head))
        for job in batch.jobs:
            self._queued.remove(job)
            job.state = State.RUNNING
        self._running.append(batch)
        return batch

    def answered(
        self, batch: Batch[WorkT], hypotheses: Sequence[Hypothesis], busy_s: float, now_s: float
    ) -> list[Answer[WorkT]]:
        """Hand out what the engine gave for a batch.

        Args:
            batch: from `take`.
            hypotheses: should be one per job, in order.
            busy_s: how long the decode took.
            now_s: when it came back.
        """
        if len(hypotheses) != len(batch.jobs):
            reason = f"the engine gave {len(hypotheses)} answers to {len(batch.jobs)} segments"
            return self.failed(batch, reason, busy_s, now_s)
        self._land(batch, now_s)
        self._count(batch, busy_s)
        if batch.priority is not Priority.BULK:  # whose threads yield to all else: that is no pace
            self.rate.add(busy_s, batch.audio_s)
        pairs = zip(batch.jobs, hypotheses, strict=True)
        return [answer for job, one in pairs for answer in self._finish([job], one)]

    def failed(
        self, batch: Batch[WorkT], reason: str, busy_s: float, now_s: float
    ) -> list[Answer[WorkT]]:
        """Tell the jobs of a batch, and nobody else, why the engine could not decode them."""
        self._land(batch, now_s)
        self._count(batch, busy_s)
        return self._finish(batch.jobs, reason)

    def died(self, batch: Batch[WorkT], reason: str, now_s: float) -> list[Answer[WorkT]]:
        """The engine process ended while it held this batch: try again or give up."""
        self._land(batch, now_s)
        answers: list[Answer[WorkT]] = []
        for job in batch.jobs:
            if job.state is State.DONE:
                continue
            if job.struck:
                twice = f"the segment ended the engine process twice ({reason}); not tried again"
                answers += self._finish([job], twice)
            elif job.priority in PARTIALS:
                answers += self._finish([job], f"the engine process ended ({reason})")
            else:
                job.struck = True
                self._enqueue(job)
        return answers

    def expire(self, now_s: float) -> list[Answer[WorkT]]:
        """Give up what waits for an engine that does not come back.

        An engine that is only slow returns something now and then, and then nothing is given up.
        Nobody waits for a recording: better late than with holes.
        """
        timeout_s = self._config.final_timeout_s
        if now_s - self._returned_s < timeout_s:
            return []
        overdue = [
            job
            for job in self._open()
            if job.priority is not Priority.BULK and now_s - job.submitted_s >= timeout_s
        ]
        answers = self._finish(overdue, f"the engine did not come back within {timeout_s:g} s")
        self._queued = [job for job in self._queued if job.state is State.QUEUED]
        return answers

    def stop(self) -> list[Answer[WorkT]]:
        """Answer everything that is open with None, and everything that comes later, too."""
        answers = self._finish(self._open(), None)
        self._stopped = True
        self._queued.clear()
        return answers

    def waiting(self, priority: Priority) -> int:
        """Return how many jobs of a priority wait."""
        below = bisect_left(self._queued, priority, key=lambda job: job.priority)
        return bisect_left(self._queued, priority + 1, key=lambda job: job.priority) - below

    @property
    def running(self) -> int:
        """Batches that the engine holds."""
        return len(self._running)

    @property
    def pending_audio_s(self) -> float:
        """Audio of finals that are not answered, in seconds."""
        return sum(job.audio_s for job in self._open() if job.priority is Priority.FINAL)

    def wait_s(self, now_s: float) -> float:
        """Return the seconds that a final submitted now should wait for its answer.

        From the audio that goes before it and the engine's pace, but no less than the first of
        those that wait is kept waiting: an engine that is away has no pace. Finals that are due
        later (a file sent faster than real time) go behind it and do not count.
        """
        before = [
            job
            for job in self._open()
            if job.priority is Priority.FINAL and job.due_s <= now_s + FINAL_DUE_S
        ]
        expected_s = sum(job.audio_s for job in before) * self.rate.value / self._slots
        kept_waiting_s = [
            now_s - max(job.submitted_s, job.due_s - FINAL_DUE_S)
            for job in before
            if job.state is State.QUEUED
        ]
        return max([expected_s, *kept_waiting_s])

    def _refuse_partial(self, priority: Priority, now_s: float) -> None:
        """Raise Overloaded if there is no room for a partial of this priority."""
        config = self._config
        reason = ""
        finals = self.waiting(Priority.FINAL)
        if finals > config.partial_max_finals:
            reason = f"{finals} finals wait"
        elif self.waiting(priority) >= config.partial_queue:
            reason = f"{config.partial_queue} partials wait"
        elif not self._partial_budget.allows(now_s, in_debt=priority is Priority.FIRST_PARTIAL):
            reason = f"partials had {config.partial_share:.0%} of the engine's time"
        if reason:
            self.refused[priority] += 1
            raise Overloaded(reason)

    def _enqueue(self, job: WorkT) -> None:
        job.state = State.QUEUED
        insort(self._queued, job, key=_rank)

    def _head(self) -> WorkT | None:
        """Return the first job that has a slot, or None."""
        if len(self._running) >= self._slots:
            return None
        others = sum(batch.priority is not Priority.FINAL for batch in self._running)
        full = others >= self._other_slots
        for job in self._queued:
            if job.priority is Priority.FINAL or not full:
                return job
            if job.priority is Priority.BULK and self._seen_s - self._called_s >= LIVE_S:
                return job
        return None

    def _must_wait(self, job: WorkT) -> bool:
        """Say whether a job may not run beside what runs, for one of them ended the engine."""
        for batch in self._running:
            struck = [one for one in (job, batch.jobs[0]) if one.struck]
            if any(one.priority is not Priority.BULK for one in struck):
                return True
            if struck and job.priority is batch.priority:
                return True
        return False

    def _company(self, head: WorkT) -> list[WorkT]:
        """Return the jobs to decode together with `head`, itself first."""
        jobs = [head]
        shortest_s = longest_s = head.audio_s
        for job in self._queued:
            if len(jobs) == self._batch_size or head.struck:
                break
            if job is head or (job.priority, job.options) != (head.priority, head.options):
                continue
            low_s, high_s = min(shortest_s, job.audio_s), max(longest_s, job.audio_s)
            if high_s <= low_s * BATCH_LENGTH_RATIO:
                jobs.append(job)
                shortest_s, longest_s = low_s, high_s
        return jobs

    def _land(self, batch: Batch[WorkT], now_s: float) -> None:
        """Free the slot of a batch."""
        self._running.remove(batch)
        self._returned_s = self._seen_s = now_s

    def _count(self, batch: Batch[WorkT], busy_s: float) -> None:
        priority = batch.priority
        self.busy_s[priority] += busy_s
        if priority in PARTIALS:
            self._partial_budget.charge(busy_s)

    def _open(self) -> list[WorkT]:
        """Return all jobs that are not answered."""
        held = [job for batch in self._running for job in batch.jobs]
        return [job for job in self._queued + held if job.state is not State.DONE]

    def _finish(
        self, jobs: Sequence[WorkT], outcome: Hypothesis | str | None
    ) -> list[Answer[WorkT]]:
        """Answer those of `jobs` that are not answered; a text is the reason of a DecodeError."""
        answers: list[Answer[WorkT]] = []
        for job in jobs:
            if job.state is not State.DONE:
                job.state = State.DONE
                answers.append((job, DecodeError(outcome) if isinstance(outcome, str) else outcome))
        return answers


def _rank(job: Work) -> tuple[int, bool, float, int]:
    """Return the key that sorts what waits."""
    return job.priority, not job.struck, job.due_s, job.number
