"""Scores the waiting windows of all legs in one batch per tick, in a thread of its own."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

import structlog

from ruasr_tel.types import Waveform
from ruasr_tel.vad.base import Vad, VadConfig, VadState

_log = structlog.get_logger(__name__)

_Work: TypeAlias = Sequence[tuple[VadState, Waveform]]

_BATCH_WINDOWS = 128
"""Windows of one call to the detector, but for one of each leg: about 4 ms of Silero at 32 us. A
file sent faster than real time has thousands waiting; live legs wait for no more than this."""

_MANY_LEGS = 16
"""From so many legs on, a tick is twice as long: it finds two windows of each, which at 50 calls
saves 15 % of the detector's CPU and of all that is not the engine's (our measurement)."""

_BATCH_TURNS = 16
"""Windows of one leg in one call: alone in its batch, 1.5 ms of Silero at 90 us."""


class WindowSource(Protocol):
    """A leg, as the batcher sees it; called in the event loop only."""

    @property
    def vad_state(self) -> VadState:
        """The detector's memory of this leg, made by `VadBatcher.new_state`."""
        ...

    def take_windows(self) -> Waveform:
        """Hand over every whole window that waits: float32, shape (k, 256) at 8 kHz, k >= 0."""
        ...

    def on_probabilities(self, probabilities: Sequence[float]) -> None:
        """Take the probabilities of the windows handed over first and not yet answered."""
        ...


@dataclass(eq=False, slots=True)
class _Entry:
    """One source and the windows taken from it that are not scored yet."""

    source: WindowSource
    waiting: deque[Waveform] = field(default_factory=deque)
    """As the source handed them over; joining them would cost a fast file more and more."""
    broken: bool = False
    """Whether its failure was logged."""

    def collect(self) -> None:
        """Take what waits at the source."""
        windows = self.source.take_windows()
        if len(windows):
            self.waiting.append(windows)

    def drop(self, count: int) -> None:
        """Forget the first `count` windows of the portion in front."""
        if count < len(self.waiting[0]):
            self.waiting[0] = self.waiting[0][count:]
        else:
            self.waiting.popleft()

    def report(self, method: str) -> None:
        """Log the exception being handled, once per source: ticks come 31 times a second."""
        if not self.broken:
            _log.exception("a leg failed in the voice activity tick", method=method)
        self.broken = True


class VadBatcher:
    """Gives every window of every source to the detector exactly once and in order.

    Args:
        vad: the detector; called from one thread.
        config: how often.

    Attributes:
        windows_scored: windows answered so far, by the detector or in its place.
        cpu_s: CPU seconds of the scoring thread so far.
        failures: batches so far in which the detector failed. Their windows count as speech: words
            are then recognised without a detector rather than lost.
    """

    def __init__(self, vad: Vad, config: VadConfig) -> None:
        self._vad = vad
        self._tick_s = config.tick_ms / 1000
        self._entries: dict[WindowSource, _Entry] = {}
        self._any = asyncio.Event()
        self._hurried: list[WindowSource] = []
        self._hurry = asyncio.Event()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="vad")
        self._task: asyncio.Task[None] | None = None
        self._failing = False
        self.windows_scored = 0
        self.cpu_s = 0.0
        self.failures = 0

    @property
    def tick_s(self) -> float:
        """Seconds between two ticks: as configured, twice that while there are many legs."""
        return self._tick_s * (1 if len(self._entries) < _MANY_LEGS else 2)

    def new_state(self) -> VadState:
        """Return the detector's memory of a leg that has not been heard yet."""
        return self._vad.new_state()

    def add(self, source: WindowSource) -> None:
        """Score this source's windows from now on."""
        self._entries[source] = _Entry(source)
        self._any.set()

    def remove(self, source: WindowSource) -> None:
        """Forget this source: it is not called any more, even if its windows are being scored."""
        self._entries.pop(source, None)
        if not self._entries:
            self._any.clear()

    def hurry(self, source: WindowSource) -> None:
        """Score what waits at this source now, alone, not at the next tick.

        For the few windows on which a start of speech depends: one alone costs the detector three
        times what it costs in a batch, so not for all.
        """
        self._hurried.append(source)
        self._hurry.set()

    async def start(self) -> None:
        """Begin to tick."""
        self._task = asyncio.create_task(self._run(), name="vad")

    async def close(self) -> None:
        """Stop; windows not scored by now stay so. Call it after the legs have ended."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self._pool.shutdown(wait=False)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time()
        while True:
            await self._any.wait()  # nobody here: no ticks
            self._collect(list(self._entries.values()))
            due_s = max(due_s + self.tick_s, loop.time())
            while await self._score_some() and loop.time() < due_s:
                pass  # what a fast source still has, until live legs have new windows
            await self._rest(due_s)

    async def _rest(self, until_s: float) -> None:
        """Sleep until the next tick, but for sources in a hurry."""
        while True:
            try:
                async with asyncio.timeout_at(until_s):
                    await self._hurry.wait()
            except TimeoutError:
                return
            self._hurry.clear()
            hurried, self._hurried = self._hurried, []
            self._collect([self._entries[each] for each in hurried if each in self._entries])
            await self._score_some()

    def _collect(self, entries: Sequence[_Entry]) -> None:
        """Take the windows that wait at these sources."""
        for entry in entries:
            try:
                entry.collect()
            except Exception:  # noqa: BLE001 - one leg's fault must not end all others
                entry.report("take_windows")

    async def _score_some(self) -> bool:
        """Score and answer one batch; return False if nothing waits."""
        batch = [entry for entry in self._entries.values() if entry.waiting]
        if not batch:
            return False
        turns = min(_BATCH_TURNS, max(1, _BATCH_WINDOWS // len(batch)))
        work = [(entry.source.vad_state, entry.waiting[0][:turns]) for entry in batch]
        for entry, answer in zip(batch, await self._probabilities(work), strict=True):
            entry.drop(len(answer))
            self.windows_scored += len(answer)
            if self._entries.get(entry.source) is entry:  # not removed meanwhile
                try:
                    entry.source.on_probabilities(answer)
                except Exception:  # noqa: BLE001 - as above
                    entry.report("on_probabilities")
        return True

    async def _probabilities(self, work: _Work) -> list[list[float]]:
        """Return the detector's answers, or that all is speech where it fails."""
        loop = asyncio.get_running_loop()
        try:
            answers, cpu_s = await loop.run_in_executor(self._pool, self._score, work)
        except Exception:  # noqa: BLE001 - a broken detector must not cost a word
            self.failures += 1
            if not self._failing:
                _log.exception("voice activity detector failed: all audio counts as speech")
            self._failing = True
            return [[1.0] * len(windows) for _, windows in work]
        if self._failing:
            _log.warning("voice activity detector works again", failures=self.failures)
        self._failing = False
        self.cpu_s += cpu_s
        return answers

    def _score(self, work: _Work) -> tuple[list[list[float]], float]:
        """Return the answers and the CPU seconds they took; runs in the pool's thread."""
        started_s = time.thread_time()
        answers = [answer.tolist() for answer in self._vad.score(work)]
        if [len(answer) for answer in answers] != [len(windows) for _, windows in work]:
            raise ValueError("the detector did not answer every window once")
        return answers, time.thread_time() - started_s
