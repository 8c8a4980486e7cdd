"""What simulated phones have in common: audio at the pace of a call, and how a call is refused."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from ruasr_tel.errors import ProtocolError
from ruasr_tel.plugins import PhoneCall

TAIL_S = 1.0
"""Silence after the file, so that its last phrase ends by itself."""


async def paced(call: PhoneCall, message_s: float) -> AsyncIterator[bytes]:
    """Yield a call's audio and a silent tail, s16le, a message at a time, each when it is due.

    Args:
        call: what to play; it is told when the first sample is due.
        message_s: audio per message, in seconds; the last one may be shorter.
    """
    loop = asyncio.get_running_loop()
    message = round(call.sample_rate_hz * message_s)
    tail = np.zeros(round(TAIL_S * call.sample_rate_hz), np.int16)
    audio = np.concatenate([call.samples, tail]).astype("<i2")
    start_s = loop.time()
    call.started(start_s)
    for at in range(0, len(audio), message):
        yield audio[at : at + message].tobytes()
        due_s = start_s + (at + message) / call.sample_rate_hz / call.pace
        await asyncio.sleep(max(due_s - loop.time(), 0))


@asynccontextmanager
async def dialled(url: str, *subprotocols: str) -> AsyncIterator[ClientConnection]:
    """Connect to a WebSocket door as PBXs do: no extensions, no pings.

    Args:
        url: of the door, with what the phone's protocol says in it.
        subprotocols: to offer.

    Raises:
        OSError: nobody listens there.
        ProtocolError: the server refused the call, or dropped it while the context lasted.
    """
    offered = [Subprotocol(name) for name in subprotocols] or None
    try:
        async with connect(
            url, subprotocols=offered, compression=None, ping_interval=None
        ) as socket:
            yield socket
    except InvalidStatus as error:
        reason = (error.response.body or b"").decode(errors="replace").strip()
        raise ProtocolError(f"the server refused the call: {reason or error}") from error
    except (InvalidHandshake, InvalidURI) as error:
        raise ProtocolError(f"the server refused the call: {error}") from error
    except ConnectionClosed as error:
        raise ProtocolError(f"the server dropped the call: {error}") from error
