"""The listener and the socket, with the library's own client as peer."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Request
from websockets.typing import Subprotocol

from ruasr_tel.errors import ConfigError, Overloaded, PortTaken, ProtocolError
from ruasr_tel.metrics import Metrics
from ruasr_tel.testing import TIMEOUT_S
from ruasr_tel.websocket import UNSENT_MAX, Ending, Listener, Manners, PeerSocket


class Echo:
    """Says what it hears; `end` ends it, `bad` is against its protocol."""

    def __init__(self, websocket: ServerConnection, idle_timeout_s: float, said: list[str]) -> None:
        self.socket = PeerSocket(websocket, idle_timeout_s, 0.5)
        self.ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._said = said

    async def run(self) -> None:
        ending = await self.socket.listen(self.take)
        await self.socket.close(ending)
        self.ending.set_result(ending)

    def stop(self, ending: Ending) -> None:
        self.socket.stop(ending)

    def take(self, message: str | bytes) -> None:
        match message:
            case "bad":
                raise ProtocolError("so not")
            case "fault":
                raise RuntimeError("a fault of ours")
            case "end":
                self.stop(Ending("rule", 1000, "at its end"))
        for text in self._said or [str(message)]:
            self.socket.say(text)


class Door:
    """A listener and the conversations it had."""

    def __init__(
        self,
        check: Callable[[Request], None],
        idle_timeout_s: float,
        required: bool,
        subprotocols: tuple[str, ...] | None,
    ) -> None:
        self.metrics = Metrics()
        self.said: list[str] = []
        self.talks: asyncio.Queue[Echo] = asyncio.Queue()
        self._idle_timeout_s = idle_timeout_s
        manners = Manners(check, subprotocols, required, 1000, 0.5)
        self.listener = Listener("test", "127.0.0.1", 0, manners, self._converse, self.metrics)

    def _converse(self, websocket: ServerConnection) -> Echo:
        echo = Echo(websocket, self._idle_timeout_s, self.said)
        self.talks.put_nowait(echo)
        return echo

    @property
    def refused(self) -> float | None:
        return self.metrics.registry.get_sample_value(
            "ruasr_bad_messages_total", {"door": "test", "kind": "handshake"}
        )


def fine(request: Request) -> None:
    assert request.path


PLAIN = Manners(fine, ("a",), False, 1000, 0.5)


@asynccontextmanager
async def listening(
    check: Callable[[Request], None] = fine,
    idle_timeout_s: float = 60.0,
    required: bool = False,
    subprotocols: tuple[str, ...] | None = ("a", "b"),
) -> AsyncIterator[Door]:
    door = Door(check, idle_timeout_s, required, subprotocols)
    await door.listener.start()
    try:
        async with asyncio.timeout(TIMEOUT_S):
            yield door
    finally:
        await door.listener.close()


async def test_messages_come_and_go_and_the_end_is_the_peers() -> None:
    async with listening() as door:
        async with connect(door.listener.url) as peer:
            await peer.send("один")
            assert await peer.recv() == "один"
        assert await (await door.talks.get()).ending == Ending("hangup")


@pytest.mark.parametrize(
    ("message", "code", "reason", "ending"),
    [
        ("end", 1000, "at its end", "rule"),
        ("bad", 1002, "so not", "protocol error"),
        ("x" * 1001, 1009, "", "message too long"),
        ("fault", 1011, "", "error"),
    ],
)
async def test_how_a_conversation_ends(message: str, code: int, reason: str, ending: str) -> None:
    async with listening() as door, connect(door.listener.url) as peer:
        await peer.send(message)
        await peer.wait_closed()
        assert peer.close_code == code
        assert reason in (peer.close_reason or "")
        assert (await (await door.talks.get()).ending).reason == ending


async def test_a_fault_of_ours_ends_that_connection_alone() -> None:
    async with listening() as door, connect(door.listener.url) as other:
        async with connect(door.listener.url) as peer:
            await peer.send("fault")
            with pytest.raises(ConnectionClosed):
                await peer.recv()
        await other.send("still here")
        assert await other.recv() == "still here"


async def test_a_conversation_that_fails_is_closed_as_our_fault() -> None:
    async with listening() as door:

        class Broken(Echo):
            async def run(self) -> None:
                raise RuntimeError("a fault of ours")

        def broken(websocket: ServerConnection) -> Echo:
            return Broken(websocket, 60.0, [])

        listener = Listener("test", "127.0.0.1", 0, PLAIN, broken, door.metrics)
        await listener.start()
        async with connect(listener.url) as peer:
            with pytest.raises(ConnectionClosed, match="1011"):
                await peer.recv()
        await listener.close()


async def test_what_is_offered_to_a_peer_that_reads_nothing_is_left_out() -> None:
    async with listening() as door, connect(door.listener.url, max_queue=None):
        talk = await door.talks.get()
        taken = [talk.socket.offer("x") for _ in range(UNSENT_MAX + 2)]  # the loop does not run
        assert taken == [True] * UNSENT_MAX + [False] * 2
        assert not talk.ending.done()


async def test_a_stop_while_another_takes_effect_changes_nothing() -> None:
    async with listening() as door, connect(door.listener.url):
        talk = await door.talks.get()
        await asyncio.sleep(0)  # it listens
        talk.stop(Ending("rule"))
        while not talk.ending.done():  # in every turn of the loop up to the end
            talk.stop(Ending("drain"))
            await asyncio.sleep(0)
        assert (await talk.ending).reason == "rule"


async def test_silence_ends_a_conversation() -> None:
    async with listening(idle_timeout_s=0.05) as door, connect(door.listener.url) as peer:
        with pytest.raises(ConnectionClosed, match=r"1008.*no message for 0\.05 s"):
            await peer.recv()


async def test_a_peer_that_reads_nothing_is_left() -> None:
    async with listening() as door:
        reader, writer = await asyncio.open_connection(*door.listener.url[5:].split(":"))
        writer.write(
            b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        await reader.readuntil(b"\r\n\r\n")
        talk = await door.talks.get()
        door.said[:] = ["x" * 100_000] * (2 * UNSENT_MAX)
        writer.write(b"\x81\x81\x00\x00\x00\x00a")
        assert (await talk.ending).reason == "not read"
        writer.close()


async def test_a_full_or_stopping_server_is_503() -> None:
    def full(request: Request) -> None:
        raise Overloaded("no room")

    async with listening(full) as door:
        with pytest.raises(InvalidStatus) as caught:
            await connect(door.listener.url).__aenter__()
        assert caught.value.response.status_code == 503
        assert caught.value.response.body == b"no room\n"
        assert door.refused == 0
    async with listening() as door:
        await door.listener.stop_accepting()
        with pytest.raises(InvalidStatus) as caught:
            await connect(door.listener.url).__aenter__()
        assert caught.value.response.status_code == 503


@pytest.mark.parametrize(
    ("required", "offered", "chosen"),
    [(False, [], None), (True, ["b"], "b"), (True, ["c", "b", "a"], "a")],
)
async def test_the_best_subprotocol_is_chosen_and_no_extension(
    required: bool, offered: list[str], chosen: str | None
) -> None:
    names = [Subprotocol(name) for name in offered]
    async with (
        listening(required=required) as door,
        connect(door.listener.url, subprotocols=names or None) as peer,
    ):
        assert peer.subprotocol == chosen
        assert peer.response is not None
        assert "Sec-WebSocket-Extensions" not in peer.response.headers


@pytest.mark.parametrize(("offered", "chosen"), [([], None), (["x"], "x"), (["z", "a"], "z")])
async def test_a_door_that_knows_no_subprotocol_takes_the_first(
    offered: list[str], chosen: str | None
) -> None:
    names = [Subprotocol(name) for name in offered]
    async with (
        listening(subprotocols=None) as door,
        connect(door.listener.url, subprotocols=names or None) as peer,
    ):
        assert peer.subprotocol == chosen


@pytest.mark.parametrize("error", [ProtocolError, ConfigError])
async def test_a_request_that_cannot_be_is_400_and_counted(error: type[Exception]) -> None:
    def check(request: Request) -> None:
        raise error("not here")

    async with listening(check) as door:
        with pytest.raises(InvalidStatus) as caught:
            await connect(door.listener.url).__aenter__()
        assert (caught.value.response.status_code, caught.value.response.body) == (
            400,
            b"not here\n",
        )
        assert door.refused == 1


@pytest.mark.parametrize(
    ("required", "offered", "body"),
    [
        (True, [], b"subprotocol none, expected a or b\n"),
        (False, ["c"], b"subprotocol c, expected a or b\n"),
    ],
)
async def test_another_subprotocol_is_refused_and_counted(
    required: bool, offered: list[str], body: bytes
) -> None:
    names = [Subprotocol(name) for name in offered]
    async with listening(required=required) as door:
        with pytest.raises(InvalidStatus) as caught:
            await connect(door.listener.url, subprotocols=names or None).__aenter__()
        assert (caught.value.response.status_code, caught.value.response.body) == (400, body)
        assert door.refused == 1


async def test_close_ends_running_conversations() -> None:
    async with listening() as door, connect(door.listener.url) as peer:
        await peer.send("a")
        await peer.recv()
        await door.listener.close()
        with pytest.raises(ConnectionClosed, match=r"1012.*the server stops"):
            await peer.recv()


async def test_port_taken_and_bad_address() -> None:
    async with listening() as door:
        port = int(door.listener.url.rpartition(":")[2])

        def at(host: str, port: int) -> Listener:
            return Listener("test", host, port, PLAIN, door._converse, door.metrics)

        with pytest.raises(PortTaken, match=rf"ws://127.0.0.1:{port} \(doors.test\) is in use"):
            await at("127.0.0.1", port).start()
        with pytest.raises(ConfigError, match=r"doors.test.host and port: cannot listen on ws://"):
            await at("192.0.2.1", 0).start()
        assert at("::1", 9094).url == "ws://[::1]:9094"
        await at("::1", 9094).close()
