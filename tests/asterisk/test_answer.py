"""A question asked by a real dialplan: told of by CURL(), ended by us, its answer a variable."""

from collections.abc import Callable, Mapping

import pytest
import pytest_asyncio

from ruasr_tel.events import CallStarted
from tests.asterisk.pbx import PlacedCall
from tests.asterisk.waves import END_S, PROMPT, QUESTION, SORRY, Suite
from tests.e2e.letters import character_error, transcripts

pytestmark = pytest.mark.asyncio(loop_scope="session")  # that of the suite

QUESTIONS = {"9005": QUESTION, "9037": "9037 WebSocket json, CURL()"}

WORST = 0.25
"""Letters that may be wrong: the embedded model has a tenth of them wrong in this prompt."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def answered(suite: Suite) -> Mapping[str, PlacedCall]:
    """Calls whose callers wait to be hung up on, and one with nothing but its first words."""
    calls = {each: suite.asterisk.place(each, PROMPT, tail=END_S) for each in QUESTIONS}
    calls["9002"] = suite.asterisk.place("9002", PROMPT)
    await suite.ends(list(calls.values()))
    return calls


@pytest.mark.parametrize("extension", QUESTIONS)
async def test_the_answer_to_a_question_is_in_the_dialplan(
    suite: Suite,
    answered: Mapping[str, PlacedCall],
    extension: str,
    record_property: Callable[[str, object], None],
) -> None:
    record_property("door", QUESTIONS[extension])
    record_property("case", "in dialplan")
    call = answered[extension]
    (started,) = (
        each for each in suite.house.events[call.call_id] if isinstance(each, CallStarted)
    )
    assert started.profile == "question", (call, suite.asterisk.log()[-3000:])
    assert (await suite.house.ended(call.call_id)).reason == "first final"
    assert call.variables["RUASR_TEXT"] == suite.house.text(call.call_id)
    assert character_error(call.variables["RUASR_TEXT"], transcripts()[f"{PROMPT}.wav"]) < WORST


async def test_a_call_that_has_somewhere_else_to_go_is_heard(
    suite: Suite,
    answered: Mapping[str, PlacedCall],
    record_property: Callable[[str, object], None],
) -> None:
    record_property("door", SORRY)
    record_property("case", "history")
    call_id = answered["9002"].call_id
    await suite.house.ended(call_id)
    text = await suite.house.get(f"/v1/calls/{call_id}?format=text")
    assert character_error(text, transcripts()[f"{PROMPT}.wav"]) < WORST


async def test_a_server_that_stops_refuses_calls_and_ends_none(
    suite: Suite, record_property: Callable[[str, object], None]
) -> None:
    record_property("door", SORRY)
    record_property("case", "stopping")
    first, later = await suite.stopping()
    assert suite.house.text(first.call_id)
    assert (await suite.house.ended(first.call_id)).reason == "eof"
    for each in ("9001", "9002", "9005"):
        assert later[each].variables["TRYSTATUS"] == "FAILED"
    for each in ("9003", "9004"):
        # Asterisk may have sent the UUID before the reset arrives, which is an answer to it
        assert later[each].variables["DIALSTATUS"] in ("CHANUNAVAIL", "ANSWER")
