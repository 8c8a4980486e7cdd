"""One run: the server, the phones, and what both left behind."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.bench.metered import Taken
from tests.bench.script import FRAME_S, RAMP_S, Script, scripts
from tests.e2e.server import environment

ROOT = Path(__file__).resolve().parents[2]
READY_S = 60.0
"""The server loads its model in so long."""
STOP_S = 60.0
"""After the last hang-up all finals are out in so long, and the server has stopped."""


class Broken(Exception):
    """A run that cannot be judged; the message holds the end of the server's log."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What the phones did.

    Attributes:
        wall_s: seconds from the first dial to the last hang-up.
        cpu_s: CPU seconds of the phones.
        latest_s: how late the latest frame was.
        sent_at: per call, the wall-clock second at which each of its frames was written.
        faults: what went wrong, by call.
    """

    wall_s: float
    cpu_s: float
    latest_s: float
    sent_at: list[list[float]]
    faults: list[str]


@dataclass(frozen=True, slots=True)
class Run:
    """What one run left behind.

    Attributes:
        taken: what the server took.
        sent: what the phones did.
        events: the server's events, in order, as its JSON Lines sink wrote them.
        load: load averages of the machine (1 min) before and after.
    """

    taken: Taken
    sent: Sent
    events: list[dict[str, Any]]
    load: tuple[float, float]

    @property
    def audio_s(self) -> float:
        """Seconds of audio that were sent, of all calls together."""
        return sum(map(len, self.sent.sent_at)) * FRAME_S

    def per_call(self, cpu_s: float) -> float:
        """Return CPU seconds as milliseconds per call and second of its audio."""
        return 1000 * cpu_s / self.audio_s


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run.

    Attributes:
        calls: calls at once.
        seconds: how long all of them talk at once.
        seed: of the script.
        ramp_s: over how many seconds they begin.
        wrap: whether to time the server's functions.
        settings: configuration of the server, KEY=VALUE.
        meanwhile: called in this process while the phones play, with the server's log.
    """

    calls: int
    seconds: float
    seed: int = 1
    ramp_s: float = RAMP_S
    wrap: bool = False
    settings: tuple[str, ...] = ()
    meanwhile: Callable[[Path], None] | None = field(default=None, compare=False)

    @property
    def scripts(self) -> list[Script]:
        """What the phones play."""
        return scripts(self.calls, self.seconds, self.seed, self.ramp_s)


def run(plan: Plan) -> Run:
    """Run a plan from an idle server to a stopped one.

    Raises:
        Broken: the server or the phones did not do their part.
    """
    with tempfile.TemporaryDirectory(prefix="ruasr-bench-") as folder:
        events, log = Path(folder) / "events.jsonl", Path(folder) / "server.log"
        before = os.getloadavg()[0]
        try:
            with _server(plan, events, log) as (server, port):
                sent = _phones(plan, port, log)
                _wait_for_ends(events, plan.calls)
                taken = _stop(server)
        except (ValueError, LookupError, TimeoutError, subprocess.SubprocessError) as error:
            tail = "".join(log.read_text("utf-8").splitlines(keepends=True)[-20:])
            raise Broken(f"{type(error).__name__}: {error}\n{tail}") from error
        return Run(taken, sent, _events(events), (before, os.getloadavg()[0]))


def engine_pid(log: Path) -> int:
    """Return the process id of the present engine, which the server logs at every start."""
    lines = map(json.loads, log.read_text("utf-8").splitlines())
    return [int(line["pid"]) for line in lines if line["event"] == "engine ready"][-1]


@contextmanager
def _server(plan: Plan, events: Path, log: Path) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    settings = [
        f"sinks.jsonl.path={events}",
        "doors.audiosocket.port=0",
        "doors.vosk_ws.port=0",
        "doors.rest.enabled=false",
        "store.enabled=false",
        "recordings.enabled=false",
        "log.format=json",
        *plan.settings,
    ]
    command = [sys.executable, "-m", "tests.bench.metered", *["--wrap"] * plan.wrap, *settings]
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as server,
    ):
        try:
            urls = _line(server)
            yield server, int(urls["audiosocket"].rpartition(":")[2])
        finally:
            if server.poll() is None:
                server.kill()


def _phones(plan: Plan, port: int, log: Path) -> Sent:
    numbers = map(str, (port, plan.calls, plan.seed, plan.seconds, plan.ramp_s))
    command = [sys.executable, "-m", "tests.bench.phones", *numbers]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as phones:
        if plan.meanwhile is not None:
            plan.meanwhile(log)
        answer, _ = phones.communicate(timeout=plan.seconds + 3 * plan.ramp_s + STOP_S)
    return Sent(**json.loads(answer))


def _wait_for_ends(events: Path, calls: int) -> None:
    """Wait until so many calls have ended; a call that does not is for the verdict to tell."""
    until_s = time.monotonic() + STOP_S
    while time.monotonic() < until_s:
        if events.read_text("utf-8").count('{"event": "CallEnded"') == calls:
            return
        time.sleep(0.2)


def _stop(server: "subprocess.Popen[str]") -> Taken:
    server.send_signal(signal.SIGTERM)
    taken = Taken(**_line(server))
    if code := server.wait(STOP_S):
        raise ValueError(f"the server stopped with exit code {code}")
    return taken


def _line(server: "subprocess.Popen[str]") -> dict[str, Any]:
    """Return the server's next line."""
    assert server.stdout is not None
    line: dict[str, Any] = json.loads(server.stdout.readline())
    return line


def _events(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
