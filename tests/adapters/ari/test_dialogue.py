"""Channels of one name are one call: each has legs of its own, the last one ends it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np
import pytest

from ruasr_tel.call import Calls, CallsConfig
from ruasr_tel.errors import Overloaded
from ruasr_tel.events import CallEnded, CallStarted, Event, Final
from ruasr_tel.testing.audio import silence, tone
from ruasr_tel.testing.calls import TIMEOUT_S, Recorder, running_calls
from ruasr_tel.types import CallId, LegId
from ruasr_tel_adapters.ari.dialogue import Dialogues, Opening, Seat, number_of

NAME = CallId("1795346040.1")
FIRST = Opening("PJSIP/100-1", None, {"channel": "1795346040.1"})
SECOND = Opening("PJSIP/101-1", None, {"channel": "1795346041.7"})


class Channel:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[Event] = []
        self.ends: list[str] = []

    def on_event(self, event: Event) -> None:
        self.told.append(event)

    def end(self, reason: str) -> None:
        self.ends.append(reason)

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.told if isinstance(event, kind)]


@dataclass
class House:
    dialogues: Dialogues
    calls: Calls
    heard: Recorder
    forward: Callable[[float], None]


@asynccontextmanager
async def house(limit: int = 500, profile: str | None = None) -> AsyncIterator[House]:
    heard, now_s = Recorder(), [100.0]

    def forward(seconds: float) -> None:
        now_s[0] += seconds

    config = CallsConfig(max_calls=limit)
    async with running_calls(publish=heard, config=config, mono=lambda: now_s[0]) as calls:
        yield House(Dialogues(calls, lambda: now_s[0], profile), calls, heard, forward)


async def leave(seat: Seat, reason: str = "hangup") -> None:
    await asyncio.wait_for(seat.leave(reason), TIMEOUT_S)


@pytest.mark.parametrize(("leg_id", "number"), [("1.2/0", 0), ("1.2#2/13", 13), ("1.2/1.2", 1)])
def test_a_leg_id_ends_in_its_number(leg_id: str, number: int) -> None:
    assert number_of(LegId(leg_id)) == number


async def test_the_profile_is_the_first_channels_or_the_doors() -> None:
    async with house(profile="yesno") as at:
        for name, opening in (("1.1", FIRST), ("1.2", Opening("PJSIP/1-1", "digits", {}))):
            await leave(at.dialogues.enter(CallId(name), Channel(), opening))
        profiles = [each.profile for each in at.heard.events if isinstance(each, CallStarted)]
        assert profiles == ["yesno", "digits"]


async def test_the_second_channel_joins_at_its_time_and_the_last_one_ends_the_call() -> None:
    async with house() as at:
        one, other = Channel(), Channel()
        first = at.dialogues.enter(NAME, one, FIRST)
        legs = [first.open_leg(8000, party) for party in (0, 1)]
        at.forward(2.5)
        second = at.dialogues.enter(NAME, other, SECOND)
        legs += [second.open_leg(8000, party) for party in (0, 1)]
        assert [leg.leg_id for leg in legs] == [f"{NAME}/{number}" for number in range(4)]
        assert [leg.clock_s for leg in legs] == [0.0, 0.0, 2.5, 2.5]
        assert (first.joined, second.joined, second.call) == (False, True, first.call)
        legs[0].push(np.concatenate([tone(0.6), silence(0.2)]))
        legs[3].push(np.concatenate([tone(0.6), silence(0.2)]))
        await leave(first)
        assert len(at.calls) == 1
        await leave(second, "timeout")
        assert len(at.calls) == 0
    (started,) = at.heard.of(CallStarted)
    assert started.details == {"channel": "1795346040.1"}
    (ended,) = at.heard.of(CallEnded)
    assert (ended.reason, ended.finals, len(ended.ledgers)) == ("timeout", 2, 4)
    assert [ledger.difference for ledger in ended.ledgers.values()] == [0] * 4
    finals = {final.leg_id: final.start_s for final in at.heard.of(Final)}
    assert finals.keys() == {f"{NAME}/0", f"{NAME}/3"}
    assert finals[LegId(f"{NAME}/3")] >= 2.5
    for channel, reason, leg in ((one, "hangup", "0"), (other, "timeout", "3")):
        assert [str(e.leg_id) for e in channel.of(Final) if isinstance(e, Final)] == [
            f"{NAME}/{leg}"
        ]
        (end,) = channel.of(CallEnded)
        assert isinstance(end, CallEnded)
        assert (end.reason, end.finals) == (reason, 1)


async def test_channels_that_leave_at_once_end_the_call_once() -> None:
    async with house() as at:
        seats = [at.dialogues.enter(NAME, Channel(), FIRST) for _ in range(3)]
        for seat in seats:
            seat.open_leg(8000, 0).push(tone(0.6))
        await asyncio.wait_for(asyncio.gather(*map(leave, seats)), TIMEOUT_S)
        assert len(at.calls) == 0
        assert len(at.heard.of(CallEnded)) == 1
        again = at.dialogues.enter(NAME, Channel(), FIRST)
        assert (again.joined, again.call.call_id) == (False, NAME)
        await leave(again)


async def test_who_comes_while_the_last_one_leaves_begins_a_call_that_others_join() -> None:
    async with house() as at:
        first = at.dialogues.enter(NAME, Channel(), FIRST)
        first.open_leg(8000, 0).push(tone(0.6))
        leaving = asyncio.create_task(first.leave("hangup"))
        await asyncio.sleep(0)  # it has begun to wait for its last final
        second = at.dialogues.enter(NAME, Channel(), SECOND)
        await leaving
        assert (second.joined, second.call.call_id) == (False, f"{NAME}#2")
        assert at.dialogues.enter(NAME, Channel(), SECOND).call is second.call


async def test_a_call_of_another_door_keeps_its_name() -> None:
    async with house() as at:
        at.calls.open(door="audiosocket", call_id=NAME, peer="")
        seat = at.dialogues.enter(NAME, Channel(), FIRST)
        joined = at.dialogues.enter(NAME, Channel(), SECOND)
        assert (seat.call.call_id, joined.call) == (f"{NAME}#2", seat.call)
        await leave(joined)
        await leave(seat)


async def test_whoever_ends_the_call_ends_every_channel() -> None:
    async with house() as at:
        channels = [Channel(), Channel()]
        seats = [at.dialogues.enter(NAME, channel, FIRST) for channel in channels]
        hang_up = seats[0].call.hang_up
        assert hang_up is not None
        hang_up("longer than calls.max_call_s, 10 s")
        assert [channel.ends for channel in channels] == [
            ["longer than calls.max_call_s, 10 s"]
        ] * 2
        await seats[0].call.end("drain")
        for channel in channels:
            assert len(channel.of(CallEnded)) == 1
        assert not at.dialogues.enter(NAME, Channel(), SECOND).joined  # that call is over


async def test_no_room_is_an_error_for_a_new_call_and_none_for_a_channel_that_joins() -> None:
    async with house(limit=1) as at:
        seat = at.dialogues.enter(NAME, Channel(), FIRST)
        with pytest.raises(Overloaded):
            at.dialogues.enter(CallId("other"), Channel(), SECOND)
        assert at.dialogues.enter(NAME, Channel(), SECOND).joined
        assert seat.call is at.dialogues.enter(NAME, Channel(), SECOND).call
