"""One AEAP connection: a speech object of a dialplan, from SpeechCreate to SpeechDestroy."""

import asyncio
import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final
from uuid import uuid4

import structlog
from structlog.typing import FilteringBoundLogger
from websockets.asyncio.connection import Connection as WebSocket

from ruasr_tel.call import Call, Calls
from ruasr_tel.engines.base import DecodeOptions
from ruasr_tel.errors import ConfigError, Overloaded, ProtocolError
from ruasr_tel.events import CallStarted, Event, SpeechStarted
from ruasr_tel.events import Final as FinalEvent
from ruasr_tel.events import Partial as PartialEvent
from ruasr_tel.live import Ear, free_id
from ruasr_tel.metrics import Metrics
from ruasr_tel.profile import Profile
from ruasr_tel.types import CallId
from ruasr_tel.websocket import FAULTS, POLICY_VIOLATION, TRY_AGAIN_LATER, Ending, PeerSocket
from ruasr_tel_adapters.aeap.answers import Answers
from ruasr_tel_adapters.aeap.config import AeapConfig
from ruasr_tel_adapters.aeap.settings import Reader, Settings
from ruasr_tel_adapters.aeap.wire import (
    CODECS,
    VERSION,
    Request,
    Response,
    answer,
    answer_results,
    answer_setup,
    asked,
    codecs,
    parse,
    push_results,
    refuse,
    settings,
)

DOOR: Final = "aeap"

DTMF_DIGITS: Final = frozenset("0123456789*#ABCDabcd")
"""The keys of RFC 4733, 3.2."""

TAKEN: Final = frozenset({"results_type"})
"""What Asterisk sets by itself and nobody needs: `NBest` results come where the engine has them."""


