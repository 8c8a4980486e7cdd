"""Clients of the door: one that keeps the rules, one that breaks them."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from ruasr_tel.websocket import Listener

EMPTY = '{\n  "partial" : ""\n}'
AUDIO = bytes(3200)


@asynccontextmanager
async def client(
    door: Listener, path: str = "/", **options: Any
) -> AsyncIterator[ClientConnection]:
    async with connect(door.url + path, **options) as peer:
        yield peer


async def ask(peer: ClientConnection, message: str | bytes) -> dict[str, Any]:
    await peer.send(message)
    reply = await peer.recv()
    assert isinstance(reply, str)
    parsed = json.loads(reply)
    assert isinstance(parsed, dict)
    return parsed


async def closed(peer: ClientConnection) -> tuple[int, str]:
    with pytest.raises(ConnectionClosed) as caught:
        await peer.recv()
    assert caught.value.rcvd is not None
    return caught.value.rcvd.code, caught.value.rcvd.reason


class RawClient:
    """A WebSocket client by hand, so that it can break the rules."""

    def __init__(self, door: Listener) -> None:
        self.port = int(door.url.rpartition(":")[2])
        self.stuck = asyncio.Event()

    async def open(self) -> None:
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        self.writer.write(
            b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert (await self.reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101 ")

    async def send_frame(self, opcode: int, payload: bytes, *, masked: bool = True) -> None:
        mask = b"\0\0\0\0" if masked else b""  # a zero key: Asterisk before 18
        head = struct.pack("!BBH", 0x80 | opcode, (128 if masked else 0) | 126, len(payload))
        if len(payload) < 126:
            head = struct.pack("!BB", 0x80 | opcode, (128 if masked else 0) | len(payload))
        self.writer.write(head + mask + payload)
        await self.writer.drain()

    async def flood(self) -> None:
        while True:
            try:
                async with asyncio.timeout(0.2):
                    await self.send_frame(2, AUDIO)
            except TimeoutError:
                self.stuck.set()

    def reset(self) -> None:
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()
