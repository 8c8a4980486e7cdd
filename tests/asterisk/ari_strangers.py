"""Whoever else knocks where a call's audio comes in, by each of its ways."""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from uuid import UUID

from websockets.asyncio.client import connect

from ruasr_tel_adapters.ari.rtp.wire import Packet

PACKETS = 20

Knock = Callable[[str, str, int], Awaitable[None]]
"""Takes id and name of a media channel, and the door's port; returns when it was shown out."""


async def rtp(channel: str, name: str, _port: int) -> None:
    """Send RTP to the port that a side's audio comes in by: `UnicastRTP/127.0.0.1:PORT-0x7f…`."""
    found = re.fullmatch(r"UnicastRTP/127\.0\.0\.1:(\d+)-.*", name)
    assert found is not None, (channel, name)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        for number in range(PACKETS):
            packet = Packet(10, number, 160 * number, 99, bytes(320))
            stranger.sendto(bytes(packet), ("127.0.0.1", int(found[1])))


async def audiosocket(_channel: str, name: str, port: int) -> None:
    """Connect with the UUID of a running side: `AudioSocket/127.0.0.1:PORT-UUID`."""
    uuid = UUID(name[-36:])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"\x01\x00\x10" + uuid.bytes)
    assert await reader.read() == b""
    writer.close()


async def websocket(channel: str, _name: str, port: int) -> None:
    """Connect as the channel of a running side."""
    async with connect(f"ws://127.0.0.1:{port}/", compression=None) as stranger:
        await stranger.send(f"MEDIA_START channel_id:{channel} format:slin optimal_frame_size:320")
        await stranger.wait_closed()
        assert stranger.close_code == 1000


STRANGERS: Mapping[str, tuple[Knock, str]] = {
    "RTP": (rtp, "foreign"),
    "AudioSocket": (audiosocket, "second connection"),
    "WebSocket, it connects": (websocket, "second connection"),
}
"""By the encapsulation, with the kind that is counted and logged; in the fourth nobody listens."""
