"""Channels that belong together are one call, by real conferences and queues."""

from collections.abc import Callable

import pytest

from ruasr_tel.events import CallEnded, CallStarted
from tests.asterisk.ari_calls import CALLEE_PROMPT, AriCalls
from tests.asterisk.waves import PROMPT, Suite
from tests.e2e.letters import character_error, transcripts

pytestmark = pytest.mark.asyncio(loop_scope="session")  # that of the suite

WORST = 0.25
"""Letters that may be wrong; the embedded model has none wrong in either prompt."""


def wrong(text: str, prompt: str) -> float:
    return character_error(text, transcripts()[f"{prompt}.wav"])


def even(ended: CallEnded) -> None:
    assert {ledger.difference for ledger in ended.ledgers.values()} == {0}


async def test_the_speakers_of_a_conference_are_legs_of_one_call(
    suite: Suite, record_property: Callable[[str, object], None]
) -> None:
    record_property("door", "9103 ARI, conference")
    record_property("case", "text")
    at = AriCalls(suite)
    await at.connected()
    first = suite.asterisk.place("9103", PROMPT, "later", 8.0)
    assert await at.heard(first) == "room-9103"
    second = suite.asterisk.place("9103", CALLEE_PROMPT, "later", 5.0)
    await at.end([first, second])
    said = await at.said(first)
    assert said.keys() == {"0", "2"}
    assert wrong(said["0"], PROMPT) < WORST
    assert wrong(said["2"], CALLEE_PROMPT) < WORST
    ended = await at.ended(first)
    assert len(ended.ledgers) == 2
    even(ended)
    await at.clean()


async def test_a_queue_whose_agents_ring_at_once_is_one_call(
    suite: Suite, record_property: Callable[[str, object], None]
) -> None:
    record_property("door", "9191 ARI, queue")
    record_property("case", "text")
    at = AriCalls(suite)
    await at.connected()
    call = suite.asterisk.place("9191", PROMPT, "later", 9.0)
    call_id = await at.heard(call)
    await at.end([call])
    named = {
        each.call_id
        for events in suite.house.events.values()
        for each in events
        if isinstance(each, CallStarted) and each.details.get("linkedid") == f"{call.number}-1"
    }
    assert named == {call_id}
    said = await at.said(call)
    ended = await at.ended(call)
    assert len(ended.ledgers) == 6, suite.asterisk.log()[-4000:]  # the caller's, each agent's
    even(ended)
    assert wrong(said["0"], PROMPT) < WORST
    assert wrong(said["1"], CALLEE_PROMPT) < WORST
    agents = {leg: text for leg, text in said.items() if leg in ("3", "5")}
    ((leg, text),) = agents.items()  # the one who answered
    assert wrong(text, CALLEE_PROMPT) < WORST
    assert wrong(said[str(int(leg) - 1)], PROMPT) < WORST  # the caller, as the agent heard it
    await at.clean()


async def test_a_consultation_and_what_follows_the_transfer_are_one_call(
    suite: Suite, record_property: Callable[[str, object], None]
) -> None:
    record_property("door", "9192 ARI, attended transfer")
    record_property("case", "text")
    at = AriCalls(suite)
    await at.connected()
    call = suite.asterisk.place("9192", PROMPT, "later", 90.0)
    forwarder = await at.channel("Local/forwarder@callers", ";1")
    await at.until_said(call, "0")
    suite.asterisk.transfer(forwarder, "9193")
    await at.until_said(call, "2")
    await at.until_said(call, "1")
    suite.asterisk.hang_up(call)
    await at.end([call])
    said = await at.said(call)
    assert wrong(said["0"], PROMPT) < WORST
    assert wrong(said["1"], CALLEE_PROMPT) < WORST  # the expert, to the caller
    assert wrong(said["2"], PROMPT) < WORST  # the forwarder, to the expert
    ended = await at.ended(call)
    assert {leg_id.rpartition("/")[2] for leg_id in ended.ledgers} == {"0", "1", "2", "3"}
    even(ended)
    await at.clean()
