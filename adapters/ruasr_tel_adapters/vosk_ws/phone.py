"""A simulated PBX with a Vosk client: 100 ms messages at the pace of a call, then eof."""

import asyncio
import json
from urllib.parse import urlencode

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from ruasr_tel.errors import ProtocolError
from ruasr_tel.plugins import Heard, PhoneCall
from ruasr_tel.testing.phone import paced

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
