"""The engine as a supervised child process, seen from the server.

sherpa-onnx ends the whole process on many bad models and some bad input (2.0.1, our measurement),
so it never runs in the process that holds calls. A child that ends or hangs is replaced; the
segments it held come back to the caller as `EngineDied`.
"""

import asyncio
import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path

import structlog
from pydantic import Field

from ruasr_tel.engines.base import PLAIN, DecodeOptions, EngineInfo, EngineSpec, Hypothesis
from ruasr_tel.engines.child import Child
from ruasr_tel.engines.hearing import Hearing
from ruasr_tel.engines.prepare import check
from ruasr_tel.errors import DecodeError, EngineDied
from ruasr_tel.section import Section
from ruasr_tel.types import Samples

_log = structlog.get_logger(__name__)


PATIENCE = 70
"""How many times longer a decode may take that nobody waits for: at the lowest priority it gets
1.5 % of a core that others want (`engines.worker.PATIENT_NICENESS`), and is slow, not hung."""


class EngineProcessConfig(Section):
    """How the engine process is watched. Times are our choice; see `hang_timeout_s`."""

    load_timeout_s: float = Field(default=300.0, gt=0.0, le=3600.0)
    """Seconds that a model may take to load."""

    hang_timeout_s: float = Field(default=20.0, gt=0.0, le=600.0)
    """A decode that takes longer, plus `hang_timeout_per_audio_s`, hangs: the process is killed. A
    recording's may take 70 times as long, for it yields the processor to everything else."""

    hang_timeout_per_audio_s: float = Field(default=2.0, ge=0.0, le=60.0)
    """Seconds per second of audio on top; the slowest model that makes sense live needs 0.35."""

    restart_delay_s: float = Field(default=0.1, gt=0.0, le=60.0)
    """Pause before the first restart; doubles with each restart soon after the one before."""

    restart_delay_max_s: float = Field(default=5.0, gt=0.0, le=600.0)
    """Longest pause before a restart; a process that lives longer starts over at the shortest."""

    stop_timeout_s: float = Field(default=5.0, gt=0.0, le=60.0)
    """Seconds that the process has to end by itself when the server stops."""


