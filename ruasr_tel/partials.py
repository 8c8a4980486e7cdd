"""When to recognise the open segment again, while it is still being spoken; no clock, no I/O."""

import math

from pydantic import Field

from ruasr_tel.assemble import Agreement
from ruasr_tel.scheduler import Job
from ruasr_tel.section import Section


class PartialsConfig(Section):
    """Text of a segment while it is still being spoken."""

    enabled: bool = True
    """Whether to recognise the open segment as it grows."""
    model: str | None = Field(None, min_length=1)
    """A streaming model that hears the open segment, beside the one for finals; null is that one:
    if it streams it does so, else it decodes the open segment again and again."""
    first_ms: int = Field(300, ge=100, le=5000)
    """Audio after a speech start before the first decode; two decodes make the first partial."""
    interval_ms: int = Field(600, ge=100, le=10000)
    """Audio between decodes on an idle machine; grows to three times a decode's turnaround."""


class Partials:
    """When to recognise the open segment again; one decode at a time.

    Args:
        config: how often.
        sample_rate_hz: rate of the leg, whose sample count is the clock here.
    """

    def __init__(self, config: PartialsConfig, sample_rate_hz: int) -> None:
        self._enabled = config.enabled
        self._rate_hz = sample_rate_hz
        self._interval = sample_rate_hz * config.interval_ms // 1000
        self._first = sample_rate_hz * config.first_ms // 1000
        self._turnaround_s = 0.0
        self._next: float = 0
        self._count = 0
        self._job: Job | None = None
        self._agreement = Agreement()

    def begin(self, now: int) -> None:
        """A segment begins (or ended) at sample `now`."""
        self.cancel()
        self._agreement = Agreement()
        self._count = 0
        self._next = now + self._first

    def due(self, now: int) -> bool:
        """Say whether to decode at sample `now`."""
        return self._enabled and self._job is None and now >= self._next

    @property
    def is_first(self) -> bool:
        """Whether the next decode is one of the two that give a segment its first text."""
        return self._count < 2

    def skip(self, now: int) -> None:
        """There was no room: try again after an interval, a short one while nothing is shown."""
        self._next = now + self._interval_now()

    def stop(self) -> None:
        """No more of this segment."""
        self._next = math.inf

    def sent(self, job: Job, now: int) -> Agreement:
        """A decode was submitted at sample `now`; return what its text is to agree with."""
        self._job = job
        self._count += 1
        self._next = now + self._interval_now()
        return self._agreement

    def came_back(self, job: Job, turnaround_s: float) -> None:
        """A decode was answered, `turnaround_s` after it was submitted."""
        if job is self._job:
            self._job = None
            self._turnaround_s = turnaround_s

    def is_stale(self, agreement: Agreement) -> bool:
        """Say whether `sent` gave this for an earlier segment."""
        return agreement is not self._agreement

    def cancel(self) -> None:
        """Give up the decode that runs, if any."""
        if self._job is not None:
            job, self._job = self._job, None
            job.cancel()

    def _interval_now(self) -> int:
        if self.is_first:
            return self._first
        return max(self._interval, int(3 * self._turnaround_s * self._rate_hz))
