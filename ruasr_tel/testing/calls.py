"""A whole core in one process, for tests of doors: scripted engine, energy detector, no files."""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar, cast

from ruasr_tel.call import Calls, CallsConfig
from ruasr_tel.engines import wire
from ruasr_tel.engines.base import (
    PLAIN,
    DecodeOptions,
    Engine,
    EngineInfo,
    EngineSpec,
    Hypothesis,
    StreamingEngine,
)
from ruasr_tel.engines.hearing import Hearing, Hearings
from ruasr_tel.engines.prepare import clip, prepare
from ruasr_tel.engines.scripted import create
from ruasr_tel.engines.streams import Streams
from ruasr_tel.errors import DecodeError
from ruasr_tel.events import Event
from ruasr_tel.metrics import Metrics
from ruasr_tel.profile import DEFAULT_PROFILES, Profile
from ruasr_tel.recognisers import Recognisers
from ruasr_tel.scheduler import EngineHost, Priority, Scheduler, SchedulerConfig
from ruasr_tel.types import Samples
from ruasr_tel.vad import VadBatcher, VadConfig
from ruasr_tel.vad.base import Vad
from ruasr_tel.vad.energy import EnergyVad

EventT = TypeVar("EventT", bound=Event)

TIMEOUT_S = 10.0 * float(os.environ.get("RUASR_TEST_TIMEOUT_FACTOR", "1"))
"""How long a test waits for what must happen; a slow machine multiplies it by the variable."""


class ThreadHost:
    """Decodes in a thread of this process: for engines that cannot hurt it.

    Args:
        engine: what decodes.
        slots: decodes at once.
    """

    def __init__(self, engine: Engine, slots: int = 2) -> None:
        self._engine = engine
        self.slots = slots
        self._hearings: Hearings | None = None

    @property
    def info(self) -> EngineInfo:
        """What the engine is and can do."""
        return self._engine.info

    async def ready(self) -> None:
        """Return at once: a thread is always there."""

    async def decode(
        self, batch: Sequence[tuple[Samples, int]], options: DecodeOptions = PLAIN
    ) -> list[Hypothesis]:
        """Return one hypothesis per segment.

        Raises:
            DecodeError: the engine could not.
        """
        return await asyncio.to_thread(self._decode, batch, options)

    def open_stream(self, sample_rate_hz: int, options: DecodeOptions = PLAIN) -> Hearing | None:
        """Return a new stream; None if the engine takes none."""
        if not self.info.streaming:
            return None
        if self._hearings is None:
            self._hearings = self._begin_streams()
        return self._hearings.open(sample_rate_hz, options)

    @property
    def lag_s(self) -> float:
        """For how long the engine has taken in nothing although audio of streams waits."""
        return 0.0 if self._hearings is None else self._hearings.lag_s

    def _begin_streams(self) -> Hearings:
        loop = asyncio.get_running_loop()

        def tell(message: wire.Message) -> None:
            assert isinstance(message, wire.Heard | wire.Finished | wire.Lost)
            with contextlib.suppress(RuntimeError):  # the test is over
                loop.call_soon_threadsafe(hearings.receive, message)

        streams = Streams(cast(StreamingEngine, self._engine), tell)
        hearings = Hearings(streams.put)
        threading.Thread(target=streams.run, daemon=True, name="streams").start()
        return hearings

    def _decode(
        self, batch: Sequence[tuple[Samples, int]], options: DecodeOptions
    ) -> list[Hypothesis]:
        try:
            answers = self._engine.decode(
                [prepare(*segment, self.info) for segment in batch], options
            )
        except RuntimeError as error:
            raise DecodeError(str(error)) from error
        pairs = zip(answers, batch, strict=False)
        return [clip(answer, len(samples) / rate_hz) for answer, (samples, rate_hz) in pairs]


def scripted_host(**options: str | int | float | bool) -> ThreadHost:
    """Return a host of the scripted engine; options as in engines/scripted.py."""
    return ThreadHost(create(EngineSpec("scripted", "scripted", options=options)))


class Recorder:
    """Takes events and lets a test wait for them."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._more = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, event: Event) -> None:
        """Take one event, in the event loop."""
        self.events.append(event)
        task = asyncio.get_running_loop().create_task(self._tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def of(self, kind: type[EventT]) -> list[EventT]:
        """Return the events of one kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    async def until(self, kind: type[EventT], count: int = 1) -> list[EventT]:
        """Wait for so many events of a kind.

        Raises:
            TimeoutError: they did not come.
        """
        async with asyncio.timeout(TIMEOUT_S), self._more:
            await self._more.wait_for(lambda: len(self.of(kind)) >= count)
        return self.of(kind)

    async def _tell(self) -> None:
        async with self._more:
            self._more.notify_all()


@asynccontextmanager
async def running_calls(
    host: EngineHost | None = None,
    *,
    config: CallsConfig | None = None,
    profiles: Mapping[str, Profile] = DEFAULT_PROFILES,
    scheduler_config: SchedulerConfig | None = None,
    vad: Vad | None = None,
    tick_ms: int = 1,
    publish: Callable[[Event], None] = lambda _event: None,
    metrics: Metrics | None = None,
    mono: Callable[[], float] = time.monotonic,
    priority: Priority = Priority.FINAL,
) -> AsyncIterator[Calls]:
    """Run everything between a door and its text; at the end every call is ended.

    Args:
        host: where decodes run; the scripted engine if None.
        config: limits.
        profiles: by name.
        scheduler_config: how calls share the engine.
        vad: the detector; by energy if None.
        tick_ms: how often windows are scored.
        publish: takes every event of every call.
        metrics: counts; if None, nobody reads them.
        mono: the clock of the legs.
        priority: of their segments; BULK for recordings.
    """
    scheduler = Scheduler(host or scripted_host(), scheduler_config or SchedulerConfig())
    batcher = VadBatcher(vad or EnergyVad(), VadConfig(tick_ms=tick_ms))
    calls = Calls(
        config or CallsConfig(),
        profiles,
        Recognisers.only(scheduler),
        batcher,
        publish,
        metrics or Metrics(),
        mono,
        priority,
    )
    await scheduler.start()
    await batcher.start()
    if priority is not Priority.BULK:  # a file's audio is never late
        await calls.start()
    try:
        yield calls
    finally:
        await calls.close()
        await batcher.close()
        await scheduler.close()