class Connection:
    """A peer from its accepted handshake to its end; its call begins with its first audio.

    Args:
        websocket: the socket.
        calls: where a call is opened.
        metrics: counts what is against the protocol.
        config: the door's section.
    """

    def __init__(
        self, websocket: WebSocket, calls: Calls, metrics: Metrics, config: AeapConfig
    ) -> None:
        self._socket = PeerSocket(websocket, config.idle_timeout_s, config.close_timeout_s)
        self._calls = calls
        self._metrics = metrics
        self._config = config
        self._reader = Reader(config, calls)
        self._settings = Settings()
        self._codec: str | None = None
        self._call: Call | None = None
        self._ear: Ear | None = None
        self._answers = Answers()
        self._numbers = itertools.count(1)
        self._ignored: set[str] = set()
        self._log: FilteringBoundLogger = structlog.get_logger(__name__)
        self._log = self._log.bind(door=DOOR, peer=self._socket.peer)

    async def run(self) -> None:
        """Serve the peer; returns when its call has ended and the socket is closed."""
        ending = await self._socket.listen(self._take)
        if ending.reason in FAULTS:
            self._bad(ending.reason, ending.text)
        closing = [self._socket.close(ending)]
        if self._call is not None:
            closing.append(self._call.end(ending.reason))
        await asyncio.gather(*closing)

    def stop(self, ending: Ending) -> None:
        """End the conversation soon."""
        self._socket.stop(ending)

    # Messages of the peer.

    def _take(self, message: str | bytes) -> None:
        try:
            if isinstance(message, bytes):
                self._hear(message)
            else:
                self._act(message)
        except ProtocolError as error:
            self._bad("protocol", str(error))
            raise

    def _act(self, text: str) -> None:
        match parse(text):
            case Response(error=error):
                if error is None:
                    self._answers.taken()
                else:
                    self._bad("refused", error)
            case Request(name="setup") as request:
                self._reply(request, self._set_up)
            case Request(name="set") as request:
                self._reply(request, self._set)
            case Request(name="get") as request:
                self._reply(request, self._get)
            case Request() as request:
                self._bad("unknown request", request.name)
                self._socket.say(refuse(request, f"unsupported request {request.name[:40]!a}"))

    def _reply(self, request: Request, handle: Callable[[Request], str]) -> None:
        """Answer at once, with a sentence where it cannot be done: Asterisk waits 1 s."""
        try:
            self._socket.say(handle(request))
        except (ProtocolError, Overloaded) as error:
            self._bad(request.name, str(error))
            self._socket.say(refuse(request, str(error)))

    def _set_up(self, request: Request) -> str:
        if self._codec is not None:
            raise ProtocolError("a second setup")
        if request.body.get("version") != VERSION:
            self._log.info("another version of AEAP", version=str(request.body.get("version"))[:40])
        offered = codecs(request)
        codec = next((name for name in offered if name in CODECS), None)
        if codec is None:
            raise ProtocolError(
                f"no codec of {', '.join(offered)[:80] or 'none'} is served; "
                f"set codecs=!all,{','.join(CODECS)} in aeap.conf"
            )
        self._change(settings(request))
        self._calls.admit(self._model())
        self._codec = codec
        return answer_setup(request, codec)

    def _set(self, request: Request) -> str:
        values = settings(request)
        digits = values.pop("dtmf", "")
        if not set(digits) <= DTMF_DIGITS:
            raise ProtocolError(f"dtmf: {digits[:40]!a} has other characters than 0-9 * # A-D")
        self._change(values)
        for digit in digits:
            self._press(digit.upper())
        return answer(request)

    def _get(self, request: Request) -> str:
        names = asked(request)
        if "results" in names:
            return answer_results(request, self._answers.ask())
        known = self._shown()
        if not names or not set(names) <= set(known):
            raise ProtocolError(f"get one of results, {', '.join(known)}")
        return answer(request, params={name: known[name] for name in names})

    def _shown(self) -> Mapping[str, str]:
        call_id = self._call.call_id if self._call else self._settings.call_id or ""
        return {
            "language": self._settings.language or self._config.languages[0],
            "profile": self._settings.profile or self._config.profile or "default",
            "model": self._model() or "",
            "call_id": call_id,
            "sample_rate": str(self._settings.sample_rate_hz),
            "phrases": ",".join(self._options(self._settings).phrases),
        }

    def _change(self, values: Mapping[str, str]) -> None:
        """Apply settings; those of other servers are ignored, as Asterisk's users expect."""
        unknown = set(values) - {*self._reader.names} - TAKEN - self._ignored
        if unknown:
            self._ignored |= unknown
            self._log.info("settings without a meaning here", names=sorted(unknown))
        changed = self._reader.change(self._settings, values)
        if self._ear is not None and changed != self._settings:
            if not changed.differs_in_options_only(self._settings):
                raise ProtocolError("settings must come before the first audio")
            self._ear.leg.set_options(self._options(changed))
        self._settings = changed

    def _model(self) -> str | None:
        """Return which model hears the call: the one that was asked for, else the profile's."""
        return self._settings.model or self._profile.model

    @property
    def _profile(self) -> Profile:
        """The call's; before there is one, what it would be if nothing was announced."""
        if self._call is not None:
            return self._call.profile
        return self._calls.profile(self._settings.profile or self._config.profile)

    def _options(self, settings: Settings) -> DecodeOptions:
        return settings.options(self._profile.options)

    # The call.

    def _hear(self, data: bytes) -> None:
        ear = self._ear or self._open()
        if ear is not None:
            ear.hear(data)

    def _press(self, digit: str) -> None:
        ear = self._ear or self._open()
        if ear is not None and self._call is not None:
            self._call.dtmf(ear.leg, digit)

    def _open(self) -> Ear | None:
        """Begin the call; None when there is no room for it, and the conversation ends then.

        Raises:
            ProtocolError: there was no setup.
        """
        if self._codec is None:
            raise ProtocolError("audio or digits before the setup")
        wanted = self._settings.call_id or CallId(str(uuid4()))
        call_id = free_id(wanted, self._calls)
        self._log = self._log.bind(call_id=call_id)
        if call_id != wanted:
            self._bad("id in use", f"a running call has the id {wanted}")
        try:
            self._call = self._calls.open(
                door=DOOR,
                call_id=call_id,
                peer=self._socket.peer,
                profile=self._settings.profile,
                door_profile=self._config.profile,
                model=self._settings.model,
                on_event=self._on_event,
                hang_up=lambda why: self.stop(Ending("too long", POLICY_VIOLATION, why)),
            )
        except (Overloaded, ConfigError) as error:
            self._log.warning("call refused", error=str(error))
            self.stop(Ending("refused", TRY_AGAIN_LATER, str(error)))
            return None
        leg = self._call.open_leg(self._settings.sample_rate_hz)
        leg.set_options(self._options(self._settings))
        self._ear = Ear(leg, CODECS[self._codec], self._config.max_backlog_s)
        return self._ear

    def _on_event(self, event: Event) -> None:
        match event:
            case CallStarted(profile=profile):
                self._settings = replace(self._settings, profile=profile)
            case SpeechStarted(start_s=start_s):
                self._answers.begin(start_s)
            case PartialEvent():
                self._answers.hear(event)
            case FinalEvent():
                if results := self._answers.hear(event):
                    number = f"ruasr-{next(self._numbers)}"
                    self._socket.say(push_results(number, results))

    def _bad(self, kind: str, error: str) -> None:
        self._metrics.bad_messages.labels(DOOR, kind).inc()
        self._log.warning("bad message", kind=kind, error=error)