class EngineProcess:
    """Decodes in a child process; the real `EngineHost`.

    Args:
        spec: what to load.
        config: how to watch it.
    """

    def __init__(self, spec: EngineSpec, config: EngineProcessConfig) -> None:
        self._spec = spec
        self._config = config
        self._info: EngineInfo | None = None
        self._child: Child | None = None
        self._up = asyncio.Event()  # set while there is a child, and for ever when closed
        self._free = asyncio.Semaphore(spec.threads)
        self._supervisor: asyncio.Task[None] | None = None
        self._closed = False
        self.restarts = 0
        """How often the process was replaced."""

    @property
    def info(self) -> EngineInfo:
        """What the engine is and can do; known once it has started."""
        assert self._info is not None, "start() comes first"
        return self._info

    @property
    def slots(self) -> int:
        """Decodes that run at once: the child's worker threads."""
        return (self._info.slots if self._info else 0) or self._spec.threads

    @property
    def pid(self) -> int | None:
        """Process id of the child, or None while there is none."""
        return None if self._child is None else self._child.pid

    def cpu_s(self) -> float:
        """Return the child's user and system time in seconds; 0 while there is none."""
        return 0.0 if self._child is None else cpu_s(self._child.pid)

    async def start(self) -> EngineInfo:
        """Start the child and load the model.

        Raises:
            ModelLoadError: the model cannot be used.
            ConfigError: the engine or its provider is not available.
        """
        child = await self._spawn()
        self._adopt(child)
        self._supervisor = asyncio.create_task(self._supervise(child), name="engine supervisor")
        return self.info

    async def close(self) -> None:
        """End the child; decodes that wait for it raise EngineDied."""
        self._closed = True
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.gather(self._supervisor, return_exceptions=True)
        if self._child is not None:
            await self._child.close(self._config.stop_timeout_s)
        self._up.set()

    async def ready(self) -> None:
        """Wait while the child is restarted.

        Raises:
            EngineDied: it was closed.
        """
        await self._living()

    async def decode(
        self, batch: Sequence[tuple[Samples, int]], options: DecodeOptions = PLAIN
    ) -> list[Hypothesis]:
        """Return one hypothesis per segment, in order; waits while the child is restarted.

        Args:
            batch: at least one segment: int16, shape (n,), n > 0, with its rate in Hz.
            options: what is asked of all of them.

        Raises:
            DecodeError: these segments cannot be decoded.
            EngineDied: the child ended, hung, or was closed while it held them.
        """
        if not batch:
            raise DecodeError("a batch of no segments")
        for samples, rate_hz in batch:
            check(samples, rate_hz)
        limit_s = self._hangs_after_s(sum(len(samples) / rate_hz for samples, rate_hz in batch))
        async with self._free:
            child = await self._living()
            if options.patient and not child.info.slots:  # else it has no threads of its own
                limit_s *= PATIENCE
            return await child.decode(batch, limit_s, options)

    def open_stream(self, sample_rate_hz: int, options: DecodeOptions = PLAIN) -> Hearing | None:
        """Return a new stream; None while there is no child, or if its engine takes none.

        Args:
            sample_rate_hz: of the audio that will be pushed.
            options: what is asked of it.
        """
        if self._child is None or not self.info.streaming:
            return None
        return self._child.open_stream(sample_rate_hz, options)

    @property
    def lag_s(self) -> float:
        """For how long the engine has taken in nothing although audio of streams waits."""
        return 0.0 if self._child is None else self._child.lag_s

    def _hangs_after_s(self, audio_s: float) -> float:
        config = self._config
        return config.hang_timeout_s + config.hang_timeout_per_audio_s * audio_s

    async def _spawn(self) -> Child:
        return await Child.spawn(self._spec, self._config.load_timeout_s, self._hangs_after_s)

    async def _living(self) -> Child:
        while self._child is None:
            if self._closed:
                raise EngineDied("the engine process is closed")
            await self._up.wait()
        return self._child

    def _adopt(self, child: Child) -> None:
        self._info = child.info
        if child.alive:
            self._child = child
            self._up.set()
            # Runs before any decode learns of the end, so none is sent again to a dead child.
            child.on_end = self._bereave
        _log.info(
            "engine ready",
            pid=child.pid,
            model=child.info.model,
            provider=child.info.provider,
            threads=self.slots,
            load_s=round(child.load_s, 2),
        )

        if child.info.fallback:
            _log.warning(
                "engine is slower than it could be",
                provider=child.info.provider,
                reason=child.info.fallback,
            )

    def _bereave(self) -> None:
        self._child = None
        self._up.clear()

    async def _supervise(self, child: Child) -> None:
        config = self._config
        backoff = Backoff(config.restart_delay_s, config.restart_delay_max_s)
        while True:
            began_s = time.monotonic()
            reason = await child.ended()
            _log.error("engine process ended", pid=child.pid, reason=reason, output=child.output)
            backoff.lived(time.monotonic() - began_s)
            child = await self._replace(backoff)
            self.restarts += 1
            self._adopt(child)

    async def _replace(self, backoff: "Backoff") -> Child:
        """Return a new child; tries until it succeeds, and says each new reason once."""
        said = ""
        while True:
            await asyncio.sleep(backoff.pause_s())
            try:
                return await self._spawn()
            except Exception as exc:  # noqa: BLE001 - calls wait: whatever it is, try again
                if str(exc) != said:
                    _log.error("engine does not start again", reason=str(exc))
                said = str(exc)


class Backoff:
    """Pauses before restarts: each twice the one before, until a process lives long enough.

    Args:
        first_s: the shortest pause.
        longest_s: the longest, and how long a process must live for the next to be the shortest.
    """

    def __init__(self, first_s: float, longest_s: float) -> None:
        self._first_s = first_s
        self._longest_s = longest_s
        self._next_s = first_s

    def pause_s(self) -> float:
        """Return how long to wait before the next start."""
        pause_s = min(self._next_s, self._longest_s)
        self._next_s = 2 * pause_s
        return pause_s

    def lived(self, seconds: float) -> None:
        """Take note of how long a process lived."""
        if seconds > self._longest_s:
            self._next_s = self._first_s


def cpu_s(pid: int) -> float:
    """Return user and system time of a running process in seconds; 0 where that is not known.

    From /proc/<pid>/stat, fields 14 and 15 (proc_pid_stat(5)).
    """
    with contextlib.suppress(OSError):
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0
