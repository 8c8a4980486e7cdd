"""A simulated Asterisk with a speech object: setup, a frame every 20 ms, results as they come."""

import asyncio
import json

from websockets.asyncio.client import ClientConnection

from ruasr_tel.errors import ProtocolError
from ruasr_tel.plugins import Heard, PhoneCall
from ruasr_tel.testing.phone import dialled, paced
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
        async with dialled(call.url, "speech_to_text") as socket:
            await _set_up(call, socket)
            listening = asyncio.create_task(_listen(call, socket))
            async for audio in paced(call, PTIME_S):
                await socket.send(audio)
            await socket.close()
            await listening


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
