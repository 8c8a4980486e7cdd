"""chan_websocket, whoever connects: what is heard, who is shown out, what ends it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request
from websockets.typing import Subprotocol

from ruasr_tel.errors import PortTaken, ProtocolError
from ruasr_tel.metrics import Metrics
from ruasr_tel_adapters.ari.config import AriConfig
from ruasr_tel_adapters.ari.media.websocket import (
    HELD_BYTES_MAX,
    CalledMedia,
    CallingMedia,
    WebSocketLine,
    media_url,
)
from tests.adapters.ari.ear import Ear

CHANNEL = "ruasr.ruasr.media.in.1"
AUDIO = np.array([1, -2, 300], "<i2")


def start(channel_id: str = CHANNEL, format_: str = "slin") -> str:
    """Return the first message of a channel, as Asterisk 22.10 says it."""
    return (
        f"MEDIA_START connection_id:ruasr channel:WebSocket/ruasr/0x7f channel_id:{channel_id} "
        f"format:{format_} optimal_frame_size:320 ptime:20"
    )


def config(**settings: object) -> AriConfig:
    return AriConfig.model_validate(
        {
            "encapsulation": "websocket",
            "websocket_client": "ruasr",
            "format": "slin",
            "request_timeout_s": 0.2,
            **settings,
        }
    )


@asynccontextmanager
async def called(**settings: object) -> AsyncIterator[tuple[CalledMedia, WebSocketLine, Ear]]:
    ear = Ear()
    media = CalledMedia(config(**settings), ear.bad, Metrics())
    await media.start()
    yield media, await media.line(ear, CHANNEL), ear
    await media.close()


@asynccontextmanager
async def asterisk(media: CalledMedia) -> AsyncIterator[ClientConnection]:
    """Connect as a section of websocket_client.conf does."""
    async with connect(
        f"{media.url}/media",
        subprotocols=[Subprotocol("media")],
        compression=None,
        ping_interval=None,
    ) as socket:
        yield socket


async def closed(socket: ClientConnection) -> int | None:
    """Return the code that the other side closes with."""
    try:
        while True:
            await socket.recv()
    except ConnectionClosed:
        return socket.close_code


async def test_asterisk_connects_and_names_its_channel() -> None:
    async with called() as (media, line, ear), asterisk(media) as socket:
        assert line.order == {
            "transport": "websocket",
            "encapsulation": "none",
            "connection_type": "client",
            "external_host": "ruasr",
        }
        await line.answered({})
        await socket.send(AUDIO.tobytes())  # MEDIA_START may come late
        await socket.send(start())
        await socket.send(AUDIO.tobytes() + b"\x05")
        await socket.send(f"DTMF_END digit:a channel_id:{CHANNEL}")
        await socket.send(f"STATUS channel_id:{CHANNEL} queue_length:0")
        await ear.until(lambda: len(ear.said) == 3)
        assert ear.said == [AUDIO.tolist(), AUDIO.tolist(), "A"]
        assert (line.counts, ear.wrong) == ({"received": 2}, [])
        line.close()
        assert await closed(socket) == 1000


async def test_a_json_channel_is_heard_as_well() -> None:
    async with called() as (media, _, ear), asterisk(media) as socket:
        await socket.send(
            '{"event":"MEDIA_START","connection_id":"ruasr","channel":"WebSocket/ruasr/0x7f",'
            f'"channel_id":"{CHANNEL}","format":"slin","optimal_frame_size":320,"ptime":20}}'
        )
        await socket.send(AUDIO.tobytes())
        await socket.send('{"event":"DTMF_END","digit":"5"}')
        await ear.until(lambda: ear.said == [AUDIO.tolist(), "5"])


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ([start("1795346040.1")], "'1795346040.1' is no channel that we asked for"),
        ([start("")], "MEDIA_START without a channel_id: leave doors.ari.websocket_client unset"),
        (["DTMF_END digit:5"], "'DTMF_END' before MEDIA_START"),
        (["hello"], "text that is no control message: 'hello'"),
        (["[]"], "JSON that is not an object: '[]'"),
        ([bytes(HELD_BYTES_MAX), b"\0"], "over 48000 bytes of audio before MEDIA_START"),
        ([], "no MEDIA_START within 0.2 s"),
    ],
)
async def test_a_stranger_is_shown_out(messages: list[str | bytes], says: str) -> None:
    async with called() as (media, _, ear), asterisk(media) as socket:
        for message in messages:
            await socket.send(message)
        assert await closed(socket) in (1000, 1002)
        ((kind, said),) = ear.wrong
        assert (kind, says in said) == ("no start", True), said
        assert ear.said == []


async def test_a_second_connection_of_one_channel_is_shown_out_and_the_first_goes_on() -> None:
    async with called() as (media, _, ear), asterisk(media) as first, asterisk(media) as second:
        await first.send(start())
        await first.send(AUDIO.tobytes())
        await ear.until(lambda: ear.said)
        await second.send(start())
        assert await closed(second) == 1000
        assert [kind for kind, _ in ear.wrong] == ["second connection"]
        await first.send(AUDIO.tobytes())
        await ear.until(lambda: len(ear.said) == 2)


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (start(format_="slin16"), "protocol"),
        ("no event", "protocol"),
        ("NEWS of:tomorrow", "event"),
        ("ERROR error_text:queue is full", "event"),
        ("DTMF_END digit:x", "event"),
    ],
)
async def test_what_no_channel_says_is_noted(message: str, kind: str) -> None:
    async with called() as (media, _, ear), asterisk(media) as socket:
        await socket.send(start())
        await socket.send(message)
        await ear.until(lambda: ear.wrong)
        assert ear.wrong[0][0] == kind
        if kind == "protocol":
            assert await closed(socket) == 1002
        else:
            await socket.send(AUDIO.tobytes())
            await ear.until(lambda: ear.said)


async def test_a_closed_line_expects_nobody_and_a_closed_door_ends_its_sockets() -> None:
    async with called() as (media, line, ear):
        line.close()
        async with asterisk(media) as socket:
            await socket.send(start())
            assert await closed(socket) == 1002
        assert [kind for kind, _ in ear.wrong] == ["no start"]
        await media.line(ear, CHANNEL)
        async with asterisk(media) as socket:
            await socket.send(start())
            await socket.send(AUDIO.tobytes())
            await ear.until(lambda: ear.said)
            closing = asyncio.create_task(media.close())
            assert await closed(socket) == 1012
            await closing


async def test_a_taken_port_is_named() -> None:
    async with called() as (media, _, ear):
        port = int(media.url.rpartition(":")[2])
        other = CalledMedia(config(port=port), ear.bad, Metrics())
        with pytest.raises(PortTaken, match=r"doors\.ari"):
            await other.start()


@pytest.mark.parametrize(
    ("ari", "media"),
    [
        ("http://127.0.0.1:8088/ari", "ws://127.0.0.1:8088/media/a%2Fb"),
        ("https://pbx.example/asterisk/ari/", "wss://pbx.example/asterisk/media/a%2Fb"),
    ],
)
def test_media_waits_beside_ari(ari: str, media: str) -> None:
    assert media_url(ari, "a/b") == media


class Waiting:
    """A channel of WebSocket/INCOMING at Asterisk's HTTP server."""

    def __init__(self) -> None:
        self.request: Request | None = None
        self.over = asyncio.Event()

    async def handle(self, socket: ServerConnection) -> None:
        self.request = socket.request
        await socket.send(start(format_="ulaw"))
        await socket.send(b"\x80\xff")  # loudest and softest of mu-law (ITU-T G.711)
        await socket.wait_closed()
        self.over.set()


