"""The door's handshakes, and the other direction: an Asterisk that waits for us."""

import asyncio
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from ruasr_tel.audio.codec import Encoding, encode
from ruasr_tel.errors import ConfigError, Overloaded, ProtocolError
from ruasr_tel.events import CallEnded, CallStarted, Final
from ruasr_tel.hub import Hub
from ruasr_tel.metrics import Metrics
from ruasr_tel.plugins import Server
from ruasr_tel.testing import TIMEOUT_S, phrase, running_calls
from ruasr_tel.websocket import quiet_logger
from ruasr_tel_adapters.asterisk_ws import AsteriskWsConfig, create
from ruasr_tel_adapters.asterisk_ws.identity import Uri
from tests.adapters.asterisk_ws.bench import Bench, bench, start


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/media?uuid=a%20b", b"uuid 'a b' is not 1 to 128 of A-Z a-z 0-9 _ . : @ + -\n"),
        ("/media?profile=sing", b"there is no profile 'sing'; known profiles: "),
    ],
)
async def test_a_bad_uri_is_refused_with_a_sentence(target: str, body: bytes) -> None:
    async with bench() as own:
        with pytest.raises(InvalidStatus) as caught:
            await own.peer(target).__aenter__()
        assert caught.value.response.status_code == 400
        assert (caught.value.response.body or b"").startswith(body)
        assert own.bad("handshake") == 1


async def test_a_full_server_is_503_or_1013() -> None:
    async with bench(max_calls=1) as own, own.peer() as first, own.peer() as second:
        await first.send(start("plain"))
        await own.events.until(CallStarted)
        with pytest.raises(InvalidStatus) as caught:
            await own.peer().__aenter__()
        assert caught.value.response.status_code == 503
        await second.send(start("plain", channel_id="1.2"))
        await second.wait_closed()
        assert second.close_code == 1013


async def test_close_hands_every_call_back() -> None:
    async with bench() as own, own.peer() as peer:
        await peer.send(start("plain"))
        await own.events.until(CallStarted)
        await own.door.close()
        assert await peer.recv() == "HANGUP"
        (ended,) = own.events.of(CallEnded)
        assert ended.reason == "drain"


async def test_an_unknown_profile_of_the_door_is_a_config_error() -> None:
    async with running_calls() as calls:
        with pytest.raises(ConfigError, match=r"^doors.asterisk_ws.profile: there is no profile"):
            create(AsteriskWsConfig(profile="nope"), Server(calls, Hub(), Metrics()))


class Asterisk:
    """An Asterisk with one WebSocket/INCOMING channel, `waiting`."""

    def __init__(self) -> None:
        self.url = ""
        self.authorisation: str | None = None
        self.told: list[str] = []

    async def talk(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        self.authorisation = socket.request.headers.get("Authorization")
        if socket.request.path != "/media/waiting":
            await socket.close(1008)
            return
        await socket.send(start("json", RUASR_CALL_ID="incoming"))
        await socket.send(encode(phrase((1.0, 1.0)), Encoding.SLIN))
        async for message in socket:
            self.told.append(str(message))


@asynccontextmanager
async def waiting() -> AsyncIterator[tuple[Bench, Asterisk]]:
    asterisk = Asterisk()
    media = [Subprotocol("media")]
    async with serve(
        asterisk.talk, "127.0.0.1", 0, subprotocols=media, logger=quiet_logger()
    ) as server:
        port = server.sockets[0].getsockname()[1]
        named = {"pbx": {"url": f"ws://127.0.0.1:{port}", "username": "a", "password": "b"}}
        async with bench(max_calls=1, asterisks=named) as own:
            yield own, asterisk


async def test_a_waiting_channel_is_connected_to_and_handed_back() -> None:
    async with waiting() as (own, asterisk):
        await own.door.attach("pbx", "waiting")
        (started,) = await own.events.until(CallStarted)
        assert started.call_id == "incoming"
        await own.events.until(Final)
        with pytest.raises(Overloaded):
            await own.door.attach("pbx", "waiting", Uri("b"))
        await own.door.close()
        await own.events.until(CallEnded)
        assert asterisk.authorisation == f"Basic {b64encode(b'a:b').decode()}"
        assert asterisk.told == ['{"command":"HANGUP"}']


@pytest.mark.parametrize(
    ("name", "connection_id", "error"),
    [
        ("other", "waiting", "doors.asterisk_ws.asterisks has no 'other': pbx"),
        ("pbx", "a/b", "'a/b' is no connection id"),
    ],
)
async def test_only_known_asterisks_are_connected_to(
    name: str, connection_id: str, error: str
) -> None:
    async with waiting() as (own, _):
        with pytest.raises(ProtocolError) as caught:
            await own.door.attach(name, connection_id)
        assert str(caught.value) == error


async def get(url: str) -> tuple[int, str]:
    def fetch() -> tuple[int, str]:
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    return await asyncio.to_thread(fetch)


async def test_a_dialplan_can_ask_for_the_connection_by_http() -> None:
    async with waiting() as (own, _):
        door = own.door.url.replace("ws:", "http:")
        assert await get(f"{door}/connect/none/waiting") == (
            400,
            "doors.asterisk_ws.asterisks has no 'none': pbx\n",
        )
        assert await get(f"{door}/connect/pbx/waiting?uuid=u") == (200, "connected\n")
        await own.events.until(CallStarted)
        status, sentence = await get(f"{door}/connect/pbx/waiting")
        assert (status, sentence.split(" (")[0]) == (503, "1 calls are running, the limit")


async def test_an_asterisk_that_is_not_there_is_a_bad_gateway() -> None:
    async with waiting() as (own, _):
        gone = {"pbx": {"url": own.door.url}}
    async with bench(asterisks=gone) as own:
        door = own.door.url.replace("ws:", "http:")
        status, sentence = await get(f"{door}/connect/pbx/waiting")
        assert (status, sentence.split(":")[0]) == (502, "Asterisk cannot be reached")
