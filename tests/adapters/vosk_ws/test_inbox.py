"""What is read ahead of the conversation, and how much of it."""

import asyncio
import sys
from typing import cast

import pytest
from websockets.asyncio.connection import Connection
from websockets.exceptions import ConnectionClosed, ConnectionClosedError

from ruasr_tel_adapters.vosk_ws.inbox import Inbox

ONE = sys.getsizeof(b"12345678")


class Socket:
    """Has so many messages, then breaks off."""

    def __init__(self, messages: int, cause: Exception | None = None) -> None:
        self.left = messages
        self.cause = cause

    async def recv(self) -> bytes:
        if self.left % 2:
            await asyncio.sleep(0)
        if not self.left:
            raise ConnectionClosedError(None, None) from self.cause
        self.left -= 1
        return b"%08d" % self.left


def inbox(socket: Socket, most_bytes: int) -> Inbox:
    return Inbox(cast(Connection, socket), most_bytes)


async def turns(count: int = 100) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_messages_come_in_order_then_the_end() -> None:
    async with inbox(Socket(3), 100 * ONE) as box:
        assert [await box.recv() for _ in range(3)] == [b"00000002", b"00000001", b"00000000"]
        with pytest.raises(ConnectionClosed) as closed:
            await box.recv()
    assert not box.is_cut(closed.value)


async def test_reading_pauses_at_the_limit_and_goes_on_below_it() -> None:
    socket = Socket(10)
    async with inbox(socket, 4 * ONE) as box:
        await turns()
        assert socket.left == 6
        await box.recv()
        await turns()
        assert socket.left == 5
    await turns()
    assert socket.left == 5  # it is left alone at the end


async def test_a_reply_waits_until_what_has_arrived_is_read() -> None:
    socket = Socket(10)
    async with inbox(socket, 100 * ONE) as box:
        await box.settle()
        assert socket.left == 10  # nobody is ahead: no turn of the loop is spent
        await turns(2)
        assert 0 < socket.left < 10
        await box.settle()
        assert socket.left == 0


@pytest.mark.parametrize(
    ("most", "cause", "cut"),
    [(4, ConnectionResetError(), True), (4, None, False), (100, ConnectionResetError(), False)],
)
async def test_only_who_was_held_back_may_have_been_cut(
    most: int, cause: Exception | None, cut: bool
) -> None:
    async with inbox(Socket(10, cause), most * ONE) as box:
        await turns()
        for _ in range(10):
            await box.recv()
        with pytest.raises(ConnectionClosed) as closed:
            await box.recv()
    assert box.is_cut(closed.value) == cut
