"""One Vosk client: reads its messages, hands its audio to a call, answers every message at once."""

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from typing import Any, TypeVar
from uuid import uuid4

import structlog
from structlog.typing import FilteringBoundLogger
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from ruasr_tel.audio.codec import Decoder, Encoding
from ruasr_tel.call import Call, Calls
from ruasr_tel.errors import ConfigError, Overloaded
from ruasr_tel.leg import Leg
from ruasr_tel.live import free_id
from ruasr_tel.metrics import Metrics
from ruasr_tel.sockets import peer_name
from ruasr_tel.types import CallId
from ruasr_tel.websocket import (
    FAULTS,
    INTERNAL_ERROR,
    POLICY_VIOLATION,
    TRY_AGAIN_LATER,
    Ending,
    cut_short,
    is_too_long,
    leave,
)
from ruasr_tel_adapters.vosk_ws.config import RATE_MAX_HZ, RATE_MIN_HZ, VoskWsConfig
from ruasr_tel_adapters.vosk_ws.inbox import Inbox
from ruasr_tel_adapters.vosk_ws.options import UrlSettings, change_options, default_options
from ruasr_tel_adapters.vosk_ws.session import Session
from ruasr_tel_adapters.vosk_ws.wav import WavFormat, WavSniffer
from ruasr_tel_adapters.vosk_ws.wire import Audio, BadMessage, Config, Eof, Other, Reset, parse

T = TypeVar("T")

DOOR = "vosk_ws"

AHEAD_S = 2.0
"""A client this far ahead of real time sends a file; at the pace of a call none gets there."""

SLICE_S = 1.0
"""A longer message is handed on in pieces, so that a whole file in one message is bounded, too."""

_BYTES_PER_SAMPLE = {Encoding.SLIN: 2, Encoding.PCMU: 1, Encoding.PCMA: 1}


