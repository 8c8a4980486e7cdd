"""One channel that is listened to: its snoops, its audio lines, its call, its end."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

import structlog
from structlog.typing import FilteringBoundLogger

from ruasr_tel.errors import RuasrError
from ruasr_tel.events import Event
from ruasr_tel.events import Final as FinalEvent
from ruasr_tel.metrics import Metrics
from ruasr_tel.types import CallId
from ruasr_tel_adapters.ari.config import AriConfig, Mode
from ruasr_tel_adapters.ari.dialogue import DOOR, Dialogues, Opening, Seat
from ruasr_tel_adapters.ari.media import Line, Media
from ruasr_tel_adapters.ari.onward import Onward
from ruasr_tel_adapters.ari.party import Party
from ruasr_tel_adapters.ari.rest import Ari, AriAway, AriRefused
from ruasr_tel_adapters.ari.results import STATUS, Results, party_of
from ruasr_tel_adapters.ari.rtp.wire import RATE_HZ
from ruasr_tel_adapters.ari.wire import Channel, Wishes

SPY: Final = ("in", "out")
"""What a snoop hears: what comes from the channel's party, and what is said to it."""

STATUS_OF: Final = {"answered": "final", "timeout": "timeout", "refused": "refused"}
"""What `RUASR_STATUS` says of a reason; any other is `failed`."""

LAST_WORDS_S: Final = 1.0
"""How long a channel that is to go on waits for the last finals; an engine that hangs keeps a call
for `calls.finish_timeout_s`, and its caller should not hear that."""


class Entries:
    """Channels of ours that are to enter the application."""

    def __init__(self) -> None:
        self._awaited: dict[str, asyncio.Event] = {}

    def expect(self, channel_id: str) -> asyncio.Event:
        """Return what is set when the channel enters."""
        return self._awaited.setdefault(channel_id, asyncio.Event())

    def enter(self, channel_id: str) -> bool:
        """Take note that a channel entered; return whether it is expected."""
        if channel_id in self._awaited:
            self._awaited[channel_id].set()
        return channel_id in self._awaited

    def forget(self, channel_id: str) -> None:
        """Expect it no more."""
        self._awaited.pop(channel_id, None)


@dataclass(frozen=True, slots=True)
class Around:
    """What a tap needs of its door.

    Attributes:
        config: the door's section.
        ari: Asterisk.
        dialogues: the calls that channels are heard in.
        media: where audio comes in.
        entries: tells which channels entered.
        onward: sends channels on.
        prefix: of the ids of all that the door makes in Asterisk.
        metrics: counts.
        mono: monotonic seconds.
    """

    config: AriConfig
    ari: Ari
    dialogues: Dialogues
    media: Media
    entries: Entries
    onward: Onward
    prefix: str
    metrics: Metrics
    mono: Callable[[], float]


@dataclass(slots=True)
class Made:
    """What a tap made in Asterisk, by id; `known` are the channels that Asterisk told of."""

    channels: list[str] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    bridges: list[str] = field(default_factory=list)


