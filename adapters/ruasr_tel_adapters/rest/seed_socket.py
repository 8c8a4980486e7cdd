"""The seed's WebSocket `/ws`: config, chunks of audio, eof; backed by a call."""

import asyncio
import tempfile
from contextlib import suppress
from uuid import uuid4

import structlog
from aiohttp import WSCloseCode, WSMsgType, web
from pydantic import BaseModel, ConfigDict, ValidationError

from ruasr_tel.audio.codec import Decoder, Encoding
from ruasr_tel.audio.reader import DecodingConfig, Reader, Reading
from ruasr_tel.call import Call
from ruasr_tel.errors import AudioFormatError, Overloaded, ProtocolError
from ruasr_tel.events import Event
from ruasr_tel.leg import Leg
from ruasr_tel.recordings.recognise import mixed, portions
from ruasr_tel.types import CallId, Samples
from ruasr_tel_adapters.rest.api import API, STOPPING, Api
from ruasr_tel_adapters.rest.problems import invalid
from ruasr_tel_adapters.rest.seed_talk import Settings, Talk

DOOR = "rest"
PCM16 = "pcm16"
CHUNKS = DecodingConfig(stall_s=10.0)
"""Limits of a connection's decoder; a chunk is decoded in milliseconds."""
SLICE_S = 1.0
"""A longer chunk is handed on in pieces, so that a whole file in one message is bounded, too."""
SAMPLE_BYTES = 2
"""Of PCM16: a message in any format has as much audio at most as the longest one in that."""

_log = structlog.get_logger(__name__)


class _Config(BaseModel):
    model_config = ConfigDict(extra="ignore")

    config: Settings


class Sockets:
    """The open connections."""

    def __init__(self) -> None:
        self._open: set[SeedConnection] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    def add(self, connection: "SeedConnection") -> None:
        """Note a new one."""
        self._open.add(connection)
        self._idle.clear()

    def discard(self, connection: "SeedConnection") -> None:
        """Forget one that has ended."""
        self._open.discard(connection)
        if not self._open:
            self._idle.set()

    async def close(self) -> None:
        """End every one with its last message."""
        for connection in tuple(self._open):
            connection.stop(STOPPING)
        await self._idle.wait()


SOCKETS = web.AppKey("SOCKETS", Sockets)


async def seed_socket(request: web.Request) -> web.StreamResponse:
    """Talk with one client of the seed's socket."""
    api = request.app[API]
    api.admit()
    api.server.calls.admit()
    socket = web.WebSocketResponse(
        max_msg_size=api.config.max_message_bytes, timeout=2.0, compress=False
    )
    if not socket.can_prepare(request).ok:
        return web.Response(text="A WebSocket: see /asyncapi.\n")
    await socket.prepare(request)
    connection = SeedConnection(socket, api, request.remote or "unknown")
    request.app[SOCKETS].add(connection)
    try:
        await connection.run()
    finally:
        request.app[SOCKETS].discard(connection)
    return socket


