"""The server as its operator has it: a process, its configuration, its log, its REST door."""

import asyncio
import json
import re
import shutil
import signal
import sys
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import numpy as np
import yaml
from pydantic import TypeAdapter
from yarl import URL

from ruasr_tel import events as kinds
from ruasr_tel.events import CallEnded, CallStarted, Dtmf, Event, Final
from ruasr_tel.testing import TIMEOUT_S
from ruasr_tel.types import Samples
from tests.asterisk.receiver import Receiver
from tests.asterisk.settings import configuration
from tests.asterisk.tapped import file_of
from tests.e2e.server import ROOT, environment

WAIT_S = 4 * TIMEOUT_S
START_S = 3 * WAIT_S
"""Two models load and Python's packages are read; 4 s on two idle cores, 30 s on busy ones."""
LONGEST_LINE = 1 << 20
LOOK_S = 0.05
"""Between two looks at a file that the server writes."""

Line = dict[str, Any]


class House:
    """Every door on a port of its own and the embedded model, in a process to stop or to kill.

    `ari` has further settings of the door for ARI, for the next `open`.

    Args:
        ports: by door.
        asterisk_http: port of Asterisk's HTTP server, for ARI and WebSocket/INCOMING.
    """

    def __init__(self, ports: Mapping[str, int], asterisk_http: int) -> None:
        self.events: dict[str, list[Event]] = defaultdict(list)
        self.log: list[Line] = []
        self.receiver = Receiver()
        self.ari: dict[str, object] = {}
        self._ports = ports
        self._asterisk_http = asterisk_http
        self._folder = Path(tempfile.mkdtemp(prefix="ruasr-suite-"))
        self._rest = f"http://127.0.0.1:{ports['rest']}"
        self._more = asyncio.Condition()
        self._process: asyncio.subprocess.Process | None = None
        self._readers: list[asyncio.Task[None]] = []
        self._ready = False
        self._lost: set[str] = set()  # calls of a server that was killed

    async def open(self, **calls: object) -> None:
        """Start the server, and wait until every door is open.

        Args:
            calls: settings of the section `calls` that differ.
        """
        if not self.receiver.url:
            await self.receiver.open()
        file = self._folder / "ruasr.yaml"
        told = configuration(
            self._ports, self._asterisk_http, self._folder, self.receiver.url, self.ari
        )
        told["calls"] |= calls
        file.write_text(yaml.safe_dump(told), "utf-8")
        self._ready = False
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.asterisk.tapped", str(self._folder)),
            *("serve", "--config", str(file)),
            cwd=ROOT,
            env=environment() | {"STATE_DIRECTORY": str(self._folder)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=LONGEST_LINE,
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._readers = [
            asyncio.create_task(self._read(self._process.stdout, self._take_event)),
            asyncio.create_task(self._read(self._process.stderr, self._take_said)),
        ]
        await self._until(lambda: self._ready, "`ready`", START_S)

    async def close(self) -> None:
        """Stop it as systemd does; running calls are ended in each door's own way."""
        assert await self._end(signal.SIGTERM) == 0, self.log[-20:]

    async def is_stopping(self) -> None:
        """Wait until a server that was told to stop takes no new call."""
        await self._until(lambda: self.log[-1]["event"] == "stopping", "`stopping`")

    async def kill(self) -> None:
        """Kill it; nobody is told."""
        self._lost |= set(self._running())
        await self._end(signal.SIGKILL)

    async def forget(self) -> None:
        """Remove its files."""
        await self.receiver.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def port(self, door: str) -> int:
        """Return the port of a door."""
        return self._ports[door]

    # What an operator sees

    async def get(self, path: str) -> str:
        """Return what the REST door answers."""
        url = URL(f"{self._rest}{path}", encoded=True)
        async with aiohttp.ClientSession() as client, client.get(url) as answer:
            assert answer.status == 200, (path, answer.status, await answer.text())
            return await answer.text()

    async def history(self, call_id: str) -> Line:
        """Return what is kept of a call once its end is; it is written a moment after the event."""
        async with asyncio.timeout(WAIT_S):
            while True:
                kept: Line = json.loads(await self.get(f"/v1/calls/{quote(call_id)}"))
                if kept["call"]["ended_at"] is not None:
                    return kept
                await asyncio.sleep(LOOK_S)

    async def counter(self, name: str, **labels: str) -> float:
        """Return the value of a metric, 0 where it has none yet."""
        wanted = "".join(f'(?=.*{key}="{re.escape(value)}")' for key, value in labels.items())
        line = re.compile(rf"^{name}\{{{wanted}.*\}} (\S+)$", re.M)
        return sum(float(value) for value in line.findall(await self.get("/metrics")))

    def journal(self, call_id: str, event: str) -> list[Line]:
        """Return the log lines of one kind about a call."""
        lines = [line for line in self.log if line.get("call_id") == call_id]
        return [line for line in lines if line["event"] == event]

    # What the tests see

    def audio(self, call_id: str) -> Samples:
        """Return every sample that a call's only leg got, in order."""
        return self.leg_audio(f"{call_id}/0")

    def leg_audio(self, leg_id: str) -> Samples:
        """Return every sample that a leg got, in order."""
        file = file_of(self._folder, leg_id)
        return np.frombuffer(file.read_bytes() if file.exists() else b"", np.int16)

    def text(self, call_id: str) -> str:
        """Return what was said in a call."""
        finals = [event for event in self.events[call_id] if isinstance(event, Final)]
        return " ".join(final.text for final in finals if final.text)

    def digits(self, call_id: str) -> str:
        """Return the keys that were pressed."""
        return "".join(e.digit for e in self.events[call_id] if isinstance(e, Dtmf))

    def door(self, call_id: str) -> str:
        """Return the door that a call came through."""
        (started,) = [e for e in self.events[call_id] if isinstance(e, CallStarted)]
        return started.door

    async def ended(self, call_id: str) -> CallEnded:
        """Wait for a call's end."""

        def found() -> list[CallEnded]:
            return [e for e in self.events[call_id] if isinstance(e, CallEnded)]

        await self._until(lambda: bool(found()), f"end of {call_id!r}")
        return found()[-1]

    async def until_heard(self, call_id: str, samples: int) -> None:
        """Wait until a call's first leg got so much audio."""
        async with asyncio.timeout(WAIT_S):
            while len(self.audio(call_id)) < samples:  # noqa: ASYNC110 - a file of another process
                await asyncio.sleep(LOOK_S)

    async def idle(self) -> None:
        """Wait until no call is left in the server."""
        await self._until(lambda: not self._running(), "end of every call")

    def _running(self) -> list[str]:
        return [
            call_id
            for call_id, events in self.events.items()
            if events and not isinstance(events[-1], CallEnded) and call_id not in self._lost
        ]

    async def _until(self, done: Callable[[], bool], what: str, timeout_s: float = WAIT_S) -> None:
        try:
            async with asyncio.timeout(timeout_s), self._more:
                await self._more.wait_for(done)
        except TimeoutError:
            raise AssertionError(f"no {what}; log: {self.log[-20:]}") from None

    async def _end(self, number: int) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        async with asyncio.timeout(WAIT_S):
            await asyncio.gather(*self._readers)
            return await self._process.wait()

    async def _read(self, stream: AsyncIterator[bytes], take: Callable[[str], None]) -> None:
        async for line in stream:
            take(line.decode().rstrip("\n"))
            async with self._more:
                self._more.notify_all()

    def _take_event(self, line: str) -> None:
        body = json.loads(line)
        kind = getattr(kinds, body.pop("event"))
        event: Event = TypeAdapter[Event](kind).validate_python(body)
        self.events[event.call_id].append(event)

    def _take_said(self, line: str) -> None:
        if line.startswith("{"):
            self.log.append(json.loads(line))
            self._ready = self._ready or self.log[-1]["event"] == "ready"
