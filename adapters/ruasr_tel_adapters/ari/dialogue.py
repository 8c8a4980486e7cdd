"""One call, and the channels of Asterisk that it is heard on: each brings legs of its own.

The k-th channel's legs are 2k, what comes from its party, and 2k + 1, what is said to it.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final, Protocol

from ruasr_tel.call import Calls
from ruasr_tel.conversation import Call
from ruasr_tel.events import CallEnded, CallStarted, Event
from ruasr_tel.events import Final as FinalEvent
from ruasr_tel.leg import Leg
from ruasr_tel.live import free_id
from ruasr_tel.types import CallId, LegId

DOOR: Final = "ari"

PARTIES: Final = 2
"""Legs of a channel: in and out."""


def number_of(leg_id: LegId) -> int:
    """Return the number in a leg id: `1795346040.148/1.2` is of leg 1."""
    return int(leg_id.rpartition("/")[2].partition(".")[0])


class Member(Protocol):
    """A channel that is listened to."""

    def on_event(self, event: Event) -> None:
        """Take an event of one of its legs, or its end."""
        ...

    def end(self, reason: str) -> None:
        """Stop to listen, soon."""
        ...


@dataclass(frozen=True, slots=True)
class Opening:
    """What a call is opened with, if the channel is the first one.

    Attributes:
        peer: the channel's name.
        profile: how to listen, or None.
        details: what is known of the call.
    """

    peer: str
    profile: str | None
    details: Mapping[str, str]


@dataclass(eq=False, slots=True)
class Dialogue:
    """A running call.

    Attributes:
        name: that its channels came with.
        profile: of the first channel.
        forget: lets no more channels in.
        call: the call, once it is open.
        seats: every channel that ever came.
        present: those that are still heard.
    """

    name: CallId
    profile: str | None
    forget: Callable[["Dialogue"], None]
    call: Call | None = None
    seats: "list[Seat]" = field(default_factory=list)
    present: "list[Seat]" = field(default_factory=list)

    def on_event(self, event: Event) -> None:
        """Give an event to the channel it is of; the end to everyone."""
        match event:
            case CallStarted():
                pass
            case CallEnded():
                self.forget(self)
                for seat in self.present:
                    seat.member.on_event(replace(event, finals=seat.finals))
            case _:
                seat = self.seats[number_of(event.leg_id) // PARTIES]
                seat.finals += isinstance(event, FinalEvent)
                seat.member.on_event(event)

    def end_all(self, reason: str) -> None:
        """Stop to listen to every channel."""
        for seat in tuple(self.present):
            seat.member.end(reason)


@dataclass(eq=False, slots=True)
class Seat:
    """A channel's place in a call.

    Attributes:
        call: the call.
        dialogue: who else is in it.
        joined: whether others were there before it.
        number: 0-based, of the channels of the call.
        member: the channel.
        late_s: seconds of the call before it came.
        finals: how many its legs had.
        legs: its own ones.
    """

    call: Call
    dialogue: Dialogue
    joined: bool
    number: int
    member: Member
    late_s: float
    finals: int = 0
    legs: list[Leg] = field(default_factory=list)

    def open_leg(self, sample_rate_hz: int, party: int) -> Leg:
        """Open the channel's next leg.

        Args:
            sample_rate_hz: of its audio.
            party: 0 for what comes from the channel's party, 1 for what is said to it.
        """
        channel = PARTIES * self.number + party
        leg = self.call.open_leg(sample_rate_hz, channel, offset_s=self.late_s)
        self.legs.append(leg)
        return leg

    async def leave(self, reason: str) -> None:
        """End the channel's legs, with their last finals; the last channel ends the call.

        Args:
            reason: why.
        """
        if self.dialogue.present == [self]:
            self.dialogue.forget(self.dialogue)
            await self.call.end(reason)
            return
        await asyncio.gather(*map(self.call.close_leg, self.legs))
        if self.dialogue.present == [self]:  # the others left meanwhile
            await self.leave(reason)
            return
        self.dialogue.present.remove(self)
        duration_s = max((leg.clock_s for leg in self.legs), default=0.0)
        ledgers = {leg.leg_id: leg.ledger() for leg in self.legs}
        at = datetime.now(UTC)
        ended = CallEnded(self.call.call_id, at, reason, duration_s, self.finals, ledgers)
        self.member.on_event(ended)


class Dialogues:
    """The running calls of one door, by the names that channels come with.

    Args:
        calls: where calls are opened.
        mono: monotonic seconds, the same as the calls'.
        profile: the door's.
    """

    def __init__(self, calls: Calls, mono: Callable[[], float], profile: str | None = None) -> None:
        self._calls = calls
        self._mono = mono
        self._profile = profile
        self._running: dict[CallId, Dialogue] = {}

    def enter(self, name: CallId, member: Member, opening: Opening) -> Seat:
        """Take a channel into the call of a name; open one if there is none.

        A call of another door that has the name goes on by itself, and this one gets another.

        Args:
            name: the call's.
            member: the channel.
            opening: for a call that begins with it.

        Raises:
            Overloaded: no room for a call.
            ConfigError: unknown profile.
        """
        dialogue = self._running.get(name)
        if dialogue is None:
            dialogue = Dialogue(name, opening.profile, self._forget)
            dialogue.call = self._open(dialogue, opening)
            self._running[name] = dialogue
        assert dialogue.call is not None
        joined = bool(dialogue.seats)
        late_s = self._mono() - dialogue.call.started_s if joined else 0.0
        number = len(dialogue.seats)
        seat = Seat(dialogue.call, dialogue, joined, number, member, late_s)
        dialogue.seats.append(seat)
        dialogue.present.append(seat)
        return seat

    def _open(self, dialogue: Dialogue, opening: Opening) -> Call:
        return self._calls.open(
            door=DOOR,
            call_id=free_id(dialogue.name, self._calls),
            peer=opening.peer,
            profile=opening.profile,
            door_profile=self._profile,
            on_event=dialogue.on_event,
            hang_up=dialogue.end_all,
            details={**opening.details},
        )

    def _forget(self, dialogue: Dialogue) -> None:
        if self._running.get(dialogue.name) is dialogue:
            del self._running[dialogue.name]
