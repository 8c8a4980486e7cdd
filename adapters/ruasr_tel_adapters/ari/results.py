"""Takes a call's events back to Asterisk: channel variables, and user events for an application."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import structlog

from ruasr_tel.errors import RuasrError
from ruasr_tel.events import CallEnded, CallProgress, Dtmf, Event, Partial, SpeechStarted
from ruasr_tel.events import Final as FinalEvent
from ruasr_tel.types import LegId
from ruasr_tel_adapters.ari.dialogue import number_of
from ruasr_tel_adapters.ari.rest import Ari, AriRefused

_log = structlog.get_logger(__name__)

PARTIES: Final = ("caller", "callee")
"""Names of the two sides of a channel."""

VARIABLES: Final = ("RUASR_TEXT", "RUASR_CALLEE_TEXT")
"""The last thing each of them said."""

COUNT: Final = "RUASR_FINALS"
"""How many finals with text there were, of both."""

STATUS: Final = "RUASR_STATUS"
"""How it ended, where the channel waited for it."""

QUEUE: Final = 200
"""Events that wait for a slow Asterisk; later ones are left out, the sinks have them all."""


def party_of(leg_id: LegId) -> int:
    """Return the party of a channel's leg: 0 is what comes from it, 1 what is said to it."""
    return number_of(leg_id) % len(PARTIES)


def user_event(event: Event) -> tuple[str, dict[str, object]] | None:
    """Return name and content of the user event that an event becomes, None for none."""
    said: dict[str, object]
    match event:
        case SpeechStarted():
            name, said = "speech", {"start_s": event.start_s}
        case Partial():
            name, said = "partial", {"text": event.text, "end_s": event.end_s}
        case FinalEvent():
            name = "final"
            said = {"text": event.text, "start_s": event.start_s, "end_s": event.end_s}
        case Dtmf():
            name, said = "dtmf", {"digit": event.digit}
        case CallProgress():
            name = "progress"
            said = {"kind": event.kind, "start_s": event.start_s, "end_s": event.end_s}
        case CallEnded():
            return "ruasr.ended", {"reason": event.reason, "finals": event.finals}
        case _:
            return None
    return f"ruasr.{name}", {**said, "party": PARTIES[party_of(event.leg_id)]}


class Results:
    """Sends what is heard in one call to the channel it is heard on.

    Variables can be set while the channel is in the application, and at no other time (asterisk
    res/ari/resource_channels.c answers 409): `reachable` says so, and `hand_over` makes up for it.

    Args:
        ari: Asterisk.
        channel_id: the channel.
        tell: the application that gets user events, or None.
        timeout_s: how long `close` waits for what is on its way.
    """

    def __init__(self, ari: Ari, channel_id: str, tell: str | None, timeout_s: float) -> None:
        self._ari = ari
        self._channel_id = channel_id
        self._tell = tell
        self._timeout_s = timeout_s
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue(QUEUE)
        self._variables: dict[str, str] = {}
        self.reachable = True
        self._task = asyncio.create_task(self._run())

    @property
    def variables(self) -> Mapping[str, str]:
        """Every variable so far, by its name."""
        return {**self._variables}

    def push(self, event: Event) -> None:
        """Take one event; never blocks."""
        try:
            self._queue.put_nowait(event)
        except asyncio.QueueFull:
            _log.warning("ari is slow: an event was left out", event_type=type(event).__name__)

    async def close(self) -> None:
        """Wait until Asterisk has everything, but not for long."""
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._queue.put(None)
                await self._task
        except TimeoutError:
            self._task.cancel()

    async def hand_over(self, variables: Mapping[str, str] | None = None) -> None:
        """Set variables of the channel: these, or every one so far."""
        for name, value in (self._variables if variables is None else variables).items():
            await self.set(name, value)

    async def set(self, name: str, value: str) -> None:
        """Set a variable of the channel; one that is gone has none."""
        await self._post("channels", self._channel_id, "variable", variable=name, value=value)

    async def _run(self) -> None:
        while (event := await self._queue.get()) is not None:
            if self._tell is not None:
                await self._tell_application(self._tell, event)
            if isinstance(event, FinalEvent) and event.text:
                news = {
                    VARIABLES[party_of(event.leg_id)]: event.text,
                    COUNT: str(int(self._variables.get(COUNT, "0")) + 1),
                }
                self._variables |= news
                if self.reachable:
                    await self.hand_over(news)

    async def _tell_application(self, application: str, event: Event) -> None:
        shown = user_event(event)
        if shown is None:
            return
        name, said = shown
        about = {"call_id": event.call_id, "channel": self._channel_id}
        await self._post(
            "events", "user", name, application=application, variables={**about, **said}
        )

    async def _post(self, *path: str, **body: Any) -> None:
        try:
            await self._ari.request("POST", *path, **body)
        except AriRefused as error:
            _log.debug("ari refused a result", error=str(error))  # the channel is gone, mostly
        except RuasrError as error:
            _log.warning("ari did not take a result", error=str(error))