class Tap:
    """Listens to one channel until it hangs up, an answer came, or somebody ends it.

    Args:
        channel: whom.
        wishes: how.
        around: the door.
        in_stasis: whether the channel is in our application, and waits there to go on.
    """

    def __init__(self, channel: Channel, wishes: Wishes, around: Around, in_stasis: bool) -> None:
        self.channel = channel
        self.made = Made()
        self._wishes = wishes
        self._around = around
        self._in_stasis = in_stasis
        self._token = uuid4().hex
        self._seat: Seat | None = None
        self._lines: list[Line] = []
        self._parties: list[Party] = []
        self._said: set[str] = set()  # kinds of bad messages that were logged
        self._ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._results = Results(
            around.ari, channel.id, wishes.tell, around.config.request_timeout_s
        )
        self._results.reachable = in_stasis
        self._log: FilteringBoundLogger = structlog.get_logger(__name__)
        self._log = self._log.bind(pbx_channel=channel.name, call_id=channel.id)

    # What the door calls.

    async def run(self) -> None:
        """Listen; returns when nothing of it is left, here and in Asterisk."""
        reason = "failed"
        try:
            await self._open()
            await self._listen()
            reason = await self._wait()
        except AriAway as error:
            self._log.warning("ari went away", error=str(error))
        except TimeoutError:
            self._log.warning("ari: a channel did not enter the application in time")
        except (RuasrError, OSError) as error:
            reason = "failed" if self._seat else "refused"
            self._log.warning("ari cannot listen", error=str(error))
        finally:
            await self._finish(reason)

    def end(self, reason: str) -> None:
        """End it, from any side; only the first reason counts."""
        if not self._ended.done():
            self._ended.set_result(reason)

    @property
    def is_over(self) -> bool:
        """Whether nothing more is listened to; what it made may still be there for a while."""
        return self._ended.done()

    def left(self, *, gone: bool) -> None:
        """Take note that the channel left the application, or is gone; it is nothing of ours."""
        self._in_stasis = self._results.reachable = False
        if gone or self._wishes.mode == "ask":
            self.end("hangup")

    async def come_back(self, mode: Mode) -> None:
        """Give the channel, which entered once more, what was heard; it goes on, or is held."""
        onward, channel_id = self._around.onward, self.channel.id
        if mode == "ask":
            self._log.warning(
                "ari does not ask a channel that is listened to already: ask before that, or take "
                "the text by mode=tap"
            )
            await onward.send(channel_id, {STATUS: "refused"})
        elif mode == "hold":
            self._in_stasis = self._results.reachable = True
            await self._results.hand_over()
        else:
            await onward.send(channel_id, self._results.variables)

    def on_digit(self, digit: str) -> None:
        """Take a key press of the channel's party."""
        if self._seat is not None and self._seat.legs:
            self._seat.call.dtmf(self._seat.legs[0], digit)

    def is_left(self, living: Iterable[str]) -> bool:
        """Whether a list of all channels lacks one that this tap made."""
        return not self.made.known <= set(living)

    # Inside.

    async def _open(self) -> None:
        """Open the call, or join the one of that name: it is named by the linkedid."""
        channel, profile = self.channel, self._wishes.profile
        linkedid = await self._around.ari.variable(channel.id, "CHANNEL(linkedid)") or channel.id
        details = {
            "channel": channel.id,
            "linkedid": linkedid,
            "caller": channel.caller,
            "exten": channel.exten,
        }
        name = CallId(self._wishes.call_id or linkedid)
        opening = Opening(channel.name or channel.id, profile, details)
        self._seat = seat = self._around.dialogues.enter(name, self, opening)
        self._log = self._log.bind(call_id=seat.call.call_id)
        if seat.joined:
            self._log.info(
                "ari channel joined a call", channel=channel.id, first_leg=2 * seat.number
            )
            if profile != seat.dialogue.profile:
                self._log.warning("the profile of a call is its first channel's", profile=profile)
        elif seat.call.call_id != name:
            self._bad("id in use", f"another running call has the id {name}")

    async def _listen(self) -> None:
        """Bring each side's audio in; the legs begin at one moment."""
        assert self._seat is not None
        config = self._around.config
        count = 1 if self._wishes.parties == "caller" else 2
        for number in range(count):
            leg = self._seat.open_leg(RATE_HZ[config.format], number)
            self._parties.append(
                Party(
                    leg,
                    config.max_backlog_s,
                    self._seat.call.dtmf,
                    self._count,
                    self._bad,
                    self._around.mono,
                )
            )
        await self._around.ari.request(
            "POST",
            "applications",
            config.app,
            "subscription",
            eventSource=f"channel:{self.channel.id}",
        )
        for number in range(count):
            await self._bring(number)
        if self._in_stasis and self._wishes.mode == "tap":
            await self._go_on({})

    async def _bring(self, number: int) -> None:
        """Snoop one direction, order its audio, and connect both."""
        ari, app = self._around.ari, self._around.config.app
        snoop, media, bridge = (
            f"{self._around.prefix}{kind}.{SPY[number]}.{self._token}"
            for kind in ("snoop", "media", "bridge")
        )
        line = await self._around.media.line(self._parties[number], media)
        self._lines.append(line)
        await self._make(
            snoop, "channels", self.channel.id, "snoop", snoop, spy=SPY[number], app=app
        )
        answer = await self._make(
            media,
            *("channels", "externalMedia"),
            channelId=media,
            app=app,
            format=self._around.config.format,
            **line.order,
        )
        await line.answered(answer or {})
        async with asyncio.timeout(self._around.config.request_timeout_s):
            for each in (snoop, media):
                await self._around.entries.expect(each).wait()
        self.made.bridges.append(bridge)
        await ari.request("POST", "bridges", bridge, type="mixing", name=bridge)
        await ari.request("POST", "bridges", bridge, "addChannel", channel=[snoop, media])

    async def _make(self, channel_id: str, *path: str, **body: object) -> Any:
        """Make a channel; noted before it is there, for the answer may be lost on its way."""
        self.made.channels.append(channel_id)
        self._around.entries.expect(channel_id)
        answer = await self._around.ari.request("POST", *path, **body)
        self.made.known.add(channel_id)
        return answer

    async def _wait(self) -> str:
        if self._wishes.mode != "ask":
            return await self._ended
        try:
            async with asyncio.timeout(self._wishes.ask_timeout_s):
                return await asyncio.shield(self._ended)
        except TimeoutError:
            return "timeout"

    def on_event(self, event: Event) -> None:
        """Take an event of this channel's legs, or its end."""
        self._results.push(event)
        match event:
            case FinalEvent(leg_id=leg_id, text=text) if self._wishes.mode == "ask" and text:
                if party_of(leg_id) == 0:  # what is said to the one who is asked is no answer
                    self.end("answered")

    async def _finish(self, reason: str) -> None:
        """Give the last finals, leave nothing in Asterisk, let the channel go on meanwhile."""
        self.end(reason)
        for line in self._lines:
            line.close()
        parting = asyncio.gather(self._leave(reason), self._clear())
        await asyncio.wait([parting], timeout=LAST_WORDS_S)
        if self._in_stasis:
            status = STATUS_OF.get(reason, "failed")
            await self._go_on({**self._results.variables, STATUS: status})
        await parting

    async def _leave(self, reason: str) -> None:
        if self._seat is not None:
            await self._seat.leave(reason)
            self._say_counts()
        await self._results.close()

    async def _clear(self) -> None:
        """Delete what was made: bridges first, so that no channel is heard in between.

        One after another: many calls may end at once, and Asterisk has their hang-ups to do. If it
        says nothing it is asked no more; what is left is deleted when it is back.
        """
        made, source = self.made, f"channel:{self.channel.id}"
        for channel in made.channels:
            self._around.entries.forget(channel)
        requests: list[tuple[tuple[str, ...], dict[str, str]]] = [
            *((("bridges", each), {}) for each in made.bridges),
            *((("channels", each), {}) for each in made.channels),
            (
                ("applications", self._around.config.app, "subscription"),
                {"eventSource": source},
            ),
        ]
        with suppress(AriAway):
            for path, values in requests:
                with suppress(AriRefused):  # it is gone already
                    await self._around.ari.request("DELETE", *path, **values)

    async def _go_on(self, variables: Mapping[str, str]) -> None:
        """Send the channel on in the dialplan."""
        self._in_stasis = self._results.reachable = False
        await self._around.onward.send(self.channel.id, variables)

    def _count(self, fate: str, packets: int) -> None:
        self._around.metrics.packets.labels(DOOR, fate).inc(packets)

    def _bad(self, kind: str, said: str) -> None:
        """Count what is against the protocol; a call says it once of each kind."""
        self._around.metrics.bad_messages.labels(DOOR, kind).inc()
        if kind not in self._said:
            self._said.add(kind)
            self._log.warning("bad message", kind=kind, error=said)

    def _say_counts(self) -> None:
        for line, party in zip(self._lines, self._parties, strict=False):
            wrong = {name: count for name, count in line.counts.items() if name != "received"}
            if wrong:
                self._log.info("ari audio", leg_id=party.leg.leg_id, **line.counts)


async def quietly(request: Awaitable[Any]) -> None:
    """Do what may be undone already: a channel hangs up by itself, too."""
    try:
        await request
    except (AriRefused, AriAway) as error:
        structlog.get_logger(__name__).debug("ari", error=str(error))
