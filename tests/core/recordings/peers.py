"""Hosts that misbehave on purpose, on loopback; they speak bytes."""

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import TypeAlias

from ruasr_tel.recordings.addresses import AddressRules, networks

LOOPBACK = networks(["127.0.0.0/8"])


class End(Enum):
    """What a host does after its last byte."""

    CLOSE = auto()
    RESET = auto()
    HANG = auto()


@dataclass(frozen=True)
class Reply:
    """What a host sends for one request."""

    data: bytes
    end: End = End.CLOSE
    piece: int = 1 << 16


Script: TypeAlias = Reply | Callable[[str], Reply]
"""A reply, or what makes one from the head of the request."""


@dataclass
class Host:
    """A server that plays its replies one by one; the last one again and again."""

    replies: Sequence[Script]
    requests: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    port: int = 0
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def url(self, path: str = "/call.wav", *, host: str = "records.example") -> str:
        return f"http://{host}:{self.port}{path}"

    def header(self, name: str, request: int = -1) -> str | None:
        match = re.search(rf"(?im)^{name}: (.*?)\r$", self.requests[request])
        return match[1] if match else None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            length = re.search(r"(?i)content-length: (\d+)", head)
            self.bodies.append(await reader.readexactly(int(length[1]) if length else 0))
            reply = self.replies[min(len(self.requests), len(self.replies) - 1)]
            self.requests.append(head)
            reply = reply if isinstance(reply, Reply) else reply(head)
            for at in range(0, len(reply.data), reply.piece):
                writer.write(reply.data[at : at + reply.piece])
                await writer.drain()
            if reply.end is End.HANG:
                await self.over.wait()
            elif reply.end is End.RESET:
                _reset(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client has had enough
        finally:
            writer.close()


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close with RST, unsent bytes thrown away (socket(7), SO_LINGER)."""
    sock = writer.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()


@asynccontextmanager
async def host(
    *replies: Script, tls: ssl.SSLContext | None = None, address: str = "127.0.0.1"
) -> AsyncIterator[Host]:
    """Run a host on a free port of loopback."""
    peer = Host(replies)
    server = await asyncio.start_server(peer.serve, address, 0, ssl=tls)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        peer.over.set()
        server.close()
        await server.wait_closed()


def answer(body: bytes = b"", *headers: str, status: str = "200 OK", length: bool = True) -> bytes:
    """Return a whole HTTP answer."""
    lines = [f"HTTP/1.1 {status}", *headers]
    if length:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def names(**addresses: str) -> Callable[[str, int], Awaitable[list[str]]]:
    """Return a lookup that knows these hosts, `_` for `.`, besides `records.example`."""
    known = {"records.example": "127.0.0.1"}
    known |= {name.replace("_", "."): found for name, found in addresses.items()}

    async def lookup(name: str, port: int) -> list[str]:
        if name not in known:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return known[name].split()

    return lookup


def loopback_rules(**addresses: str) -> AddressRules:
    """Return rules that permit loopback, where the hosts of these tests live."""
    return AddressRules(LOOPBACK, lookup=names(**addresses))
