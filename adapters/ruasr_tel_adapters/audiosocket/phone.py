"""A simulated Asterisk: one call leg over AudioSocket, a frame every 20 ms."""

import asyncio
import contextlib
from urllib.parse import urlsplit
from uuid import UUID

from ruasr_tel.errors import ProtocolError
from ruasr_tel.plugins import PhoneCall
from ruasr_tel.testing.phone import paced
from ruasr_tel_adapters.wires.audiosocket import encode_audio, encode_uuid

PTIME_S = 0.02
"""As the AudioSocket() application sends it."""


class AudioSocketPhone:
    """Plays calls into the AudioSocket door; its text leaves by the server's sinks."""

    scheme = "tcp"
    hears = False

    async def play(self, call: PhoneCall) -> None:
        """Play one call, then hang up as Asterisk does: with a plain FIN.

        Raises:
            OSError: nobody listens there.
            ProtocolError: the server hung up before the file was over.
        """
        address = urlsplit(call.url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        listening = asyncio.create_task(_swallow(reader))
        try:
            writer.write(encode_uuid(UUID(call.call_id)))
            await _send(call, writer, listening)
            writer.write_eof()
            await listening
        finally:
            listening.cancel()
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def _send(
    call: PhoneCall, writer: asyncio.StreamWriter, listening: "asyncio.Task[None]"
) -> None:
    sent_s = 0.0
    async for audio in paced(call, PTIME_S):
        if listening.done():
            raise ProtocolError(f"the server ended the call after {sent_s:.2f} s")
        writer.write(encode_audio(audio, call.sample_rate_hz))
        await writer.drain()
        sent_s += PTIME_S


async def _swallow(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionResetError):
        while await reader.read(65536):
            pass
