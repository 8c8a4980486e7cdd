"""A client's messages that are not answered yet, read ahead of the conversation."""

import asyncio
import sys
from typing import Final, Self

from websockets.asyncio.connection import Connection
from websockets.exceptions import ConnectionClosed

TURNS: Final = 4
"""Turns of the event loop in which bytes at hand become messages: it reads, wakes us, reads on."""


class Inbox:
    """Reads a socket ahead, up to so many bytes, then leaves it to TCP to hold the client back.

    A client may send a file and leave without reading a reply. Its machine then answers our reply
    with a reset, and the kernel forgets what was not read until then.

    Args:
        socket: the WebSocket; nobody else reads it.
        most_bytes: what may wait here; one more message is taken when there is less.
    """

    def __init__(self, socket: Connection, most_bytes: int) -> None:
        self._socket = socket
        self._most_bytes = most_bytes
        self._bytes = 0
        self._waiting: asyncio.Queue[str | bytes | Exception] = asyncio.Queue()
        self._room = asyncio.Event()
        self._room.set()
        self._held_back = False
        self._taken = 0
        self._pipelined = False
        self._filling: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._filling = asyncio.create_task(self._fill())
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        assert self._filling is not None
        self._filling.cancel()

    async def recv(self) -> str | bytes:
        """Return the next message.

        Raises:
            ConnectionClosed: there is none any more.
        """
        await asyncio.sleep(0)  # a client far ahead must not stall other calls, nor its own reading
        message = await self._waiting.get()
        if isinstance(message, Exception):
            raise message
        self._bytes -= sys.getsizeof(message)
        if self._bytes < self._most_bytes:
            self._room.set()
        return message

    async def settle(self) -> None:
        """Take what has arrived from a client that does not wait for replies; before each reply.

        The second reply to a client that has left breaks the connection, for reading, too.
        """
        self._pipelined = self._pipelined or not self._waiting.empty()
        seen = -1
        while self._pipelined and self._room.is_set() and seen != self._taken:
            seen = self._taken
            for _ in range(TURNS):
                await asyncio.sleep(0)

    def is_cut(self, closed: ConnectionClosed) -> bool:
        """Whether a connection broke off with messages that may never have been read."""
        return self._held_back and isinstance(closed.__cause__, OSError)

    async def _fill(self) -> None:
        try:
            while True:
                message = await self._socket.recv()
                self._waiting.put_nowait(message)
                self._taken += 1
                self._bytes += sys.getsizeof(message)  # an empty one takes memory, too
                if self._bytes >= self._most_bytes:
                    self._held_back = True
                    self._room.clear()
                await self._room.wait()
        except Exception as error:  # noqa: BLE001 - it belongs to whoever waits for a message
            self._waiting.put_nowait(error)
