"""Calls that the server ends by a rule, and calls of one name, dialled by a real Asterisk."""

from collections.abc import Callable, Mapping
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.asterisk.pbx import PlacedCall
from tests.asterisk.waves import END_S, PROMPT, Suite
from tests.e2e.letters import character_error, transcripts

pytestmark = pytest.mark.asyncio(loop_scope="session")  # that of the suite

SAID = transcripts()[f"{PROMPT}.wav"]
WORST = 0.25
"""Letters that may be wrong: the embedded model has a tenth of them wrong in this prompt."""

REASONS = {"question": "first final", "word": "phrase '", "time": "after 1.5 s"}
"""How the reasons of their ends begin; of three words one is surely heard."""
DOORS = {"audiosocket": "AudioSocket slin, rules", "websocket": "WebSocket json slin, rules"}
"""Extensions of settings.RULES."""

Placed = Mapping[tuple[str, str], PlacedCall]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def placed(suite: Suite) -> Placed:
    """Calls by door and rule, those of one name with it in place of a rule; all at once."""
    calls = {
        (door, rule): suite.asterisk.place(door, PROMPT, tail=END_S, RULE=rule)
        for door in DOORS
        for rule in REASONS  # the caller waits to be hung up on
    }
    for door in DOORS:
        name = str(uuid4())
        for which in ("first", "second"):
            same = suite.asterisk.place(door, PROMPT, RULE="default", NAME=name)
            calls[door, which] = same
    await suite.ends(list(calls.values()))
    await suite.idle()
    return calls


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("rule", REASONS)
async def test_a_rule_hands_the_call_back_and_the_dialplan_goes_on(
    suite: Suite,
    placed: Placed,
    rule: str,
    door: str,
    record_property: Callable[[str, object], None],
) -> None:
    record_property("door", DOORS[door])
    record_property("case", rule)
    call = placed[door, rule]
    ended = await suite.house.ended(call.call_id)
    assert ended.reason.startswith(REASONS[rule])
    assert [ledger.difference for ledger in ended.ledgers.values()] == [0]
    assert (await suite.house.history(call.call_id))["call"]["reason"] == ended.reason
    assert "handed back: ANSWER 16" in call.said


@pytest.mark.parametrize("door", DOORS)
async def test_calls_of_one_name_at_once_are_two_calls_and_neither_harms_the_other(
    suite: Suite, placed: Placed, door: str, record_property: Callable[[str, object], None]
) -> None:
    record_property("door", DOORS[door])
    record_property("case", "one name twice")
    name = placed[door, "first"].call_id
    for call_id in (name, f"{name}#2"):
        kept = await suite.house.history(call_id)
        text = " ".join(final["text"] for final in kept["finals"] if final["text"])
        assert character_error(text, SAID) < WORST
        assert len(await suite.house.receiver.told(call_id)) >= 2
    lines = [line for line in suite.house.log if line.get("call_id") == f"{name}#2"]
    warnings = [line for line in lines if line["level"] == "warning"]
    assert [name in str(line) for line in warnings] == [True]
    own_door = suite.house.door(name)
    labels = {"door": own_door, "kind": "id in use"}
    assert await suite.house.counter("ruasr_bad_messages_total", **labels) == 1
