"""Hands every event to every sink, each in its own time; a slow sink loses its own events only."""

import asyncio
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import structlog
from pydantic import Field

from ruasr_tel.events import Event, SpeechStarted
from ruasr_tel.section import Section
from ruasr_tel.sinks.base import Sink
from ruasr_tel.sinks.jsonl import JsonlConfig, JsonlSink
from ruasr_tel.sinks.log import LogSink, LogSinkConfig

_log = structlog.get_logger(__name__)

GATHER_S = 0.1
"""Events but speech starts are written at most this late, all that came meanwhile at once. To wake
a thread for each cost more than to write it: a sixth of the server's CPU at 50 calls (our
measurement)."""


class SinksConfig(Section):
    """Where events go."""

    log: LogSinkConfig = LogSinkConfig()
    """The server's own log."""
    jsonl: JsonlConfig = JsonlConfig()
    """A file of JSON lines."""
    queue: int = Field(10_000, ge=10, le=1_000_000)
    """Events that wait for a slow sink; further ones are lost for it and counted."""

    def sinks(self) -> list[Sink]:
        """Make the sinks that are switched on.

        Raises:
            ConfigError: a file cannot be written.
        """
        made: list[Sink] = []
        if self.log.enabled:
            made.append(LogSink())
        if self.jsonl.path is not None:
            made.append(JsonlSink(self.jsonl.path))
        return made


class Fanout:
    """All sinks of one server.

    Args:
        sinks: what to write to.
        queue: events that may wait for each.
    """

    def __init__(self, sinks: Sequence[Sink], queue: int) -> None:
        self._lanes = [_Lane(sink, queue) for sink in sinks]

    def publish(self, event: Event) -> None:
        """Hand over one event; never blocks, never raises."""
        for lane in self._lanes:
            lane.put(event)

    async def start(self) -> None:
        """Begin to write."""
        for lane in self._lanes:
            lane.start()

    async def close(self) -> None:
        """Write what waits, then close the sinks."""
        await asyncio.gather(*(lane.close() for lane in self._lanes))


class _Lane:
    """One sink, its queue and its thread."""

    def __init__(self, sink: Sink, queue: int) -> None:
        self._sink = sink
        self._queue = queue
        self._events: deque[Event] = deque()
        self._lost = 0
        self._more = asyncio.Event()
        self._gathering: asyncio.TimerHandle | None = None
        self._closing = False
        self._pool = ThreadPoolExecutor(1, f"sink-{sink.name}")
        self._task: asyncio.Task[None] | None = None

    def put(self, event: Event) -> None:
        if len(self._events) >= self._queue:
            self._lost += 1
        else:
            self._events.append(event)
        if isinstance(event, SpeechStarted):
            self._more.set()  # a prompt is to stop under the caller's first word
        if self._gathering is None:
            self._gathering = asyncio.get_running_loop().call_later(GATHER_S, self._more.set)

    def start(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        self._closing = True
        self._more.set()
        if self._task is not None:
            await self._task
        try:
            await self._in_thread(self._sink.close)
        except Exception as error:  # noqa: BLE001 - a full disk must not spoil the server's end
            _log.error("a sink failed", sink=self._sink.name, lost=0, error=str(error))
        self._pool.shutdown(wait=False)

    async def _run(self) -> None:
        while self._events or not self._closing:
            await self._more.wait()
            self._more.clear()
            self._gathering = None
            events = list(self._events)
            self._events.clear()
            lost, self._lost = self._lost, 0
            if lost:
                _log.warning("a slow sink lost events", sink=self._sink.name, lost=lost)
            if events:
                await self._write(events)

    async def _write(self, events: Sequence[Event]) -> None:
        try:
            await self._in_thread(self._sink.write, events)
        except Exception as error:  # noqa: BLE001 - a broken sink must not end the others
            _log.error("a sink failed", sink=self._sink.name, lost=len(events), error=str(error))

    async def _in_thread(self, function: object, *args: object) -> None:
        await asyncio.get_running_loop().run_in_executor(self._pool, function, *args)  # type: ignore[arg-type]
