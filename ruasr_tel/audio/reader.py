"""Reads recordings of strangers: a process of its own decodes them (decoder.py), this one is safe.

Back-pressure is the socket's: the process waits while nobody takes its blocks.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np
import structlog
from pydantic import Field

from ruasr_tel.audio import wire
from ruasr_tel.errors import AudioFormatError, DecoderDied, ProtocolError
from ruasr_tel.section import Section
from ruasr_tel.types import Block

COMMAND = (sys.executable, "-P", "-m", "ruasr_tel.audio.decoder")
END_S = 5.0
"""How long a process may live after its socket was closed; ours ends at once."""
OUTPUT_BYTES = 2000
"""How much of what it printed is logged with its end."""
_PASSED_ON = ("LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME")
"""All it gets of the server's environment, which holds passwords."""

_log = structlog.get_logger(__name__)


class DecodingConfig(Section):
    """What the process may take that decodes one recording."""

    memory_mb: int = Field(1024, ge=512, le=65_536)
    """Address space in MB; 230 are taken before the first block (our measurement)."""
    cpu_s: int = Field(3600, ge=1, le=86_400)
    """Time on a processor in seconds."""
    stall_s: float = Field(60.0, gt=0, le=3600)
    """Longest wait for the next block, in seconds."""
    niceness: int = Field(10, ge=0, le=19)
    """How far it stands back behind live calls (nice(2)); at 10 its weight is a tenth of theirs."""