@asynccontextmanager
async def waiting() -> AsyncIterator[tuple[Waiting, str]]:
    channel = Waiting()
    async with serve(
        channel.handle, "127.0.0.1", 0, subprotocols=[Subprotocol("media")], compression=None
    ) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield channel, f"http://127.0.0.1:{port}/ari"


async def test_we_connect_to_a_channel_that_waits() -> None:
    async with waiting() as (channel, url):
        media = CallingMedia(config(url=url, format="ulaw", password="secret"))
        await media.start()
        ear = Ear()
        line = await media.line(ear, CHANNEL)
        assert line.order["connection_type"] == "server"
        await line.answered({"channelvars": {"MEDIA_WEBSOCKET_CONNECTION_ID": "12-34"}})
        await ear.until(lambda: ear.said)
        line.close()
        await asyncio.wait_for(channel.over.wait(), 5)
        await media.close()
    assert channel.request is not None
    assert channel.request.path == "/media/12-34"
    assert channel.request.headers["Authorization"] == "Basic cnVhc3I6c2VjcmV0"  # ruasr:secret
    assert ear.said == [[32124, 0]]


async def test_a_channel_that_does_not_say_where_it_waits_is_an_error() -> None:
    line = await CallingMedia(config()).line(Ear(), CHANNEL)
    with pytest.raises(ProtocolError, match=r"no MEDIA_WEBSOCKET_CONNECTION_ID: Asterisk 20\.16"):
        await line.answered({"channelvars": {}})
    line.close()


async def test_an_asterisk_that_refuses_or_is_away_is_an_error() -> None:
    async def refuse(socket: ServerConnection, request: Request) -> object:
        return socket.respond(404, "no such channel\n")

    there = {"channelvars": {"MEDIA_WEBSOCKET_CONNECTION_ID": "12-34"}}
    async with serve(Waiting().handle, "127.0.0.1", 0, process_request=refuse) as server:  # type: ignore[arg-type]
        port = next(iter(server.sockets)).getsockname()[1]
        line = await CallingMedia(config(url=f"http://127.0.0.1:{port}/ari")).line(Ear(), CHANNEL)
        with pytest.raises(ProtocolError, match=r"refuses the media socket.*404"):
            await line.answered(there)
    with pytest.raises(OSError, match="Connect call failed"):
        await line.answered(there)
