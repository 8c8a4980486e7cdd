"""One AudioSocket connection: one call with one leg."""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from enum import Enum, auto
from typing import Final, cast

import structlog
from structlog.typing import FilteringBoundLogger

from ruasr_tel.audio.codec import Decoder, Encoding
from ruasr_tel.call import Call, Calls
from ruasr_tel.errors import ProtocolError, RuasrError
from ruasr_tel.leg import Leg
from ruasr_tel.live import free_id
from ruasr_tel.metrics import Metrics
from ruasr_tel.sockets import keep_alive, peer_name
from ruasr_tel.types import CallId
from ruasr_tel_adapters.audiosocket.config import AudioSocketConfig
from ruasr_tel_adapters.audiosocket.pace import PaceCheck
from ruasr_tel_adapters.wires.audiosocket import (
    DTMF_DIGITS,
    HEADER,
    RATE_HZ_BY_KIND,
    Kind,
    Message,
    MessageParser,
    check_first_header,
    encode_audio,
    encode_hangup,
    frame_bytes,
    parse_dtmf,
    parse_uuid,
)

DOOR: Final = "audiosocket"

APPLICATION_RATE_HZ: Final = 8_000
"""The rate of the AudioSocket() application (asterisk apps/app_audiosocket.c: always slin)."""

SILENCE_FRAME: Final = encode_audio(bytes(frame_bytes(APPLICATION_RATE_HZ)))
"""20 ms of silence as kind 0x10, which every Asterisk takes in a call of any rate."""


class State(Enum):
    """Where a connection stands."""

    NEW = auto()
    """Waiting for the UUID."""
    RUNNING = auto()
    """The call is open."""
    PARTING = auto()
    """The call is over; reading on until the peer closes, for closing over unread bytes is RST."""
    GONE = auto()
    """The socket is closed."""


_NEW, _RUNNING, _PARTING, _GONE = State
"""Python 3.11 takes 0.13 us to find a member of an enum by name, and every frame asks."""


