"""A simulated PBX with a Vosk client: 100 ms messages at the pace of a call, then eof."""

import asyncio
import json
from urllib.parse import urlencode

import numpy as np
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from ruasr_tel.errors import ProtocolError
from ruasr_tel.plugins import Heard, PhoneCall

MESSAGE_S = 0.1
"""Audio per message: half of what FreeSWITCH mod_vosk sends, for answers come with messages."""
TAIL_S = 1.0
"""Silence after the file, so that its last phrase ends by itself."""


class VoskPhone:
    """Plays calls into the Vosk WebSocket door and hears its replies."""

    scheme = "ws"
    hears = True

    async def play(self, call: PhoneCall) -> None:
        """Play one call, send eof, hear every reply up to the server's close.

        Raises:
            OSError: nobody listens there.
            ProtocolError: the server refused or dropped the call.
        """
        query = {"call_id": call.call_id, "sample_rate": str(call.sample_rate_hz)}
        if call.profile:
            query["profile"] = call.profile
        url = f"{call.url}/?{urlencode(query)}"
        try:
            async with connect(url, compression=None, ping_interval=None) as socket:
                await asyncio.gather(_listen(call, socket), _send(call, socket))
        except InvalidStatus as error:
            reason = (error.response.body or b"").decode(errors="replace").strip()
            raise ProtocolError(f"the server refused the call: {reason or error}") from error
        except (InvalidHandshake, InvalidURI) as error:
            raise ProtocolError(f"the server refused the call: {error}") from error
        except ConnectionClosed as error:
            raise ProtocolError(f"the server dropped the call: {error}") from error


async def _send(call: PhoneCall, socket: ClientConnection) -> None:
    loop = asyncio.get_running_loop()
    message = round(call.sample_rate_hz * MESSAGE_S)
    tail = np.zeros(round(TAIL_S * call.sample_rate_hz), np.int16)
    audio = np.concatenate([call.samples, tail]).astype("<i2")
    start_s = loop.time()
    call.started(start_s)
    for at in range(0, len(audio), message):
        await socket.send(audio[at : at + message].tobytes())
        due_s = start_s + (at + message) / call.sample_rate_hz / call.pace
        await asyncio.sleep(max(due_s - loop.time(), 0))
    await socket.send('{"eof" : 1}')


async def _listen(call: PhoneCall, socket: ClientConnection) -> None:
    loop = asyncio.get_running_loop()
    async for reply in socket:
        body = json.loads(reply)
        words = body.get("result", [])
        end_s = words[-1]["end"] if words else None
        final = "text" in body
        call.hear(Heard(body["text" if final else "partial"], final, end_s, loop.time()))
