"""Both sides of a call that a real Asterisk bridges by itself, by the example that we ship."""

import asyncio
from collections.abc import Callable

import pytest

from ruasr_tel.events import CallStarted, Final
from tests.asterisk.waves import END_S, PROMPT, Suite
from tests.e2e.letters import character_error, transcripts

pytestmark = pytest.mark.asyncio(loop_scope="session")  # that of the suite

CALLEE_PROMPT = "all-circuits-busy-now"
"""What the callee of the suite says, four seconds after the caller began."""

WORST = 0.4
"""Letters that may be wrong: the embedded model has a quarter of the callee's wrong; of another
prompt's text two thirds would be."""


def heard_on(suite: Suite, channel: str) -> str:
    """Return the id of the call that was heard on a channel of Asterisk."""
    for call_id, events in suite.house.events.items():
        for event in events:
            if isinstance(event, CallStarted) and event.details.get("channel") == channel:
                return call_id
    raise AssertionError((channel, suite.asterisk.log()[-3000:]))


async def test_both_sides_are_one_dialogue_in_order_and_the_texts_are_in_the_dialplan(
    suite: Suite, record_property: Callable[[str, object], None]
) -> None:
    record_property("door", "9101 ARI, both sides")
    record_property("case", "text")
    async with asyncio.timeout(END_S):
        while "Creating Stasis app 'ruasr'" not in suite.asterisk.log():  # noqa: ASYNC110 - a file
            await asyncio.sleep(0.1)
    call = suite.asterisk.place("9101", PROMPT, "later", 9.0)
    await suite.ends([call])
    await suite.idle()
    call_id = heard_on(suite, f"{call.number}-1")
    finals = [e for e in suite.house.events[call_id] if isinstance(e, Final) and e.text]
    sides = [final.leg_id.rpartition("/")[2] for final in finals]
    assert sides == sorted(sides)
    assert set(sides) == {"0", "1"}, suite.asterisk.log()[-6000:]
    said = transcripts()
    for side, prompt in (("0", PROMPT), ("1", CALLEE_PROMPT)):
        text = " ".join(f.text for f, at in zip(finals, sides, strict=True) if at == side)
        assert character_error(text, said[f"{prompt}.wav"]) < WORST
    ended = await suite.house.ended(call_id)
    assert [ledger.difference for ledger in ended.ledgers.values()] == [0, 0]
    last = {side: final.text for side, final in zip(sides, finals, strict=True)}
    assert f"caller: {last['0']} / callee: {last['1']}" in call.said
