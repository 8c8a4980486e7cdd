"""Shares the engine between all calls: takes segments, answers each exactly once.

The rules are in `ruasr_tel.jobs`; here are the futures, the engine and the clock.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

import structlog

from ruasr_tel.engines.base import PLAIN, DecodeOptions, EngineInfo, Hypothesis
from ruasr_tel.engines.hearing import Hearing
from ruasr_tel.engines.prepare import fit
from ruasr_tel.errors import DecodeError, EngineDied
from ruasr_tel.jobs import FINAL_DUE_S, Answer, JobQueue, SchedulerConfig
from ruasr_tel.types import Samples
from ruasr_tel.work import PARTIALS, Batch, Priority, Work

__all__ = ["FINAL_DUE_S", "EngineHost", "Job", "Priority", "Scheduler", "SchedulerConfig"]

_log = structlog.get_logger(__name__)

WATCHES_PER_TIMEOUT = 20
"""How finely `final_timeout_s` is kept: every 3 s at the default of 60 s."""


MAX_STREAM_LAG_S = 1.0
"""No new streams while the engine is so far behind those it has: their partials would be late, too
(our choice: the second that a caller takes for a natural pause)."""


class EngineHost(Protocol):
    """Where decodes run; engines/process.py has the real one."""

    @property
    def info(self) -> EngineInfo:
        """What the engine is and can do."""
        ...

    @property
    def slots(self) -> int:
        """Decodes that may run at once."""
        ...

    async def ready(self) -> None:
        """Wait until a decode can begin: after a restart the engine is loaded first.

        Raises:
            EngineDied: it will never be.
        """
        ...

    async def decode(
        self, batch: Sequence[tuple[Samples, int]], options: DecodeOptions = PLAIN
    ) -> list[Hypothesis]:
        """Return one hypothesis per segment, in order.

        Args:
            batch: at least one segment, each int16, shape (n,), with its rate in Hz.
            options: what is asked of all of them.

        Raises:
            DecodeError: the engine could not decode this batch.
            EngineDied: the engine ended or hung while it held this batch.
        """
        ...

    def open_stream(self, sample_rate_hz: int, options: DecodeOptions = PLAIN) -> Hearing | None:
        """Return a new stream through the engine, or None if it takes none now.

        Args:
            sample_rate_hz: of the audio that will be pushed.
            options: what is asked of it.
        """
        ...

    @property
    def lag_s(self) -> float:
        """For how long the engine has taken in nothing although audio of streams waits."""
        ...


class Job(Work):
    """One submitted segment.

    Attributes:
        result: becomes the hypothesis or a DecodeError; is cancelled by `cancel` and when the
            scheduler closes.
    """

    result: asyncio.Future[Hypothesis]

    def cancel(self) -> None:
        """Give the segment up: nobody waits for it any more. No effect once it is answered."""
        self.result.cancel()


class Scheduler:
    """Submits work to one engine.

    Args:
        host: the engine, started.
        config: limits.
        clock: monotonic seconds; deadlines are on it.
    """

    def __init__(
        self,
        host: EngineHost,
        config: SchedulerConfig,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._host = host
        self._config = config
        self._clock = clock
        self._queue: JobQueue[Job] = JobQueue(config, host.slots, host.info.batch_size)
        self._decodes: set[asyncio.Task[None]] = set()
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to decode; what was submitted before waits until here."""
        self._watch = asyncio.create_task(self._expire(), name="scheduler watch")
        self._dispatch()

    async def close(self) -> None:
        """Stop: results that are still open are cancelled, as are those submitted later."""
        self._settle(self._queue.stop())
        tasks = list(self._decodes)
        if self._watch is not None:
            tasks.append(self._watch)
            self._watch = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def submit(
        self,
        samples: Samples,
        sample_rate_hz: int,
        priority: Priority,
        *,
        deadline_s: float | None = None,
        options: DecodeOptions = PLAIN,
    ) -> Job:
        """Queue one segment.

        Args:
            samples: int16, shape (n,), n > 0; must not change until answered.
            sample_rate_hz: its rate; the engine process resamples.
            priority: what goes first.
            deadline_s: when the answer should be there, on the scheduler's clock: sooner goes
                first. Nothing happens when it passes. None: FINAL_DUE_S from now.
            options: what is asked of the engine; it does what it can (`engines.prepare.fit`).

        Raises:
            Overloaded: a partial has no room now; nothing else is refused.
        """
        asked = replace(fit(options, self.info), patient=priority is Priority.BULK)
        job = Job(samples, sample_rate_hz, priority, deadline_s, asked)
        answers = self._queue.submit(job, self._clock())
        job.result = asyncio.get_running_loop().create_future()
        job.result.add_done_callback(lambda _: self._settle(self._queue.cancel(job)))
        self._settle(answers)
        self._dispatch()
        return job

    def admit_bulk(self) -> None:
        """Say whether a recording may begin now.

        Raises:
            Overloaded: as many segments of recordings wait as may.
        """
        self._queue.admit_bulk()

    def open_stream(
        self,
        sample_rate_hz: int,
        options: DecodeOptions = PLAIN,
        priority: Priority = Priority.FINAL,
    ) -> Hearing | None:
        """Return a new stream; None if the engine takes none now, and segments are to be decoded.

        Args:
            sample_rate_hz: of the audio that will be pushed.
            options: what is asked of the engine; it does what it can.
            priority: what the engine's time for it is counted as; PARTIAL where only partials come
                from it.
        """
        if self._watch is None or not self.info.streaming or self._host.lag_s > MAX_STREAM_LAG_S:
            return None
        hearing = self._host.open_stream(sample_rate_hz, fit(options, self.info))
        if hearing is not None:
            hearing.on_work = partial(self._worked, priority)
        return hearing

    def _worked(self, priority: Priority, busy_s: float, audio_s: float) -> None:
        """The engine worked on a stream, beside the slots."""
        self._queue.busy_s[priority] += busy_s
        self._queue.rate.add_streamed(busy_s, audio_s)

    @property
    def info(self) -> EngineInfo:
        """What the engine is and can do."""
        return self._host.info

    @property
    def pending_audio_s(self) -> float:
        """Audio of finals that are not answered yet, in seconds."""
        return self._queue.pending_audio_s

    @property
    def wait_s(self) -> float:
        """Seconds that a final submitted now should wait for its answer; rules admission."""
        return max(self._queue.wait_s(self._clock()), self._host.lag_s)

    @property
    def rtf(self) -> float:
        """Seconds of one slot per second of audio, the latest counting most; 0 at first."""
        return self._queue.rate.value

    @property
    def running(self) -> int:
        """Batches that the engine holds."""
        return self._queue.running

    def waiting(self, priority: Priority) -> int:
        """Return how many jobs of a priority wait for a slot."""
        return self._queue.waiting(priority)

    def refused(self, priority: Priority) -> int:
        """Return how many jobs of a priority were refused so far; of BULK, how many recordings."""
        return self._queue.refused[priority]

    def busy_s(self, priority: Priority) -> float:
        """Return the seconds that the engine was busy with a priority so far, streams included."""
        return self._queue.busy_s[priority]

    @property
    def partials_refused(self) -> int:
        """Partials refused so far."""
        return sum(map(self.refused, PARTIALS))

    def _dispatch(self) -> None:
        """Start what may run now."""
        while self._watch is not None and (batch := self._queue.take()) is not None:
            task = asyncio.create_task(self._decode(batch), name="scheduler decode")
            self._decodes.add(task)
            task.add_done_callback(self._decodes.discard)

    async def _decode(self, batch: Batch[Job]) -> None:
        answers = await self._outcome(batch)
        self._settle(answers)
        self._dispatch()

    async def _outcome(self, batch: Batch[Job]) -> list[Answer[Job]]:
        queue, clock = self._queue, self._clock
        began_s = clock()
        try:
            await self._host.ready()
            began_s = clock()  # the time that an engine is away is none of its pace
            hypotheses = await self._host.decode(
                [(job.samples, job.sample_rate_hz) for job in batch.jobs], batch.options
            )
            now_s = clock()
            return queue.answered(batch, hypotheses, now_s - began_s, now_s)
        except EngineDied as exc:
            return queue.died(batch, str(exc), clock())
        except DecodeError as exc:
            reason = str(exc)
        except Exception as exc:  # noqa: BLE001 - the error belongs to the jobs of this batch
            reason = f"{type(exc).__name__}: {exc}"
        now_s = clock()
        return queue.failed(batch, reason, now_s - began_s, now_s)

    def _settle(self, answers: Sequence[Answer[Job]]) -> None:
        for job, outcome in answers:
            if outcome is None:
                job.result.cancel()
            elif job.result.done():
                continue  # cancelled a moment ago, and its callback has not run yet
            elif isinstance(outcome, DecodeError):
                _report(job, outcome)
                job.result.set_exception(outcome)
            else:
                job.result.set_result(outcome)

    async def _expire(self) -> None:
        pause_s = self._config.final_timeout_s / WATCHES_PER_TIMEOUT
        while True:
            await asyncio.sleep(pause_s)
            self._settle(self._queue.expire(self._clock()))


def _report(job: Job, error: DecodeError) -> None:
    log = _log.debug if job.priority in PARTIALS else _log.warning
    log(
        "segment not decoded",
        reason=str(error),
        priority=job.priority.name.lower(),
        audio_s=round(job.audio_s, 2),
    )
