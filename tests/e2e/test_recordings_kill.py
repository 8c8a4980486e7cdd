"""kill -9 at any moment: every accepted recording ends, is stored once, and is delivered.

RUASR_KILL_JOBS and RUASR_KILLS make it longer: 200 and 50 are what the requirement names. With
RUASR_KILL_DELAY_S=0.2, a decode takes that long, and there is work left at every kill.
"""

import asyncio
import contextlib
import json
import os
import random
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from ruasr_tel.testing import TIMEOUT_S, phrase
from tests.core.recordings.sounds import write_wav

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

SERVER = Path(__file__).with_name("recordings_server.py")
JOBS = int(os.environ.get("RUASR_KILL_JOBS", "20"))
DELAY_S = os.environ.get("RUASR_KILL_DELAY_S", "0.01")
KILLS = int(os.environ.get("RUASR_KILLS", "3"))


@dataclass
class Peer:
    """Gives recordings and takes results; refuses one delivery in five."""

    chance: random.Random
    audio: bytes
    url: str = ""
    taken: Counter[str] = field(default_factory=Counter)
    refused: int = 0

    async def take(self, request: web.Request) -> web.Response:
        told = json.loads(await request.read())
        if self.chance.random() < 0.2:
            self.refused += 1
            return web.Response(status=503)
        assert told["state"] == "done"
        self.taken[told["id"]] += 1
        return web.Response(status=204)

    async def give(self, _request: web.Request) -> web.Response:
        return web.Response(body=self.audio, content_type="audio/wav")


@pytest.fixture
async def peer(tmp_path: Path) -> AsyncIterator[Peer]:
    audio = write_wav(tmp_path / "call.wav", phrase(*[(0.5, 1.0)] * 3)).read_bytes()
    peer = Peer(random.Random(1), audio)
    app = web.Application()
    app.router.add_post("/hook", peer.take)
    app.router.add_get("/call.wav", peer.give)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    peer.url = "http://{}:{}".format(*runner.addresses[0][:2])
    yield peer
    await runner.cleanup()


class Server:
    """The process, again and again; remembers which orders it accepted."""

    def __init__(self, folder: Path, peer: Peer) -> None:
        self._folder = folder
        self._peer = peer
        self.accepted: dict[int, str] = {}

    @contextlib.asynccontextmanager
    async def running(self, moment: str = "") -> AsyncIterator[asyncio.subprocess.Process]:
        with (self._folder / "server.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, str(SERVER), str(self._folder), DELAY_S, moment),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(6 * TIMEOUT_S):
                line = await process.stdout.readline()
            assert line == b"ready\n", (self._folder / "server.log").read_text()[-5000:]
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            await process.communicate()

    async def order(self, process: asyncio.subprocess.Process, jobs: int) -> None:
        """Order what is not accepted yet, one by one; the key makes a second time the first."""
        assert process.stdin is not None
        assert process.stdout is not None
        for number in range(jobs):
            if number in self.accepted:
                continue
            order = {
                "url": f"{self._peer.url}/call.wav",
                "callback_url": f"{self._peer.url}/hook",
                "idempotency_key": str(number),
            }
            process.stdin.write(json.dumps(order).encode() + b"\n")
            with contextlib.suppress(ConnectionError):
                await process.stdin.drain()
            line = await process.stdout.readline()
            if not line:
                return
            self.accepted[number] = line.decode().strip()

    def states(self) -> Counter[str]:
        with contextlib.closing(sqlite3.connect(self._folder / "ruasr.db")) as database:
            return Counter(state for (state,) in database.execute("SELECT state FROM recordings"))

    def results(self) -> Counter[str]:
        query = "SELECT r.id FROM results x JOIN recordings r ON r.pk = x.recording_pk"
        with contextlib.closing(sqlite3.connect(self._folder / "ruasr.db")) as database:
            return Counter(id for (id,) in database.execute(query))


async def all_done(server: Server, jobs: int) -> None:
    async with asyncio.timeout(60 + 3 * jobs):
        while server.states() != {"done": jobs}:  # noqa: ASYNC110 - it is another process'
            await asyncio.sleep(0.1)


def check(server: Server, peer: Peer, jobs: int) -> None:
    ids = set(server.accepted.values())
    assert len(ids) == jobs
    assert server.results() == dict.fromkeys(ids, 1)
    assert set(peer.taken) == ids


async def test_killed_at_random_moments(tmp_path: Path, peer: Peer) -> None:
    server = Server(tmp_path, peer)
    chance = random.Random(int(os.environ.get("RUASR_KILL_SEED", "7")))
    for _ in range(KILLS):
        async with server.running() as process:
            ordering = asyncio.create_task(server.order(process, JOBS))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(process.wait(), chance.uniform(0.0, 3.0))
            process.send_signal(signal.SIGKILL)
            await ordering
    async with server.running() as process:
        await server.order(process, JOBS)
        await all_done(server, JOBS)
    check(server, peer, JOBS)
    report = f"{sum(peer.taken.values())} deliveries of {JOBS}, {peer.refused} refused"
    print(report)  # noqa: T201 - the figure of a long run


@pytest.mark.parametrize("when", ["before", "after"])
async def test_killed_at_each_stage(tmp_path: Path, peer: Peer, when: str) -> None:
    """Each process dies at its stage, of its own recording or of one that the last one left."""
    server = Server(tmp_path, peer)
    for jobs, stage in enumerate(["fetch", "recognise", "keep", "deliver"], 1):
        async with server.running(f"{stage}:{when}") as process:
            await server.order(process, jobs)
            async with asyncio.timeout(3 * TIMEOUT_S):
                assert await process.wait() == -signal.SIGKILL
    async with server.running() as process:
        await server.order(process, 4)
        await all_done(server, 4)
    check(server, peer, 4)