class Reader:
    """Has files decoded, one after the other; for one thread at a time, `kill` for any.

    The process starts with the first file, and again when it has ended or a file was left before
    its end.

    Args:
        config: limits.
        command: what to start; a socket's number and the limits are added.
    """

    def __init__(
        self, config: DecodingConfig | None = None, command: tuple[str, ...] = COMMAND
    ) -> None:
        self._config = config or DecodingConfig()
        self._command = command
        self._life: _Life | None = None
        self._killed = False
        self._changing = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The process, or None where there is none."""
        return None if self._life is None else self._life.process.pid

    def open(
        self, source: BinaryIO, name: str, lowest_hz: int = 0, highest_hz: int = 0
    ) -> "Reading":
        """Begin to read a file. Blocking.

        Args:
            source: a real file, open for reading bytes; not needed any more afterwards.
            name: what to call it in errors; its suffix tells what a file without a header holds.
            lowest_hz: a file of a lower rate is resampled to this one.
            highest_hz: the same for higher ones; 0 for any rate, as it is.

        Raises:
            AudioFormatError: the file is empty or holds no audio; names the file and the reason.
            DecoderDied: it ended the decoder, or brought it to a standstill.
        """
        life = self._ready()
        try:
            head = life.ask(wire.Request(name, lowest_hz, highest_hz), source.fileno())
        except BaseException:
            if life.busy:
                self.close()
            raise
        return Reading(life, head)

    def open_path(self, path: Path, lowest_hz: int = 0, highest_hz: int = 0) -> "Reading":
        """Begin to read the file of a path; otherwise as `open`.

        Raises:
            AudioFormatError: also when there is no such file.
            DecoderDied: as `open`.
        """
        try:
            source = path.open("rb")
        except OSError as exc:
            raise AudioFormatError(f"{path}: {exc.strerror}") from exc
        with source:
            return self.open(source, str(path), lowest_hz, highest_hz)

    def kill(self) -> None:
        """End the process now and for good; who waits for a block gets DecoderDied."""
        with self._changing:
            self._killed = True
            if self._life is not None:
                self._life.process.kill()

    def close(self) -> None:
        """End the process; no block can be read any more. Blocking."""
        with self._changing:
            life, self._life = self._life, None
        if life is not None:
            life.close()

    def _ready(self) -> "_Life":
        """Return a process that waits for a file."""
        if self._life is not None and (self._life.busy or self._life.process.poll() is not None):
            self.close()
        with self._changing:
            if self._killed:
                raise DecoderDied("the decoder is not wanted any more")
            if self._life is None:
                self._life = _Life(self._config, self._command)
            return self._life


class Reading:
    """One file being read; made by `Reader.open`.

    Attributes:
        channels: number of audio channels.
        sample_rate_hz: rate of the blocks.
        declared_s: length in seconds as the file states or lets estimate it, or None.
        fault: after the last block: what could not be read, or None when all was read.
    """

    def __init__(self, life: "_Life", head: wire.Head) -> None:
        self._life = life
        self.channels = head.channels
        self.sample_rate_hz = head.sample_rate_hz
        self.declared_s = head.declared_s
        self.fault: str | None = None

    def blocks(self) -> Iterator[Block]:
        """Yield the audio in order, once, a few thousand samples at a time. Blocking.

        Damaged parts are left out and a cut recording ends early; `fault` then says so.

        Raises:
            AudioFormatError: not one sample could be decoded; names the file and the reason.
            DecoderDied: the file ended the decoder, or brought it to a standstill.
        """
        while True:
            message = self._life.next(self.channels)
            if isinstance(message, wire.End):
                self.fault = message.fault
                return
            yield np.frombuffer(message, np.int16).reshape(self.channels, -1)


class _Life:
    """One life of the process.

    Attributes:
        process: it.
        busy: whether it is reading a file.
    """

    def __init__(self, config: DecodingConfig, command: tuple[str, ...]) -> None:
        self._config = config
        self._name = ""
        self.busy = False
        limits = config.model_dump(include={"memory_mb", "cpu_s", "niceness"})
        with contextlib.ExitStack() as stack:
            self._sock, theirs = socket.socketpair()
            stack.callback(self._sock.close)
            self._output = stack.enter_context(tempfile.TemporaryFile())
            with theirs:
                fd = theirs.fileno()
                self.process = subprocess.Popen(
                    [*command, str(fd), json.dumps(limits)],
                    pass_fds=[fd],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=self._output,
                    env={key: os.environ[key] for key in _PASSED_ON if key in os.environ}
                    | {"OPENBLAS_NUM_THREADS": "1"},  # no threads, no memory for them
                )
            stack.pop_all()

    def ask(self, request: wire.Request, fd: int) -> wire.Head:
        """Hand a file over; return what it is.

        Raises:
            AudioFormatError: no audio.
            DecoderDied: it ended the process.
        """
        self.busy, self._name = True, request.name
        try:
            socket.send_fds(self._sock, [wire.encode(request)], [fd])
        except OSError:
            raise self._died() from None
        kind, content = self._frame()
        if kind is not wire.Kind.HEAD:
            raise self._lied(f"a frame of kind {kind} first")
        try:
            head = wire.parse_head(content)
        except ProtocolError as exc:
            raise self._lied(str(exc)) from exc
        wanted = range(request.lowest_hz, request.highest_hz + 1)
        if wanted.stop > 1 and head.sample_rate_hz not in wanted:
            raise self._lied(f"a rate of {head.sample_rate_hz} Hz")
        return head

    def next(self, channels: int) -> bytearray | wire.End:
        """Return the audio of the next block, or the end.

        Raises:
            AudioFormatError: no audio.
            DecoderDied: the file ended the process.
        """
        kind, content = self._frame()
        try:
            if kind is wire.Kind.END:
                self.busy = False
                return wire.parse_end(content)
            if kind is wire.Kind.BLOCK:
                return wire.check_block(content, channels)
        except ProtocolError as exc:
            raise self._lied(str(exc)) from exc
        raise self._lied(f"a frame of kind {kind} among blocks")

    def close(self) -> None:
        """End the process."""
        self._sock.close()
        self.process.kill()
        self.process.wait()
        self._output.close()

    def _frame(self) -> tuple[wire.Kind, bytearray]:
        """Return the next frame; a refusal is raised."""
        deadline_s = time.monotonic() + self._config.stall_s
        try:
            kind, length = wire.parse_header(self._exactly(wire.HEADER.size, deadline_s))
            content = self._exactly(length, deadline_s)
            if kind is not wire.Kind.REFUSED:
                return kind, content
            reason = wire.parse_refused(content).reason
        except ProtocolError as exc:
            raise self._lied(str(exc)) from exc
        except TimeoutError:
            raise self._stalled() from None
        except (EOFError, OSError):
            raise self._died() from None
        self.busy = False
        raise AudioFormatError(reason)

    def _exactly(self, count: int, deadline_s: float) -> bytearray:
        buffer = bytearray(count)
        view = memoryview(buffer)
        while view:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                raise TimeoutError
            self._sock.settimeout(left_s)
            got = self._sock.recv_into(view)
            if not got:
                raise EOFError
            view = view[got:]
        return buffer

    def _lied(self, what: str) -> DecoderDied:
        self.process.kill()
        self._report(f"it sent {what}")
        return DecoderDied(f"{self._name}: reading it upset the decoder (it sent {what})")

    def _stalled(self) -> DecoderDied:
        self.process.kill()
        self._report("it stood still")
        return DecoderDied(
            f"{self._name}: decoding it stood still for {self._config.stall_s:g} s "
            "(recordings.decoding.stall_s)"
        )

    def _died(self) -> AudioFormatError:
        """Return why the process ended."""
        try:
            code = self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            return self._lied("the end of the connection")
        if code == -signal.SIGXCPU:
            return AudioFormatError(
                f"{self._name}: decoding it took more than {self._config.cpu_s} s of processor "
                "time (recordings.decoding.cpu_s)"
            )
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        self._report(how)
        return DecoderDied(
            f"{self._name}: reading it ended the decoder ({how}); the file is damaged, or made to "
            "do harm"
        )

    def _report(self, how: str) -> None:
        self._output.seek(0, os.SEEK_END)
        self._output.seek(max(0, self._output.tell() - OUTPUT_BYTES))
        said = self._output.read().decode(errors="replace").strip()
        _log.warning("decoder ended", pid=self.process.pid, why=how, output=said)
