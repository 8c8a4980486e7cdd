"""A simulated PBX with a Vosk client: 100 ms messages at the pace of a call, then eof."""

import asyncio
import json
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection

from ruasr_tel.plugins import Heard, PhoneCall
from ruasr_tel.testing.phone import dialled, paced

MESSAGE_S = 0.1
"""Audio per message: half of what FreeSWITCH mod_vosk sends, for answers come with messages."""


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
        async with dialled(url) as socket:
            await asyncio.gather(_listen(call, socket), _send(call, socket))


async def _send(call: PhoneCall, socket: ClientConnection) -> None:
    async for audio in paced(call, MESSAGE_S):
        await socket.send(audio)
    await socket.send('{"eof" : 1}')


async def _listen(call: PhoneCall, socket: ClientConnection) -> None:
    loop = asyncio.get_running_loop()
    async for reply in socket:
        body = json.loads(reply)
        words = body.get("result", [])
        end_s = words[-1]["end"] if words else None
        final = "text" in body
        call.hear(Heard(body["text" if final else "partial"], final, end_s, loop.time()))