class SeedConnection:
    """One client from its handshake to its end.

    Args:
        socket: the WebSocket.
        api: the door's state.
        peer: the client's address.
    """

    def __init__(self, socket: web.WebSocketResponse, api: Api, peer: str) -> None:
        self._socket = socket
        self._api = api
        self._peer = peer
        self._talk = Talk(Settings())
        self._decoder = Decoder(Encoding.SLIN)
        self._reader = Reader(CHUNKS)  # of chunks in other formats than PCM
        self._call: Call | None = None
        self._leg: Leg | None = None
        self._news = asyncio.Event()
        self._reading: asyncio.Task[str | None] | None = None
        self._stopped: str | None = None

    def stop(self, reason: str) -> None:
        """End the conversation from this side."""
        self._stopped = reason
        if self._reading is not None:
            self._reading.cancel()

    async def run(self) -> None:
        """Talk to the end; the call's last text is the last message."""
        self._reading = asyncio.create_task(self._read())
        speaking = asyncio.create_task(self._speak())
        try:
            await asyncio.wait({self._reading})
            await self._end(self._error(self._reading))
        finally:
            speaking.cancel()
            self._reader.kill()
            await asyncio.wait({speaking})
            await asyncio.to_thread(self._reader.close)

    def _error(self, reading: "asyncio.Task[str | None]") -> str | None:
        """Return why the conversation ends early, or None if the client ended it."""
        if reading.cancelled():
            return self._stopped
        error = reading.exception()
        if error is None:
            return reading.result()
        if not isinstance(error, (ProtocolError, AudioFormatError, Overloaded)):
            _log.error("connection of the seed's socket failed", exc_info=error)
            return "a fault of the server; its log says more"
        return str(error)

    async def _end(self, error: str | None) -> None:
        reason = "eof" if error is None else "drain" if self._stopped else "error"
        duration_s = 0.0 if self._leg is None else self._leg.clock_s
        if self._call is not None:
            await self._call.end("close" if self._socket.closed else reason)
        with suppress(ConnectionResetError):
            await self._socket.send_str(self._talk.last(duration_s, error))
            code = WSCloseCode.SERVICE_RESTART if self._stopped else WSCloseCode.OK
            await self._socket.close(code=code)

    async def _read(self) -> str | None:
        """Take messages to eof or the client's end; return why it ends early, or None."""
        idle_s = self._api.config.idle_timeout_s
        while True:
            try:
                message = await self._socket.receive(timeout=idle_s)
            except TimeoutError:
                return f"no message for {idle_s:g} s"
            if message.type is WSMsgType.BINARY:
                await self._take(message.data)
                clock_s = 0.0 if self._leg is None else self._leg.clock_s
                await self._send(self._talk.on_chunk(clock_s))
            elif message.type is WSMsgType.TEXT:
                if "eof" in message.data:
                    return None
                self._configure(message.data)
            else:
                return None

    def _configure(self, text: str) -> None:
        """Take a config message; after the first audio its rate comes too late."""
        if "config" not in text:
            _log.info("text of unknown meaning is ignored, as in the seed")
            return
        try:
            self._talk.settings = _Config.model_validate_json(text).config
        except ValidationError as error:
            raise ProtocolError(invalid(error).detail) from error

    async def _take(self, data: bytes) -> None:
        """Hand a chunk on as it is decoded: it may be a whole file, or unpack to days."""
        leg = self._leg or self._open_leg()
        audio_format = self._talk.settings.audio_format.lower()
        if audio_format != PCM16:
            await self._take_file(data, f"chunk.{audio_format}", leg)
            return
        samples = self._decoder.decode(data)
        step = round(SLICE_S * leg.sample_rate_hz)
        for at in range(0, len(samples), step):
            await self._push(leg, samples[at : at + step])

    async def _take_file(self, data: bytes, name: str, leg: Leg) -> None:
        rate_hz = leg.sample_rate_hz
        recording = await asyncio.to_thread(open_chunk, self._reader, data, name, rate_hz)
        blocks = portions(recording)
        most = left = self._api.config.max_message_bytes // SAMPLE_BYTES
        while (block := await asyncio.to_thread(next, blocks, None)) is not None:
            left -= block.shape[1]
            if left < 0:
                raise AudioFormatError(
                    f"{name}: more than {most // rate_hz} s of audio in one message "
                    "(doors.rest.max_message_bytes); send shorter chunks"
                )
            await self._push(leg, mixed(block))

    async def _push(self, leg: Leg, samples: Samples) -> None:
        """Hand audio on, at a pace that bounds what a client ahead of real time can pile up."""
        leg.push(samples)
        await leg.backlog_below(self._api.config.max_backlog_s)

    def _open_leg(self) -> Leg:
        self._call = self._api.server.calls.open(
            door=DOOR,
            call_id=CallId(str(uuid4())),
            peer=self._peer,
            on_event=self._on_event,
            hang_up=self.stop,
        )
        self._leg = self._call.open_leg(self._talk.settings.sample_rate)
        return self._leg

    def _on_event(self, event: Event) -> None:
        self._talk.on_event(event)
        self._news.set()

    async def _speak(self) -> None:
        """Send answers as they come, also while the client is silent."""
        with suppress(ConnectionResetError):
            while True:
                await self._news.wait()
                self._news.clear()
                if self._reading is not None and self._reading.done():
                    return  # what comes now belongs into the last message
                await self._send(self._talk.answers())

    async def _send(self, messages: list[str]) -> None:
        for message in messages:
            await self._socket.send_str(message)


def open_chunk(reader: Reader, data: bytes, name: str, sample_rate_hz: int) -> Reading:
    """Begin to read a chunk that is a whole file of some format. Blocking.

    Args:
        reader: of this connection.
        data: the file.
        name: what to call it in errors; its suffix tells the format of a file without a header.
        sample_rate_hz: what its audio is resampled to.

    Raises:
        AudioFormatError: it is none.
        DecoderDied: it ended the decoder.
    """
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        return reader.open(file, name, sample_rate_hz, sample_rate_hz)
