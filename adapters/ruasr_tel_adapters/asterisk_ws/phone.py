"""A simulated Asterisk that dials WebSocket/...: MEDIA_START, then a frame every 20 ms."""

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Final
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from ruasr_tel.audio.codec import Encoding
from ruasr_tel.errors import ProtocolError
from ruasr_tel.plugins import PhoneCall
from ruasr_tel.testing.phone import dialled, paced
from ruasr_tel_adapters.wires.chan_websocket import FORMATS, Format

PTIME_S: Final = 0.02
"""Asterisk hands every frame of its channel on."""

FORMAT_NAMES: Final[Mapping[Format, str]] = {each: name for name, each in FORMATS.items()}


class AsteriskPhone:
    """Plays calls into the door; its text leaves by the server's sinks."""

    scheme = "ws"
    hears = False

    async def play(self, call: PhoneCall) -> None:
        """Play one call, then hang up as Asterisk does: close 1000.

        Raises:
            OSError: nobody listens there.
            ProtocolError: the server refused or dropped the call.
        """
        query = {"uuid": call.call_id} | ({"profile": call.profile} if call.profile else {})
        async with dialled(f"{call.url}/media?{urlencode(query)}", "media") as socket:
            await socket.send(_start(call))
            await asyncio.gather(_send(call, socket), _swallow(socket))


def _start(call: PhoneCall) -> str:
    """Return the first message of a channel.

    Raises:
        ProtocolError: Asterisk has no slin of that rate.
    """
    name = FORMAT_NAMES.get(Format(Encoding.SLIN, call.sample_rate_hz))
    if name is None:
        raise ProtocolError(f"Asterisk has no slin of {call.sample_rate_hz} Hz")
    return json.dumps(
        {
            "event": "MEDIA_START",
            "connection_id": "phone",
            "channel": "WebSocket/phone/0x1",
            "channel_id": call.call_id,
            "format": name,
            "optimal_frame_size": call.sample_rate_hz // 50 * 2,
            "ptime": 20,
            "channel_variables": {},
        }
    )


async def _send(call: PhoneCall, socket: ClientConnection) -> None:
    async for audio in paced(call, PTIME_S):
        await socket.send(audio)
    await socket.close()


async def _swallow(socket: ClientConnection) -> None:
    with suppress(ConnectionClosed):
        async for _ in socket:
            pass
