"""One stream: optional metadata, then audio of one or two parties; results go back on it."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

import structlog
from structlog.typing import FilteringBoundLogger
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from ruasr_tel.call import Calls
from ruasr_tel.conversation import Call
from ruasr_tel.errors import ConfigError, Overloaded, ProtocolError
from ruasr_tel.events import Event, Partial
from ruasr_tel.types import CallId
from ruasr_tel_adapters.audio_stream.config import AudioStreamConfig
from ruasr_tel_adapters.audio_stream.wire import (
    Deinterleaver,
    Settings,
    change,
    digit_in,
    format_result,
    parse_text,
)

DOOR: Final = "audio_stream"

NORMAL: Final = 1000
POLICY_VIOLATION: Final = 1008
SERVICE_RESTART: Final = 1012
TRY_AGAIN_LATER: Final = 1013
"""RFC 6455, 7.4.1 and the IANA registry of WebSocket close codes."""

CLOSE_REASON_BYTES_MAX: Final = 123
"""RFC 6455, 5.5: a control frame holds 125 bytes, two of them are the code."""

UNSENT_MAX: Final = 200
"""Results that wait for a peer that does not read; later ones are left out, the sinks have all."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a stream ends.

    Attributes:
        reason: for the call's events.
        close_code: what the peer is told.
        text: the same in a sentence.
    """

    reason: str
    close_code: int = NORMAL
    text: str = ""


class Connection:
    """A stream from its accepted handshake to its end.

    Args:
        socket: the WebSocket.
        calls: where a call is opened.
        config: the door's section.
        settings: what the URL says.
    """

    def __init__(
        self, socket: ServerConnection, calls: Calls, config: AudioStreamConfig, settings: Settings
    ) -> None:
        self._socket = socket
        self._calls = calls
        self._config = config
        self._settings = settings
        self._call: Call | None = None
        self._split = Deinterleaver(1)
        self._stop: Ending | None = None
        self._waiting: asyncio.Timeout | None = None
        self._results: asyncio.Queue[str | None] = asyncio.Queue(UNSENT_MAX)
        self._log: FilteringBoundLogger = structlog.get_logger(__name__)

    async def run(self) -> None:
        """Serve the stream; returns when its call has ended and the socket is closed."""
        sending = asyncio.create_task(self._send())
        ending = await self._serve()
        if self._call is not None:
            await self._call.end(ending.reason)
        await self._finish(sending, ending)

    def stop(self, ending: Ending) -> None:
        """End the stream, its last results first."""
        self._stop = self._stop or ending
        if self._waiting is not None:
            self._waiting.reschedule(asyncio.get_running_loop().time())

    async def _serve(self) -> Ending:
        try:
            while self._stop is None:
                self._take(await self._receive())
        except TimeoutError:
            idle = f"no message for {self._config.idle_timeout_s:g} s"
            return self._stop or Ending("idle", POLICY_VIOLATION, idle)
        except ConnectionClosed:
            return Ending("close")  # how FreeSWITCH hangs up
        except Overloaded as error:
            return Ending("refused", TRY_AGAIN_LATER, str(error))
        except (ProtocolError, ConfigError) as error:
            self._log.warning("audio_stream refused", error=str(error))
            return Ending("refused", POLICY_VIOLATION, str(error))
        return self._stop

    async def _receive(self) -> str | bytes:
        """Return the next message.

        Raises:
            TimeoutError: none came for too long, or `stop` was called.
            ConnectionClosed: the peer left.
        """
        try:
            patience_s = 0.0 if self._stop else self._config.idle_timeout_s
            async with asyncio.timeout(patience_s) as self._waiting:
                return await self._socket.recv()
        finally:
            self._waiting = None

    def _take(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            self._hear(message)
            return
        values = parse_text(message)
        digit = digit_in(values)
        if digit is not None and self._call is not None:
            self._call.dtmf(self._call.legs[0], digit)
        elif self._call is None:
            self._settings = change(self._settings, values)
            self._open()
        else:
            self._log.debug("audio_stream text", length=len(message))

    def _hear(self, data: bytes) -> None:
        call = self._call or self._open()
        for leg, samples in zip(call.legs, self._split.feed(data), strict=True):
            if leg.backlog_s > self._config.max_backlog_s:
                leg.drop(len(samples), "backlog")
            else:
                leg.push(samples)

    def _open(self) -> Call:
        """Open the call: both legs at one moment.

        Raises:
            Overloaded: no room for it.
            ConfigError: unknown profile.
        """
        settings = self._settings
        wanted = settings.call_id or CallId(str(uuid4()))
        call_id, count = wanted, 1
        while call_id in self._calls:
            count += 1
            call_id = CallId(f"{wanted}#{count}")
        self._log = self._log.bind(call_id=call_id)
        call = self._calls.open(
            door=DOOR,
            call_id=call_id,
            peer=_peer(self._socket),
            profile=settings.profile or self._config.profile,
            on_event=self._on_event,
            hang_up=lambda reason: self.stop(Ending("too long", POLICY_VIOLATION, reason)),
        )
        for channel in range(settings.channels):
            call.open_leg(settings.sample_rate_hz, channel)
        self._split = Deinterleaver(settings.channels)
        self._call = call
        return call

    # Results.

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Partial) and not self._config.partials:
            return
        result = format_result(event)
        if result is None:
            return
        try:
            self._results.put_nowait(result)
        except asyncio.QueueFull:
            self._log.warning("audio_stream peer does not read: a result was left out")

    async def _send(self) -> None:
        with suppress(ConnectionClosed):
            while (result := await self._results.get()) is not None:
                await self._socket.send(result)

    async def _finish(self, sending: "asyncio.Task[None]", ending: Ending) -> None:
        """Send what is left, then close; neither for longer than `close_timeout_s`."""
        try:
            async with asyncio.timeout(2 * self._config.close_timeout_s):
                if not sending.done():
                    await self._results.put(None)
                await sending
                await self._socket.close(ending.close_code, _close_reason(ending.text))
        except TimeoutError:
            self._socket.transport.abort()


def _peer(socket: ServerConnection) -> str:
    """Return `address:port`; a peer that is gone already has none."""
    address = socket.remote_address
    return f"{address[0]}:{address[1]}" if address else "unknown"


def _close_reason(text: str) -> str:
    return text.encode()[:CLOSE_REASON_BYTES_MAX].decode(errors="ignore")
