"""A question asked by a real dialplan: told of by CURL(), ended by us, its answer a variable."""

from collections.abc import Callable

import pytest

from ruasr_tel.events import CallStarted
from tests.asterisk.waves import END_S, PROMPT, QUESTION, Suite
from tests.e2e.letters import character_error, transcripts

pytestmark = pytest.mark.asyncio(loop_scope="session")  # that of the suite

WORST = 0.25
"""Letters that may be wrong: the embedded model has a tenth of them wrong in this prompt."""


async def test_the_answer_to_a_question_is_in_the_dialplan(
    suite: Suite, record_property: Callable[[str, object], None]
) -> None:
    record_property("door", QUESTION)
    record_property("case", "in dialplan")
    call = suite.asterisk.place("9005", PROMPT, tail=END_S)  # the caller waits to be hung up on
    await suite.ends([call])
    (started,) = (
        each for each in suite.house.events[call.call_id] if isinstance(each, CallStarted)
    )
    assert started.profile == "question", (call, suite.asterisk.log()[-3000:])
    assert (await suite.house.ended(call.call_id)).reason == "first final"
    assert call.variables["TRYSTATUS"] == "SUCCESS"
    assert call.variables["RUASR_TEXT"] == suite.house.text(call.call_id)
    assert character_error(call.variables["RUASR_TEXT"], transcripts()[f"{PROMPT}.wav"]) < WORST
