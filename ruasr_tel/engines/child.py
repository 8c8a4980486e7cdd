"""One life of the engine process: started, loaded, asked, ended."""

import asyncio
import codecs
import contextlib
import math
import os
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar, cast

import structlog

from ruasr_tel.engines import wire
from ruasr_tel.engines.base import PLAIN, DecodeOptions, EngineInfo, EngineSpec, Hypothesis
from ruasr_tel.engines.hearing import Hearing, Hearings
from ruasr_tel.errors import (
    ConfigError,
    DecodeError,
    EngineDied,
    EngineError,
    ModelLoadError,
    ProtocolError,
)

T = TypeVar("T")

_log = structlog.get_logger(__name__)

KEPT_LINES = 20
"""Lines of the child's output that are kept to explain its end."""

REASON_LINES = 3
"""How many of them go into the sentence for the operator."""

LONGEST_LINE = 1000
"""Characters kept of a line."""

ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""numpy's matrix library starts a thread per CPU, which wait for work by spinning: features of 1 s
took 4.0 ms of CPU with them and 0.5 without, a whole decode 9.1 and 2.8 (our measurement)."""

DRAIN_TIMEOUT_S = 1.0
"""How long to read the output of a child that has ended; a grandchild may hold it open."""

GRACE_S = 1.0
"""How long a process may live after it closed its socket; ours never does."""


class Child(asyncio.Protocol):
    """A running engine process; made by `spawn`.

    Attributes:
        pid: its process id.
        info: what it loaded.
        load_s: how long that took, in seconds.
        alive: whether it takes decodes.
        on_end: called once when it takes none any more, before any of those it holds learns of it.
    """

    info: EngineInfo
    load_s: float

    def __init__(
        self, process: Process, spec: EngineSpec, hangs_after_s: Callable[[float], float]
    ) -> None:
        loop = asyncio.get_running_loop()
        self.pid = process.pid
        self.alive = True
        self.on_end: Callable[[], None] | None = None
        self._process = process
        self._spec = spec
        self._transport: asyncio.WriteTransport | None = None
        self._parser = wire.FrameParser()
        self._ready: asyncio.Future[wire.Ready] = loop.create_future()
        self._pending: dict[int, asyncio.Future[list[Hypothesis]]] = {}
        self._requests = 0
        self._hangs_after_s = hangs_after_s
        self._hearings = Hearings(self._send_piece)
        self._stream_watch: asyncio.TimerHandle | None = None
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        self._verdict = ""  # why we ended it
        self._killed = False
        self._grace: asyncio.TimerHandle | None = None
        self._reading = asyncio.create_task(self._read_output(), name="engine output")
        self._life = asyncio.create_task(self._live(), name="engine life")

    @classmethod
    async def spawn(
        cls,
        spec: EngineSpec,
        load_timeout_s: float,
        hangs_after_s: Callable[[float], float] = lambda audio_s: math.inf,
    ) -> "Child":
        """Start a process and wait until it has loaded the model.

        Args:
            spec: what to load.
            load_timeout_s: longest wait for it.
            hangs_after_s: tells for how long the process may take in nothing of so many seconds of
                streams before it counts as hung and is killed.

        Raises:
            ModelLoadError: the model cannot be used, or took too long.
            ConfigError: the engine or its provider is not available.
            OSError: no process can be started.
        """
        ours, theirs = socket.socketpair()
        fd = theirs.fileno()
        try:
            with theirs:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-P", "-m", "ruasr_tel.engines.worker", str(fd)),
                    pass_fds=[fd],
                    env={**ONE_THREAD, **os.environ},
                    stdin=DEVNULL,
                    stdout=PIPE,
                    stderr=STDOUT,
                )
        except BaseException:
            ours.close()
            raise
        child = cls(process, spec, hangs_after_s)
        try:
            await asyncio.get_running_loop().create_connection(lambda: child, sock=ours)
            await child._load(load_timeout_s)
        except BaseException:
            child.kill("it is not wanted any more")
            await child.ended()
            raise
        return child

    @property
    def output(self) -> list[str]:
        """The last lines it printed."""
        return list(self._lines)

    async def decode(
        self, batch: Sequence[wire.Segment], limit_s: float, options: DecodeOptions = PLAIN
    ) -> list[Hypothesis]:
        """Return one hypothesis per segment.

        Args:
            batch: checked segments, at least one.
            limit_s: seconds after which the decode counts as hung and the process is killed.
            options: what is asked of it.

        Raises:
            DecodeError: the engine could not decode them.
            EngineDied: the process ended while it held them.
        """
        self._requests += 1
        number = self._requests
        answer: asyncio.Future[list[Hypothesis]] = asyncio.get_running_loop().create_future()
        self._pending[number] = answer
        hang = asyncio.get_running_loop().call_later(
            limit_s, self.kill, f"a decode did not come back within {limit_s:.1f} s"
        )
        try:
            for chunk in wire.encode_request(number, batch, options):
                self._write(chunk)
            return await answer
        finally:
            hang.cancel()
            self._pending.pop(number, None)

    def open_stream(self, sample_rate_hz: int, options: DecodeOptions) -> Hearing:
        """Return a new stream through the process; it must be alive and its engine streaming."""
        return self._hearings.open(sample_rate_hz, options)

    @property
    def lag_s(self) -> float:
        """For how long it has taken in nothing although audio of streams waits."""
        return self._hearings.lag_s

    async def ended(self) -> str:
        """Wait for its end; return why it ended."""
        return await asyncio.shield(self._life)

    def kill(self, verdict: str) -> None:
        """End it now; `verdict` is what its decodes are told."""
        self._verdict = self._verdict or verdict
        self._retire()
        if not self._killed:
            self._killed = True
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def close(self, timeout_s: float) -> None:
        """Ask it to end by closing the socket, and kill it if it does not."""
        self._verdict = self._verdict or "the engine process is closed"
        if self._transport is not None:
            self._transport.close()
        done, _ = await asyncio.wait([self._life], timeout=timeout_s)
        if not done:
            self.kill(self._verdict)
            await self.ended()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio: the socket is ours."""
        # uvloop's transports derive from none of asyncio's classes.
        self._transport = cast(asyncio.WriteTransport, transport)

    def data_received(self, data: bytes) -> None:
        """Called by asyncio: part of an answer came."""
        try:
            for content in self._parser.feed(data):
                self._receive(wire.parse_message(content))
        except ProtocolError as exc:
            self.kill(f"it sent what is not an answer: {exc}")

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio: the socket is closed, so the process ends, or is useless.

        It is not killed at once: `subprocess.Popen.send_signal` of a process that has just ended
        takes its exit status away from asyncio (CPython 3.11), and with it the reason of its end.
        """
        self._retire()
        if not self._verdict:
            loop = asyncio.get_running_loop()
            self._grace = loop.call_later(GRACE_S, self.kill, "it closed its socket")

    def _send_piece(self, piece: wire.Audio) -> None:
        if not self.alive:
            return  # the streams are told when it is known why
        self._write(b"".join(wire.encode_piece(piece)))
        if self._stream_watch is None:
            self._watch_streams()

    def _watch_streams(self) -> None:
        """See that streams are advanced; look again for as long as audio of them waits."""
        lag_s, limit_s = self._hearings.lag_s, self._hangs_after_s(self._hearings.owed_s)
        self._stream_watch = None
        if lag_s >= limit_s:
            self.kill(f"streams were not advanced within {limit_s:.1f} s")
        elif self._hearings.waits and math.isfinite(limit_s):
            loop = asyncio.get_running_loop()
            self._stream_watch = loop.call_later(limit_s - lag_s, self._watch_streams)

    def _write(self, data: bytes | memoryview) -> None:
        assert self._transport is not None
        self._transport.write(data)

    def _receive(self, message: wire.Message) -> None:
        match message:
            case wire.Ready():
                _settle(self._ready, message)
            case wire.Failed(kind=kind, reason=reason):
                error = ConfigError if kind == ConfigError.__name__ else ModelLoadError
                _fail(self._ready, error(reason))
            case wire.Decoded(request=number, hypotheses=hypotheses):
                if number in self._pending:
                    _settle(self._pending[number], list(hypotheses))
            case wire.Refused(request=number, reason=reason):
                if number in self._pending:
                    _fail(self._pending[number], DecodeError(reason))
            case wire.Heard() | wire.Finished() | wire.Lost():
                self._hearings.receive(message)

    async def _load(self, timeout_s: float) -> None:
        self._write(wire.encode_spec(self._spec))
        try:
            async with asyncio.timeout(timeout_s):
                ready = await self._ready
        except TimeoutError:
            raise ModelLoadError(
                f"model {self._spec.model} did not load within {timeout_s:g} s"
            ) from None
        self.info, self.load_s = ready.info, ready.load_s

    async def _live(self) -> str:
        """Wait for the end of the process, then tell everybody who waits; return the reason."""
        code = await self._process.wait()
        await asyncio.wait([self._reading], timeout=DRAIN_TIMEOUT_S)
        self._reading.cancel()
        if self._grace is not None:
            self._grace.cancel()
        if self._transport is not None:
            self._transport.close()
        reason = self._verdict or _describe(code)
        self._retire()
        _fail(self._ready, self._load_error(reason))
        if not self._ready.cancelled():
            self._ready.exception()  # nobody may be waiting for it any more
        if self._stream_watch is not None:
            self._stream_watch.cancel()
        for answer in self._pending.values():
            _fail(answer, EngineDied(reason))
        self._hearings.fail(EngineDied(reason))
        return reason

    def _retire(self) -> None:
        """Take no decodes any more, and tell the owner so."""
        if self.alive and self.on_end is not None:
            self.on_end()
        self.alive = False

    async def _read_output(self) -> None:
        """Keep what it prints: some engines explain their end only there."""
        assert self._process.stdout is not None
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        rest = ""
        while data := await self._process.stdout.read(65536):
            *lines, rest = (rest + decoder.decode(data)).split("\n")
            rest = rest[-LONGEST_LINE:]
            for line in filter(None, map(str.strip, lines)):
                self._lines.append(line[:LONGEST_LINE])
                _log.debug("engine output", pid=self.pid, line=line)
        if rest.strip():
            self._lines.append(rest.strip())

    def _load_error(self, reason: str) -> EngineError:
        spec = self._spec
        said = " | ".join(list(self._lines)[-REASON_LINES:]) or "it printed nothing"
        what = f"model {spec.model}" if spec.model_dir is None else f"the model in {spec.model_dir}"
        folder = spec.model_dir or "DIR"
        return ModelLoadError(
            f"{what} ended the engine process while it was loaded ({reason}): {said}; "
            f"`ruasr-tel doctor --model {folder}` says what is wrong with it"
        )


def _settle(future: asyncio.Future[T], value: T) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: asyncio.Future[T], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


def _describe(code: int) -> str:
    """Return an exit status in words; asyncio gives signals as negative numbers."""
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