class Session(asyncio.Protocol):
    """One connection, from accept to the last final of its call.

    Never pauses reading: Asterisk writes without waiting, and a full socket costs it the call
    ("Failed to write data to AudioSocket"). What recognition cannot take is bounded by
    `max_backlog_s` instead.

    Args:
        config: the door's section.
        calls: where calls are opened.
        sessions: the door's connections; this one enters itself and leaves when all is done.
        now_s: a steady clock in seconds, the loop's own in service.
        metrics: counts what is against the protocol.
    """

    def __init__(
        self,
        config: AudioSocketConfig,
        calls: Calls,
        sessions: "set[Session]",
        now_s: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self._config = config
        self._calls = calls
        self._sessions = sessions
        self._now_s = now_s
        self._metrics = metrics
        self._log: FilteringBoundLogger = structlog.get_logger(__name__)
        self._state = _NEW
        self._since_s = now_s()  # of the connect, of the last message, of our hang-up: by state
        self._parser = MessageParser()
        self._pace: PaceCheck | None = PaceCheck()
        self._writable = True
        self._call: Call | None = None
        self._ending: asyncio.Task[None] | None = None
        self._leg: Leg | None = None
        self._decoder = Decoder(Encoding.SLIN)
        self._usual = b""  # the header of the last audio message, once its pace was judged
        self._usual_bytes = -1  # of such a message, its header included; -1: none yet
        self._rate_changes = 0
        self._unknown_run = 0
        self._dropping = False
        self._skipped: Counter[str] = Counter()
        self.finished = asyncio.Event()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the new connection, or part at once when there are too many."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class is none
        self._peer = peer_name(transport.get_extra_info("peername"))
        self._log = self._log.bind(peer=self._peer)
        keep_alive(transport)
        nodelay = (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # frames leave at once
        transport.get_extra_info("socket").setsockopt(*nodelay)
        self._transport.set_write_buffer_limits(high=self._config.write_buffer_bytes)
        self._sessions.add(self)
        if len(self._sessions) > self._config.max_connections:
            self._log.warning(
                "audiosocket refused", error=f"{self._config.max_connections} connections are open"
            )
            self._part("overloaded")

    def data_received(self, data: bytes) -> None:
        """Act on every message that is whole now."""
        if self._state is _PARTING:
            return
        now_s = self._now_s()
        if self._state is _RUNNING:
            self._since_s = now_s
        if self._is_one_more(data):
            self._unknown_run = 0
            self._hear(data[HEADER.size :])
            return
        try:
            for message in self._parser.feed(data):
                self._take(message, now_s)
            if self._state is _NEW and self._parser.waiting_for is not None:
                check_first_header(*self._parser.waiting_for)
        except ProtocolError as error:
            self._bad("protocol", "audiosocket protocol error", error=str(error))
            self._skipped.clear()  # that line says it all
            self._part("protocol error")

    def eof_received(self) -> None:
        """End the call: a plain FIN is how Asterisk hangs up."""
        pending = self._parser.pending_bytes
        if self._state is _NEW:
            self._log.info(
                "audiosocket closed before its UUID",
                pending_bytes=pending,
                hint="Answer() must come before AudioSocket()",
            )
        elif self._state is _RUNNING and pending:
            self._bad("cut off", "audiosocket closed inside a message", pending_bytes=pending)
        self._end_call("eof")
        self._transport.abort()  # nobody reads what is still unsent; the kernel sends FIN

    def connection_lost(self, exc: Exception | None) -> None:
        """Finalise what no hang-up finalised."""
        self._state = _GONE
        self._end_call("reset" if exc else "close")
        self._finish()

    def pause_writing(self) -> None:
        """Send no more silence: the peer does not read it."""
        self._writable = False

    def resume_writing(self) -> None:
        """Send silence again."""
        self._writable = True

    # What the door calls.

    def tick(self, now_s: float) -> None:
        """Send 20 ms of silence, and part with a peer that kept us waiting too long.

        Args:
            now_s: the time of the clock given to the constructor.
        """
        if self._transport.is_closing():
            return
        waited_s = now_s - self._since_s
        if self._state is _PARTING:
            if waited_s >= self._config.hangup_wait_s:
                self._transport.abort()
        elif self._state is _NEW:
            if waited_s >= self._config.first_message_timeout_s:
                self._bad("no UUID", "audiosocket sent no UUID", waited_s=round(waited_s, 1))
                self._part("no UUID")
        elif waited_s >= self._config.idle_timeout_s:
            self._bad("idle", "audiosocket sent nothing", waited_s=round(waited_s, 1))
            self._part("idle")
        elif self._config.send_silence and self._writable:
            self._transport.write(SILENCE_FRAME)

    def hang_up(self, reason: str) -> None:
        """Hand the call back to the PBX (0x00, the dialplan goes on) and end it here.

        Args:
            reason: for the call's `CallEnded`.
        """
        if self._state in (_NEW, _RUNNING):
            self._part(reason)

    def fail(self) -> None:
        """Close at once; for a session whose own code raised."""
        self._transport.abort()

    # Messages.

    def _take(self, message: Message, now_s: float) -> None:
        if self._state is _NEW:
            self._open(message)
        elif self._state is _PARTING:
            return
        elif rate_hz := RATE_HZ_BY_KIND.get(message.kind):
            if message.payload:
                self._take_audio(message, rate_hz, now_s)
        elif message.kind == Kind.DTMF:
            self._take_digit(message)
        elif message.kind == Kind.HANGUP:
            self._part("hangup", say_hangup=False)
        elif message.kind == Kind.UUID:
            raise ProtocolError(f"a second UUID message, of {len(message.payload)} bytes")
        else:
            self._skip(message)

    def _open(self, message: Message) -> None:
        uuid = CallId(str(parse_uuid(message)))
        call_id = free_id(uuid, self._calls)
        self._log = self._log.bind(call_id=call_id)
        if call_id != uuid:
            self._bad("id in use", "audiosocket UUID is in use by a running call", uuid=uuid)
        try:
            self._call = self._calls.open(
                door=DOOR,
                call_id=call_id,
                peer=self._peer,
                door_profile=self._config.profile,
                hang_up=self.hang_up,
                hand_back=self.hang_up,
            )
        except RuasrError as error:
            self._log.warning("audiosocket refused", error=str(error))
            self._part("refused")
            return
        self._state = _RUNNING
        self._since_s = self._now_s()

    def _is_one_more(self, data: bytes) -> bool:
        """Whether `data` is one whole audio message like the last one, as nearly every read is.

        To find that out takes a quarter of the time that parser and dispatch take.
        """
        return (
            len(data) == self._usual_bytes
            and data.startswith(self._usual)
            and not self._parser.pending_bytes
        )

    def _take_audio(self, message: Message, rate_hz: int, now_s: float) -> None:
        self._unknown_run = 0
        self._leg_of(rate_hz)
        self._hear(message.payload)
        if self._pace is not None:
            warning = self._pace.observe(now_s, message.kind, len(message.payload))
            if warning is not None:
                self._log.warning("audiosocket audio is not what its kind says", cure=warning)
            if self._pace.settled:
                self._pace = None
        if self._pace is None:
            self._usual = HEADER.pack(message.kind, len(message.payload))
            self._usual_bytes = HEADER.size + len(message.payload)

    def _hear(self, audio: bytes) -> None:
        """Hand audio to the present leg."""
        leg = self._leg
        assert leg is not None
        samples = self._decoder.decode(audio)
        if leg.backlog_s <= self._config.max_backlog_s:
            leg.push(samples)
        else:
            leg.drop(len(samples), "backlog")
            if not self._dropping:
                self._dropping = True
                self._log.warning("audiosocket drops audio", backlog_s=round(leg.backlog_s, 1))

    def _leg_of(self, rate_hz: int) -> Leg:
        """The leg that takes audio of that rate: the present one, or a new one in its place."""
        assert self._call is not None
        if self._leg is not None:
            if self._leg.sample_rate_hz == rate_hz:
                return self._leg
            self._count_rate_change(self._leg.sample_rate_hz, rate_hz)
        self._leg = self._call.open_leg(rate_hz)
        self._decoder = Decoder(Encoding.SLIN)
        return self._leg

    def _count_rate_change(self, from_hz: int, to_hz: int) -> None:
        self._rate_changes += 1
        if self._rate_changes == 1:
            self._log.warning("audiosocket changed its rate", from_hz=from_hz, to_hz=to_hz)
        if self._rate_changes > self._config.max_rate_changes:
            raise ProtocolError(f"the rate changed {self._rate_changes} times")

    def _take_digit(self, message: Message) -> None:
        digit = parse_dtmf(message.payload)
        if digit not in DTMF_DIGITS:
            self._skip(message)
            return
        assert self._call is not None
        leg = self._leg or self._leg_of(APPLICATION_RATE_HZ)
        self._call.dtmf(leg, digit.upper())

    def _skip(self, message: Message) -> None:
        self._skipped[f"0x{message.kind:02x}"] += 1
        self._metrics.bad_messages.labels(DOOR, "skipped").inc()
        if message.kind not in (Kind.SILENCE, Kind.ERROR):
            self._unknown_run += 1
        if self._unknown_run > self._config.max_unknown_messages:
            raise ProtocolError(f"{self._unknown_run} messages of unknown kind in a row")

    def _bad(self, kind: str, what: str, **told: object) -> None:
        self._metrics.bad_messages.labels(DOOR, kind).inc()
        self._log.warning(what, **told)

    # The end.

    def _part(self, reason: str, *, say_hangup: bool = True) -> None:
        """End the call, say so, and let the peer close first."""
        self._state = _PARTING
        self._since_s = self._now_s()
        if not self._transport.is_closing():
            if say_hangup:
                self._transport.write(encode_hangup())
            self._transport.write_eof()
        self._end_call(reason)

    def _end_call(self, reason: str) -> None:
        if self._call is not None and self._ending is None:
            if self._skipped:
                self._log.warning("audiosocket skipped messages", kinds=dict(self._skipped))
            self._ending = asyncio.create_task(self._end(self._call, reason))

    async def _end(self, call: Call, reason: str) -> None:
        try:
            await call.end(reason)
        except Exception:  # noqa: BLE001 - a bug there must not keep the door from closing
            self._log.exception("audiosocket call did not end cleanly")
        finally:
            self._call = None
            self._finish()

    def _finish(self) -> None:
        """Leave the roll when both the socket and the call are done."""
        if self._state is _GONE and self._call is None:
            self._sessions.discard(self)
            self.finished.set()
