"""One stream: optional metadata, then audio of one or two parties; results go back on it."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final
from uuid import uuid4

import structlog
from structlog.typing import FilteringBoundLogger
from websockets.asyncio.connection import Connection as WebSocket

from ruasr_tel.audio.codec import Encoding
from ruasr_tel.call import Call, Calls
from ruasr_tel.errors import ConfigError, Overloaded, ProtocolError
from ruasr_tel.events import Event, Partial
from ruasr_tel.live import Ear, free_id
from ruasr_tel.metrics import Metrics
from ruasr_tel.types import CallId
from ruasr_tel.websocket import FAULTS, POLICY_VIOLATION, TRY_AGAIN_LATER, Ending, PeerSocket
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

HOLD_S: Final = 0.2
"""How long audio waits for metadata where the URL does not say how to read it: both modules send
them from another thread than the audio, whose first frames may come before (mod_audio_stream
ec2a781 audio_streamer_glue.cpp, mod_audio_fork 88e1465 lws_glue.cpp)."""

HELD_BYTES_MAX: Final = 64_000
"""1 s of stereo at 16 kHz; more comes from no telephone within `HOLD_S`."""


class Connection:
    """A stream from its accepted handshake to its end.

    Args:
        websocket: the socket.
        calls: where a call is opened.
        metrics: counts what is against the protocol.
        config: the door's section.
        settings: what the URL says.
    """

    def __init__(
        self,
        websocket: WebSocket,
        calls: Calls,
        metrics: Metrics,
        config: AudioStreamConfig,
        settings: Settings,
    ) -> None:
        self._socket = PeerSocket(websocket, config.idle_timeout_s, config.close_timeout_s)
        self._calls = calls
        self._metrics = metrics
        self._config = config
        self._settings = settings
        self._call: Call | None = None
        self._ears: tuple[Ear, ...] = ()
        self._split = Deinterleaver(1)
        self._held = bytearray()  # audio before anybody said how to read it
        self._patience: asyncio.TimerHandle | None = None
        self._log: FilteringBoundLogger = structlog.get_logger(__name__)
        self._log = self._log.bind(door=DOOR, peer=self._socket.peer)

    async def run(self) -> None:
        """Serve the stream; returns when its call has ended and the socket is closed."""
        ending = await self._socket.listen(self._take)
        if ending.reason in FAULTS:
            self._bad(ending.reason, ending.text)
        self._guard(self._release)
        if self._call is not None:
            await self._call.end(ending.reason)
        await self._socket.close(ending)

    def stop(self, ending: Ending) -> None:
        """End the stream, its last results first."""
        self._socket.stop(ending)

    def _take(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            self._guard(lambda: self._hear(message))
        else:
            self._guard(lambda: self._act(message))

    def _guard(self, action: Callable[[], None]) -> None:
        """Do it; what cannot be ends the stream with a reason."""
        try:
            action()
        except Overloaded as error:
            self._held.clear()
            self.stop(Ending("refused", TRY_AGAIN_LATER, str(error)))
        except (ProtocolError, ConfigError) as error:
            self._held.clear()
            self._bad("protocol", str(error))
            self.stop(Ending("refused", POLICY_VIOLATION, str(error)))

    def _act(self, text: str) -> None:
        values = parse_text(text)
        digit = digit_in(values)
        if digit is not None and self._call is not None:
            self._call.dtmf(self._call.legs[0], digit)
        elif self._call is None:
            self._settings = change(self._settings, values)
            self._open()
        else:
            self._log.debug("audio_stream text", length=len(text))
            self._note_late(values)

    def _note_late(self, values: Mapping[str, Any]) -> None:
        """Tell of metadata that say, too late, that the audio is something else."""
        with suppress(ProtocolError):  # a text of the dialplan's own
            said = change(self._settings, values)
            if said.sample_rate_hz != self._settings.sample_rate_hz:
                self._bad("late", "the rate came after the call began: say it in the URL")
            elif said.channels != self._settings.channels:
                self._bad("late", "the channels came after the call began: say them in the URL")

    def _hear(self, data: bytes) -> None:
        if self._call is None and not self._settings.is_whole:
            self._hold(data)
            return
        if self._call is None:
            self._open()
        for ear, samples in zip(self._ears, self._split.feed(data), strict=True):
            ear.take(samples)

    def _hold(self, data: bytes) -> None:
        """Keep audio until metadata come, or it is clear that there are none."""
        self._held += data
        if self._patience is None:
            loop = asyncio.get_running_loop()
            self._patience = loop.call_later(HOLD_S, self._guard, self._release)
        if len(self._held) > HELD_BYTES_MAX:
            self._release()

    def _release(self) -> None:
        """Begin the call with what was held."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        if self._held and self._call is None:
            self._open()

    def _open(self) -> None:
        """Open the call: both legs at one moment.

        Raises:
            Overloaded: no room for it.
            ConfigError: unknown profile.
        """
        settings = self._settings
        wanted = settings.call_id or CallId(str(uuid4()))
        call_id = free_id(wanted, self._calls)
        self._log = self._log.bind(call_id=call_id)
        if call_id != wanted:
            self._bad("id in use", f"a running call has the id {wanted}")
        self._call = self._calls.open(
            door=DOOR,
            call_id=call_id,
            peer=self._socket.peer,
            profile=settings.profile,
            door_profile=self._config.profile,
            on_event=self._on_event,
            hang_up=lambda reason: self.stop(Ending("too long", POLICY_VIOLATION, reason)),
        )
        legs = [
            self._call.open_leg(settings.sample_rate_hz, channel)
            for channel in range(settings.channels)
        ]
        self._ears = tuple(Ear(leg, Encoding.SLIN, self._config.max_backlog_s) for leg in legs)
        self._split = Deinterleaver(settings.channels)
        held, self._held = bytes(self._held), bytearray()
        self._hear(held)

    def _bad(self, kind: str, error: str) -> None:
        self._metrics.bad_messages.labels(DOOR, kind).inc()
        self._log.warning("bad message", kind=kind, error=error)

    def _on_event(self, event: Event) -> None:
        """Send a result; a peer that does not read misses some, the sinks have all."""
        if isinstance(event, Partial) and not self._config.partials:
            return
        result = format_result(event)
        if result is not None and not self._socket.offer(result):
            self._log.warning("audio_stream peer does not read: a result was left out")
