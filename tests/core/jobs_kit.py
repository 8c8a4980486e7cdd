"""What the tests of the queue of jobs are written with."""

import numpy as np

from ruasr_tel.engines.base import Hypothesis
from ruasr_tel.errors import DecodeError
from ruasr_tel.jobs import Answer, JobQueue, Outcome, SchedulerConfig
from ruasr_tel.work import Batch, Priority, Work

RATE_HZ = 8000
FINAL, PARTIAL, BULK = Priority.FINAL, Priority.PARTIAL, Priority.BULK
FIRST = Priority.FIRST_PARTIAL
CONFIG = SchedulerConfig(partial_max_finals=2, partial_queue=3, bulk_queue=3, final_timeout_s=10.0)


def work(priority: Priority = FINAL, seconds: float = 1.0, deadline_s: float | None = None) -> Work:
    samples = np.zeros(int(seconds * RATE_HZ), dtype=np.int16)
    return Work(samples, RATE_HZ, priority, deadline_s)


def said(job: Work) -> Hypothesis:
    return Hypothesis(f"job {job.number}")


def submit(queue: JobQueue[Work], *jobs: Work, now_s: float = 0.0) -> None:
    for job in jobs:
        assert queue.submit(job, now_s) == []


def take(queue: JobQueue[Work]) -> Batch[Work]:
    batch = queue.take()
    assert batch is not None
    return batch


def answer(queue: JobQueue[Work], batch: Batch[Work], busy_s: float = 0.1) -> list[Answer[Work]]:
    return queue.answered(batch, [said(job) for job in batch.jobs], busy_s, now_s=0.0)


def order(queue: JobQueue[Work]) -> list[Work]:
    """Return the jobs in the order in which one slot would get them."""
    jobs: list[Work] = []
    while (batch := queue.take()) is not None:
        jobs += batch.jobs
        answer(queue, batch)
    return jobs


def reason(outcome: Outcome) -> str:
    assert isinstance(outcome, DecodeError)
    return str(outcome)
