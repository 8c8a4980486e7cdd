"""The real server as a subprocess, seen only through what it prints and its sockets."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from ruasr_tel.config_env import FOREIGN_NAMES
from ruasr_tel.testing import TIMEOUT_S

ROOT = Path(__file__).parents[2]
WAV = ROOT / "tests/data/wav"
RUASR_TEL = (sys.executable, "-m", "ruasr_tel")

Line: TypeAlias = dict[str, Any]
"""An event or a log line, as JSON has it."""


def environment() -> dict[str, str]:
    """Return this process's environment without settings of ours."""
    foreign = {each.name for each in FOREIGN_NAMES}
    return {
        name: value
        for name, value in os.environ.items()
        if name not in foreign and name != "RUASR_CONFIG" and not name.startswith("RUASR__")
    }


def ruasr_tel(*words: str | Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run one command to its end.

    Args:
        words: of the command line.
        variables: of its environment.

    Raises:
        subprocess.TimeoutExpired: it did not end.
    """
    return subprocess.run(
        [*RUASR_TEL, *map(str, words)],
        cwd=ROOT,
        env=environment() | variables,
        capture_output=True,
        text=True,
        timeout=6 * TIMEOUT_S,
        check=False,
    )


def call(*words: str | Path) -> "subprocess.Popen[str]":
    """Begin `ruasr-tel call`; read it with `communicate`."""
    command = [*RUASR_TEL, "call", *map(str, words)]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=ROOT, env=environment(), stdout=pipe, stderr=pipe, text=True
    )


@dataclass(frozen=True, slots=True)
class HeldSocket:
    """A listening socket as a service manager holds it (sd_listen_fds(3)).

    Attributes:
        name: FileDescriptorName= of its unit.
        fd: its descriptor in this process.
    """

    name: str
    fd: int

    @property
    def hand_over(self) -> tuple[str, ...]:
        """The command that runs another one with this socket."""
        become = (
            "import os, sys; os.dup2(int(sys.argv[1]), 3);"
            "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='1');"
            "os.environ.update(LISTEN_FDNAMES=sys.argv[2]);"
            "os.execv(sys.argv[3], sys.argv[3:])"
        )
        return sys.executable, "-c", become, str(self.fd), self.name


class Server:
    """A running server.

    Its events come by standard output, for the JSON Lines sink writes to any path, its log by
    standard error; threads read both, and tests wait for what they need.

    Args:
        held: a listening socket that it is given as systemd gives the one of a socket unit.
        settings: keys and values, as `--set` takes them.
    """

    def __init__(self, held: HeldSocket | None = None, **settings: object) -> None:
        given = {
            "doors.vosk_ws.port": 0,
            "doors.audiosocket.port": 0,
            "doors.rest.port": 0,
            "sinks.jsonl.path": "/dev/stdout",
            "log.format": "json",
        } | {name.replace("__", "."): value for name, value in settings.items()}
        words = [word for key, value in given.items() for word in ("--set", f"{key}={value}")]
        command = [*RUASR_TEL, "serve", *words]
        self.process = subprocess.Popen(
            command if held is None else [*held.hand_over, *command],
            pass_fds=() if held is None else (held.fd,),
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.urls: dict[str, str] = {}
        self.events: list[Line] = []
        self.log: list[Line] = []
        self.words: list[str] = []
        self.ready = False
        self._over = False
        self._more = threading.Condition()
        self._readers = [
            threading.Thread(target=self._read, args=(stream, take), daemon=True)
            for stream, take in (
                (self.process.stdout, self._take_event),
                (self.process.stderr, self._take_said),
            )
        ]
        for reader in self._readers:
            reader.start()

    def until(self, done: Callable[[], bool], what: str, timeout_s: float = 3 * TIMEOUT_S) -> None:
        """Wait until the server said what `done` looks for.

        Raises:
            TimeoutError: it did not; shows its log.
        """
        with self._more:
            if not self._more.wait_for(done, timeout_s):
                raise TimeoutError(f"no {what} within {timeout_s:g} s; log: {self.log[-20:]}")

    def until_ready(self) -> None:
        """Wait until every door is open.

        Raises:
            TimeoutError: they are not.
            RuntimeError: the server has ended instead; shows what it said.
        """
        self.until(lambda: self.ready or self._over, "`ready`")
        if not self.ready:
            raise RuntimeError(f"the server ended at its start: {self.words[-5:]}")

    def of(self, event: str, call_id: str | None = None) -> list[Line]:
        """Return the events of one kind so far, of one call or of all."""
        found = [line for line in self.events if line["event"] == event]
        return [line for line in found if call_id in (None, line["call_id"])]

    def ended(self, *call_ids: str) -> list[Line]:
        """Wait for the ends of calls; return them.

        Raises:
            TimeoutError: one did not end.
        """

        def ends() -> list[Line]:
            return [end for call_id in call_ids for end in self.of("CallEnded", call_id)]

        self.until(lambda: len(ends()) == len(call_ids), "end of a call")
        return ends()

    def said(self, event: str) -> list[Line]:
        """Return the log lines of one kind so far."""
        return [line for line in self.log if line["event"] == event]

    @property
    def engine_pid(self) -> int:
        """Process id of the engine that was started last."""
        pid: int = [line["pid"] for line in self.log if line["event"] == "engine ready"][-1]
        return pid

    def port(self, door: str) -> int:
        """Return the port of a door."""
        return int(self.urls[door].rpartition(":")[2])

    def stop(self) -> int:
        """Ask it to stop; return its exit code once all it said was read."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self) -> int:
        """Wait for its end; return its exit code once all it said was read."""
        code = self.process.wait(6 * TIMEOUT_S)
        for reader in self._readers:
            reader.join(TIMEOUT_S)
        return code

    def _read(self, stream: Iterator[str], take: Callable[[str], None]) -> None:
        for line in stream:
            with self._more:
                take(line.rstrip("\n"))
                self._more.notify_all()
        with self._more:
            self._over = True
            self._more.notify_all()

    def _take_event(self, line: str) -> None:
        self.events.append(json.loads(line))

    def _take_said(self, line: str) -> None:
        self.words.append(line)
        if not line.startswith("{"):
            return  # the sentence of a start that failed
        said = json.loads(line)
        self.log.append(said)
        if said["event"] == "door open":
            self.urls[said["door"]] = said["url"]
        self.ready = self.ready or said["event"] == "ready"


@contextmanager
def running(held: HeldSocket | None = None, **settings: object) -> Iterator[Server]:
    """Run a server; at the end it is stopped, and killed if it does not stop."""
    with starting(held, **settings) as server:
        server.until_ready()
        yield server


@contextmanager
def starting(held: HeldSocket | None = None, **settings: object) -> Iterator[Server]:
    """Run a server that need not be ready yet."""
    server = Server(held, **settings)
    try:
        yield server
        if server.process.poll() is None:
            server.stop()
    finally:
        server.process.kill()
        server.process.wait()
        for stream in (server.process.stdout, server.process.stderr):
            assert stream is not None
            stream.close()
