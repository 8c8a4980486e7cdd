"""One media connection: one channel of Asterisk, one call with one leg."""

import asyncio
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

import structlog
from structlog.typing import FilteringBoundLogger
from websockets.asyncio.connection import Connection as WebSocket

from ruasr_tel.call import Call, Calls
from ruasr_tel.errors import ConfigError, Overloaded, ProtocolError
from ruasr_tel.live import Ear, free_id
from ruasr_tel.metrics import Metrics
from ruasr_tel.websocket import (
    FAULTS,
    NORMAL,
    PROTOCOL_ERROR,
    TRY_AGAIN_LATER,
    Ending,
    PeerSocket,
)
from ruasr_tel_adapters.asterisk_ws.config import AsteriskWsConfig
from ruasr_tel_adapters.asterisk_ws.identity import PROFILE_VARIABLE, Name, Registry, Uri
from ruasr_tel_adapters.wires.chan_websocket import (
    DTMF_DIGITS,
    Command,
    Event,
    EventName,
    MediaStart,
    encode,
    media_start,
    parse,
)

DOOR: Final = "asterisk_ws"

HELD_BYTES_MAX: Final = 3 * 192_000 * 2
"""Audio kept until MEDIA_START says what it is: 3 s of slin192, the most that Asterisk can send;
slower formats end by `start_timeout_s`. It may come late (asterisk#1712)."""

EVENT_NAMES: Final = frozenset(EventName)


@dataclass(frozen=True, slots=True)
class Desk:
    """What the connections of one door share.

    Attributes:
        calls: where calls are opened.
        metrics: counts what is against the protocol.
        config: the door's section.
        registry: names the calls.
    """

    calls: Calls
    metrics: Metrics
    config: AsteriskWsConfig
    registry: Registry


class Connection:
    """A channel from its handshake to its end, whoever connected.

    Args:
        websocket: the socket, of either side.
        desk: what the door's connections share.
        uri: what the URI says; hints.
    """

    def __init__(self, websocket: WebSocket, desk: Desk, uri: Uri) -> None:
        config = desk.config
        self._socket = PeerSocket(websocket, config.idle_timeout_s, config.close_timeout_s)
        self._desk = desk
        self._uri = uri
        self._call: Call | None = None
        self._ear: Ear | None = None
        self._held = bytearray()
        self._is_json = False
        self._log: FilteringBoundLogger = structlog.get_logger(__name__)
        self._log = self._log.bind(door=DOOR, peer=self._socket.peer)

    async def run(self) -> None:
        """Serve the channel; returns when its call has ended and the socket is closed."""
        loop = asyncio.get_running_loop()
        patience = loop.call_later(self._desk.config.start_timeout_s, self._lose_patience)
        try:
            ending = await self._socket.listen(self._take)
        finally:
            patience.cancel()
        if ending.reason in FAULTS:
            self._bad(ending.reason, ending.text)
        closing = [self._socket.close(ending)]
        if self._call is not None:
            closing.append(self._call.end(ending.reason))
        await asyncio.gather(*closing)

    def stop(self, ending: Ending) -> None:
        """Hand the channel back: the dialplan goes on."""
        if self._call is not None:
            self._socket.say(encode(Command.HANGUP, is_json=self._is_json))
        self._socket.stop(ending)

    def _hand_back(self, reason: str) -> None:
        self.stop(Ending(reason, NORMAL, reason))

    def _lose_patience(self) -> None:
        if self._ear is None:
            waited_s = self._desk.config.start_timeout_s
            self._bad("no start", f"no MEDIA_START within {waited_s:g} s")
            self._socket.stop(Ending("no start", PROTOCOL_ERROR, "no MEDIA_START"))

    # Messages of the channel.

    def _take(self, message: str | bytes) -> None:
        try:
            if isinstance(message, str):
                self._act(parse(message))
            elif self._ear is not None:
                self._ear.hear(message)
            else:
                self._hold(message)
        except ProtocolError as error:
            self._bad("protocol", str(error))
            raise

    def _hold(self, audio: bytes) -> None:
        self._held += audio
        if len(self._held) > HELD_BYTES_MAX:
            raise ProtocolError(f"{len(self._held)} bytes of audio before MEDIA_START")

    def _act(self, event: Event) -> None:
        if self._ear is None:
            self._is_json = event.is_json
            self._start(media_start(event))
        elif event.name == EventName.MEDIA_START:
            raise ProtocolError("a second MEDIA_START")
        elif event.name == EventName.DTMF_END:
            self._press(event.fields.get("digit", ""))
        elif event.name == EventName.ERROR:
            self._bad("refused", event.fields.get("error_text", ""))
        elif event.name not in EVENT_NAMES:
            self._bad("unknown event", event.name[:40])

    def _press(self, digit: str) -> None:
        assert self._call is not None
        assert self._ear is not None
        if digit in DTMF_DIGITS:
            self._call.dtmf(self._ear.leg, digit.upper())
        else:
            self._bad("digit", f"DTMF_END with digit {digit[:40]!a}")

    # The call.

    def _start(self, start: MediaStart) -> None:
        desk = self._desk
        name = desk.registry.name(start, self._uri, str(uuid4()))
        call_id = free_id(name.call_id, desk.calls)
        self._log = self._log.bind(call_id=call_id)
        if call_id != name.call_id:
            self._bad("id in use", f"a running call has the id {name.call_id}")
        self._note(name)
        try:
            self._call = desk.calls.open(
                door=DOOR,
                call_id=call_id,
                peer=self._socket.peer,
                profile=start.variables.get(PROFILE_VARIABLE) or self._uri.profile or None,
                door_profile=desk.config.profile,
                hang_up=self._hand_back,
                hand_back=self._hand_back,
                details=_details(start, self._uri),
            )
        except (Overloaded, ConfigError) as error:
            self._log.warning("call refused", error=str(error))
            self._socket.stop(Ending("refused", TRY_AGAIN_LATER, str(error)))
            return
        leg = self._call.open_leg(start.format.sample_rate_hz)
        self._ear = Ear(leg, start.format.encoding, desk.config.max_backlog_s)
        self._ear.hear(bytes(self._held))
        self._held.clear()

    def _note(self, name: Name) -> None:
        if name.stale_uuid:
            self._log.warning(
                "the URI's uuid came before: Asterisk repeats the v(...) of an earlier call",
                uuid=name.stale_uuid,
                cure="dial with v(uuid=...) always, or set __RUASR_CALL_ID and dial with f(json)",
            )

    def _bad(self, kind: str, error: str) -> None:
        self._desk.metrics.bad_messages.labels(DOOR, kind).inc()
        self._log.warning("bad message", kind=kind, error=error)


def _details(start: MediaStart, uri: Uri) -> dict[str, str]:
    known = {
        "connection_id": start.connection_id,
        "channel": start.channel,
        "channel_id": start.channel_id,
        "uuid": uri.uuid,
    }
    return {key: value for key, value in known.items() if value}
