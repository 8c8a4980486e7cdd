"""A simulated Asterisk with a speech object: setup, a frame every 20 ms, results as they come."""

import asyncio
import json

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from ruasr_tel.errors import ProtocolError
from ruasr_tel.plugins import Heard, PhoneCall
from ruasr_tel.testing.phone import paced
from ruasr_tel_adapters.aeap.wire import VERSION, Request, Response, answer, parse

PTIME_S = 0.02
"""Asterisk hands every frame of its channel on."""


class AeapPhone:
    """Plays calls into the AEAP door and hears its results."""

    scheme = "ws"
    hears = True

    async def play(self, call: PhoneCall) -> None:
        """Play one call, then destroy the speech object as Asterisk does: close 1000.

        Raises:
            OSError: nobody listens there.
            ProtocolError: the server refused or dropped the call.
        """
        try:
            async with connect(
                call.url,
                subprotocols=[Subprotocol("speech_to_text")],
                compression=None,
                ping_interval=None,
            ) as socket:
                await _set_up(call, socket)
                listening = asyncio.create_task(_listen(call, socket))
                async for audio in paced(call, PTIME_S):
                    await socket.send(audio)
                await socket.close()
                await listening
        except InvalidStatus as error:
            reason = (error.response.body or b"").decode(errors="replace").strip()
            raise ProtocolError(f"the server refused the call: {reason or error}") from error
        except (InvalidHandshake, InvalidURI) as error:
            raise ProtocolError(f"the server refused the call: {error}") from error
        except ConnectionClosed as error:
            raise ProtocolError(f"the server dropped the call: {error}") from error


async def _set_up(call: PhoneCall, socket: ClientConnection) -> None:
    params = {"call_id": call.call_id, "sample_rate": str(call.sample_rate_hz)}
    if call.profile:
        params["profile"] = call.profile
    request = {"request": "setup", "version": VERSION, "codecs": [{"name": "slin"}]}
    await socket.send(json.dumps(request | {"params": params, "id": call.call_id}))
    reply = parse(str(await socket.recv()))
    if isinstance(reply, Response) and reply.error is not None:
        raise ProtocolError(f"the server refused the call: {reply.error}")


async def _listen(call: PhoneCall, socket: ClientConnection) -> None:
    loop = asyncio.get_running_loop()
    async for message in socket:
        request = parse(str(message))
        if isinstance(request, Request):
            params = request.body["params"]
            assert isinstance(params, dict)
            call.hear(Heard(params["results"][-1]["text"], True, None, loop.time()))
            await socket.send(answer(request))