class Stopped(Exception):
    """The server ends the conversation."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.text)
        self.ending = ending


class Connection:
    """A client from its accepted handshake to its end.

    Args:
        socket: the WebSocket.
        calls: where a call is opened.
        metrics: counts what is against the protocol.
        config: the door's section.
        url: what the URL sets.
    """

    def __init__(
        self,
        socket: ServerConnection,
        calls: Calls,
        metrics: Metrics,
        config: VoskWsConfig,
        url: UrlSettings,
    ) -> None:
        self._socket = socket
        self._inbox = Inbox(socket, config.max_message_bytes)
        self._calls = calls
        self._metrics = metrics
        self._config = config
        self._profile = url.profile
        wanted = url.call_id or CallId(str(uuid4()))
        self._call_id = free_id(wanted, calls)
        self._session = Session(change_options(default_options(config), url.values))
        self._wav = WavSniffer()
        self._leg: Leg | None = None
        self._decoder = Decoder(Encoding.SLIN)
        self._slice_bytes = 0
        self._began_mono_s = 0.0
        self._stop: Ending | None = None
        self._waiting: asyncio.Timeout | None = None
        self._log: FilteringBoundLogger = structlog.get_logger(__name__)
        self._log = self._log.bind(call_id=self._call_id)
        if self._call_id != wanted:
            self._bad("id in use", f"a running call has the id {wanted}")

    async def run(self) -> None:
        """Serve the client; returns when its call has ended and the socket is closed."""
        try:
            call = self._calls.open(
                door=DOOR,
                call_id=self._call_id,
                peer=peer_name(self._socket.remote_address),
                profile=self._profile,
                door_profile=self._config.profile,
                on_event=self._session.on_event,
                hang_up=lambda reason: self.stop(Ending("too long", POLICY_VIOLATION, reason)),
            )
        except (Overloaded, ConfigError) as exc:  # the profile went after the handshake
            await self._close(Ending("refused", TRY_AGAIN_LATER, str(exc)))
            return
        ending = await self._serve(call)
        await asyncio.gather(self._close(ending), call.end(ending.reason))

    def _bad(self, kind: str, error: str, **told: object) -> None:
        self._metrics.bad_messages.labels(DOOR, kind).inc()
        self._log.warning("bad message", kind=kind, error=error, **told)

    def stop(self, ending: Ending) -> None:
        """End the conversation; of a long message in hand the rest is dropped."""
        self._stop = self._stop or ending
        cut_short(self._waiting)

    async def _close(self, ending: Ending) -> None:
        await leave(self._socket, ending, self._config.close_timeout_s)

    async def _serve(self, call: Call) -> Ending:
        try:
            async with self._inbox:
                await self._converse(call)
            return Ending("eof")
        except Stopped as exc:
            if exc.ending.reason in FAULTS:
                self._bad(exc.ending.reason, exc.ending.text)
            return exc.ending
        except BadMessage as exc:
            self._bad("protocol", str(exc), close_code=exc.close_code)
            return Ending("bad message", exc.close_code, str(exc))
        except ConnectionClosed as exc:
            return self._peer_left(exc)
        except Exception:  # noqa: BLE001 - our fault must not take other calls down; it is logged whole
            self._log.exception("connection failed")
            return Ending("error", INTERNAL_ERROR)

    async def _converse(self, call: Call) -> None:
        """Answer message after message up to eof; every other end is an exception."""
        while self._stop is None:
            match parse(await self._patiently(self._inbox.recv())):
                case Config(values):
                    self._configure(call, values)
                case Audio(data):
                    await self._take_audio(call, self._wav.feed(data))
                    await self._send(self._session.answer_audio(self._clock_s))
                case Other():
                    self._bad("unknown message", "answered like empty audio")
                    await self._send(self._session.answer_audio(self._clock_s))
                case Reset():
                    await self._send(await self._everything(call))
                case Eof():
                    await self._send(await self._everything(call))
                    return
        raise Stopped(self._stop)

    async def _send(self, reply: str) -> None:
        """Send a reply if the client still listens.

        One that has left may have left audio behind: it waits in the inbox, and the end is what
        `recv` says after it.
        """
        await self._inbox.settle()
        with suppress(ConnectionClosed):
            await self._patiently(self._socket.send(reply))

    async def _patiently(self, action: Coroutine[Any, Any, T]) -> T:
        """Wait for the client, but not for ever, and not when the server stops.

        Raises:
            Stopped: the client did nothing for too long, or `stop` was called.
        """
        try:
            patience_s = 0.0 if self._stop else self._config.idle_timeout_s
            async with asyncio.timeout(patience_s) as self._waiting:
                return await action
        except TimeoutError:
            idle = Ending(
                "idle", POLICY_VIOLATION, f"no message for {self._config.idle_timeout_s:g} s"
            )
            raise Stopped(self._stop or idle) from None
        finally:
            self._waiting = None

    def _configure(self, call: Call, values: Mapping[str, object]) -> None:
        """Take a config message; after the first audio its rate comes too late, as in Vosk.

        Phrases and alternatives count for the segments that begin from then on.
        """
        options = change_options(self._session.options, values)
        if self._leg is not None and "sample_rate" in values:
            self._log.info("sample_rate after the first audio is ignored")
        self._session.options = options
        asked = options.asked(call.profile.options)
        self._log.debug("config", keys=sorted(values), phrases=len(asked.phrases))
        if self._leg is not None:
            self._leg.set_options(asked)

    @property
    def _clock_s(self) -> float:
        return 0.0 if self._leg is None else self._leg.clock_s

    async def _take_audio(self, call: Call, data: bytes) -> None:
        """Hand audio on, at a pace that bounds what a client ahead of real time can pile up."""
        if not data:
            return
        leg = self._leg or self._open_leg(call)
        for at in range(0, len(data), self._slice_bytes):
            if at:
                await asyncio.sleep(0)  # a whole file in one message is not to stall other calls
            if self._stop is not None:
                leg.drop(len(self._decoder.decode(data[at:])), "stopped")
                return
            leg.push(self._decoder.decode(data[at : at + self._slice_bytes]))
            await self._wait_for_room(leg)

    def _open_leg(self, call: Call) -> Leg:
        """Open the leg at the rate that the client said, its WAV header says, or the default."""
        header = self._wav.format
        encoding = self._note_header(header) if header else Encoding.SLIN
        rate_hz = self._session.options.sample_rate_hz
        if rate_hz is None and header and RATE_MIN_HZ <= header.sample_rate_hz <= RATE_MAX_HZ:
            rate_hz = header.sample_rate_hz
        rate_hz = rate_hz or self._config.sample_rate
        self._decoder = Decoder(encoding)
        self._slice_bytes = round(SLICE_S * rate_hz) * _BYTES_PER_SAMPLE[encoding]
        self._began_mono_s = asyncio.get_running_loop().time()
        self._leg = call.open_leg(rate_hz)
        self._leg.set_options(self._session.options.asked(call.profile.options))
        return self._leg

    def _note_header(self, header: WavFormat) -> Encoding:
        if header.encoding is None or header.channels != 1:
            self._log.warning(
                "WAV header of audio that is not mono 16-bit PCM or G.711; read as mono anyway",
                format=header.described,
            )
        else:
            self._log.info("WAV header skipped", format=header.described)
        return header.encoding or Encoding.SLIN

    async def _wait_for_room(self, leg: Leg) -> None:
        """Hold back a client that is ahead of real time while too much of its audio is undecoded.

        At the pace of a call there is never a wait: res_speech_vosk blocks a channel thread on it.
        A stop ends the wait.
        """
        ahead_s = leg.clock_s - (asyncio.get_running_loop().time() - self._began_mono_s)
        if ahead_s <= AHEAD_S or leg.backlog_s < self._config.max_backlog_s:
            return
        try:
            async with asyncio.timeout(self._config.eof_timeout_s) as self._waiting:
                await leg.backlog_below(self._config.max_backlog_s)
        except TimeoutError:
            pass
        finally:
            self._waiting = None

    async def _everything(self, call: Call) -> str:
        """Return the answer to eof and reset, when every final is there or the time is up."""
        await self._take_audio(call, self._wav.flush())
        if self._leg is not None:
            try:
                async with asyncio.timeout(self._config.eof_timeout_s):
                    await self._leg.flush()
            except TimeoutError:
                self._log.warning("finals are late", waited_s=self._config.eof_timeout_s)
        return self._session.answer_flush()

    def _peer_left(self, closed: ConnectionClosed) -> Ending:
        """Name the end that the client chose, or that its fault made; all of them are normal ends.

        A close frame without a mask (1002) is how mod_vosk's older libks hangs up.
        """
        if is_too_long(closed):
            limit = self._config.max_message_bytes
            self._bad("message too long", f"at most {limit} bytes", close_code=1009)
            return Ending("message too long")
        if self._inbox.is_cut(closed):
            self._bad("unread", "the client broke off while held back: what it sent last is lost")
        self._log.debug("client left", close=str(closed))
        return Ending("close")
