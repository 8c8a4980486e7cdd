"""What is said in live calls reaches who asked for it, from the real server, each thing once."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
import pytest_asyncio
from aiohttp import web

from ruasr_tel.errors import ProtocolError
from ruasr_tel.recordings.deliver import DELIVERY_HEADER, SIGNATURE_HEADER, verify
from ruasr_tel.testing import TIMEOUT_S, silence
from tests.e2e.phones import Dialled, prompt
from tests.e2e.server import WAV, Server, running

SECRET = "между нами"
SHORT = WAV / "all-circuits-busy-now.wav"


@dataclass
class Receiver:
    """Takes deliveries at `/hook`, answers 503 to the first try of each; `/deaf` never answers."""

    url: str = ""
    got: list[tuple[str, str, bytes]] = field(default_factory=list)
    tries: Counter[str] = field(default_factory=Counter)
    deaf: int = 0
    more: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        id = request.headers[DELIVERY_HEADER]
        self.tries[id] += 1
        if self.tries[id] == 1:
            return web.Response(status=503)
        self.got.append((id, request.headers[SIGNATURE_HEADER], body))
        self.more.set()
        return web.Response()

    async def hang(self, _request: web.Request) -> web.Response:
        self.deaf += 1
        self.more.set()
        await self.over.wait()
        return web.Response()

    def told(self, call_id: str) -> list[dict[str, Any]]:
        """Return what was told of a call, in the order of its numbers, repetitions left out."""
        bodies = [json.loads(body) for body in {id: body for id, _, body in self.got}.values()]
        of_call = [body for body in bodies if body["call_id"] == call_id]
        return sorted(of_call, key=lambda body: int(body["number"]))

    async def until_told_of_the_end(self, call_id: str) -> None:
        """Wait until everything up to the end of a call has come."""
        async with asyncio.timeout(3 * TIMEOUT_S):
            while True:
                told = self.told(call_id)
                ended = bool(told) and told[-1]["event"] == "call.ended"
                if ended and len(told) == told[-1]["number"]:
                    return
                self.more.clear()
                await self.more.wait()


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.take)
    app.router.add_post("/deaf", receiver.hang)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield receiver
    receiver.over.set()
    await runner.cleanup()


@contextmanager
def server_of(tmp_path: Path) -> Iterator[Server]:
    """Run a server whose deliveries may go to this machine; a second time, it goes on."""
    with running(
        store__url=f"sqlite:///{tmp_path}/ruasr.db",
        recordings__dir=tmp_path / "recordings",
        fetch__allow_cidrs='["127.0.0.0/8"]',
        webhooks__call_secret=SECRET,
        webhooks__first_delay_s=0.1,
        webhooks__max_delay_s=0.1,
    ) as server:
        yield server


def rest_url(server: Server) -> str:
    (door,) = [line for line in server.said("door open") if line["door"] == "rest"]
    return str(door["url"])


async def announce(server: Server, call: Dialled, callback_url: str) -> None:
    url = f"{rest_url(server)}/v1/calls/{call.call_id}"
    asked = {"caller": "+7 900 000-00-00", "callback_url": callback_url}
    async with aiohttp.ClientSession() as client, client.put(url, json=asked) as response:
        assert response.status == 200, await response.text()


async def test_finals_and_the_end_are_delivered_once_signed_and_no_receiver_delays_another(
    tmp_path: Path, receiver: Receiver
) -> None:
    with server_of(tmp_path) as own:
        await three_calls(own, receiver)


async def three_calls(own: Server, receiver: Receiver) -> None:
    said = prompt(SHORT)
    audio = np.concatenate([said, silence(1.5), said])
    heard, unheard, nobody = (Dialled(audio) for _ in range(3))
    await announce(own, heard, f"{receiver.url}/hook")
    await announce(own, unheard, f"{receiver.url}/deaf")
    await announce(own, nobody, "http://127.0.0.1:1/hook")
    await asyncio.gather(*(call.play(own, "audiosocket", 2.0) for call in (heard, unheard, nobody)))
    calls = [heard, unheard, nobody]
    ends = await asyncio.to_thread(own.ended, *(call.call_id for call in calls))
    await receiver.until_told_of_the_end(heard.call_id)

    told = receiver.told(heard.call_id)
    finals = own.of("Final", heard.call_id)
    assert len(finals) >= 2
    assert [(each["event"], each["number"]) for each in told] == [
        *(("call.final", number) for number in range(1, len(finals) + 1)),
        ("call.ended", len(finals) + 1),
    ]
    assert [each["text"] for each in told[:-1]] == [final["text"] for final in finals]
    assert told[-1]["reason"] == ends[0]["reason"]
    (started,) = own.of("CallStarted", heard.call_id)
    started_ms = round(datetime.fromisoformat(started["at"]).timestamp() * 1000)
    for id, signature, body in receiver.got:
        sent_s = int(signature.partition(",")[0].removeprefix("t="))
        assert verify(SECRET, signature, body, now_s=sent_s)
        call_id, at_ms, number = re.split("[@/]", id)
        assert (call_id, number) == (heard.call_id, str(json.loads(body)["number"]))
        assert abs(int(at_ms) - started_ms) <= 1  # the log cuts microseconds off, the id rounds
    assert set(receiver.tries.values()) == {2}  # the first try was refused, the second taken

    # The others' receivers were deaf or down: their calls were heard all the same.
    assert receiver.deaf >= 1
    texts = [[final["text"] for final in own.of("Final", call.call_id)] for call in calls]
    assert texts[0] == texts[1] == texts[2]


@pytest.mark.slow
async def test_the_end_of_a_call_is_told_though_the_server_was_killed_in_it(
    tmp_path: Path, receiver: Receiver
) -> None:
    said = prompt(SHORT)
    call = Dialled(np.concatenate([said, silence(600.0)]))
    with server_of(tmp_path) as own:
        await announce(own, call, f"{receiver.url}/hook")
        playing = asyncio.create_task(call.play(own, "audiosocket", 2.0))
        async with asyncio.timeout(3 * TIMEOUT_S):
            while not receiver.told(call.call_id):
                receiver.more.clear()
                await receiver.more.wait()
        own.process.kill()
        with pytest.raises((OSError, ProtocolError)):
            await playing
        own.wait()
    with server_of(tmp_path) as again:
        await receiver.until_told_of_the_end(call.call_id)
        url = f"{rest_url(again)}/v1/calls/{call.call_id}"
        async with aiohttp.ClientSession() as client, client.get(url) as response:
            kept = await response.json()
    told = receiver.told(call.call_id)
    assert [each["event"] for each in told] == ["call.final", "call.ended"]
    assert told[-1]["reason"] == kept["call"]["reason"] == "killed"
    assert kept["call"]["ended_at"] is not None
