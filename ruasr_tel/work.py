"""One segment to decode, and those that the engine holds together."""

from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Generic, TypeVar

from ruasr_tel.engines.base import PLAIN, DecodeOptions
from ruasr_tel.types import Samples


class Priority(IntEnum):
    """What goes first; lower is sooner. First partials: of segments without a text (ADR 0030)."""

    FINAL = 0
    FIRST_PARTIAL = 1
    PARTIAL = 2
    BULK = 3


PARTIALS = (Priority.FIRST_PARTIAL, Priority.PARTIAL)
"""What is only shown, and skipped where there is no room."""


class State(Enum):
    """Where a job is."""

    NEW = "new"
    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"


@dataclass(eq=False)
class Work:
    """One segment to decode.

    Attributes:
        samples: int16, shape (n,), at `sample_rate_hz`; must not change until answered.
        sample_rate_hz: positive.
        priority: what goes first.
        deadline_s: when the answer should be there, on the queue's clock; orders what is of one
            priority. None: FINAL_DUE_S after it was submitted, so first come, first served.
        options: what is asked of the engine; jobs that ask for different things share no batch.
        due_s: that, settled.
        submitted_s: when it was submitted, on the queue's clock.
        number: order of submission.
        struck: whether the engine process ended while it held this job.
        state: where it is.
    """

    samples: Samples
    sample_rate_hz: int
    priority: Priority
    deadline_s: float | None = None
    options: DecodeOptions = PLAIN
    due_s: float = field(default=0.0, init=False)
    submitted_s: float = field(default=0.0, init=False)
    number: int = field(default=0, init=False)
    struck: bool = field(default=False, init=False)
    state: State = field(default=State.NEW, init=False)

    @property
    def audio_s(self) -> float:
        """Length in seconds; 0 where the rate makes no sense (the engine will refuse it)."""
        return self.samples.size / self.sample_rate_hz if self.sample_rate_hz > 0 else 0.0


WorkT = TypeVar("WorkT", bound=Work)


@dataclass(eq=False)
class Batch(Generic[WorkT]):
    """Jobs that the engine holds together.

    Attributes:
        jobs: at least one, of one priority and with equal options; some may have been cancelled
            meanwhile.
    """

    jobs: list[WorkT]

    @property
    def audio_s(self) -> float:
        """Length of all its segments in seconds."""
        return sum(job.audio_s for job in self.jobs)

    @property
    def priority(self) -> Priority:
        """Of all its jobs."""
        return self.jobs[0].priority

    @property
    def options(self) -> DecodeOptions:
        """What all its jobs ask for."""
        return self.jobs[0].options
