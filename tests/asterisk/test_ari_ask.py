"""The question of the example: what the caller answers is in the dialplan, or that nobody did."""

from collections.abc import Callable

import pytest

from tests.asterisk.ari_calls import AriCalls
from tests.asterisk.waves import PROMPT, Suite
from tests.e2e.letters import character_error, transcripts

pytestmark = pytest.mark.asyncio(loop_scope="session")  # that of the suite

WORST = 0.25
"""Letters that may be wrong; the embedded model has none wrong in this prompt."""

ANSWERED = "the caller said: "


async def test_the_answer_to_a_question_is_in_the_dialplan_and_so_is_its_absence(
    suite: Suite, record_property: Callable[[str, object], None]
) -> None:
    record_property("door", "9102 ARI, question")
    record_property("case", "in dialplan")
    at = AriCalls(suite)
    await at.connected()
    answers = suite.asterisk.place("9102", PROMPT, "patient", 20.0)
    is_silent = suite.asterisk.place("9102", "silence/1", "patient", 20.0)
    await at.end([answers, is_silent])
    assert answers.variables["RUASR_STATUS"] == "final", suite.asterisk.log()[-4000:]
    (line,) = (line for line in answers.said if line.startswith(ANSWERED))
    said = transcripts()[f"{PROMPT}.wav"]
    assert character_error(line.removeprefix(ANSWERED), said) < WORST
    assert line.removeprefix(ANSWERED) == suite.house.text(await at.heard(answers))
    assert "no answer: SUCCESS timeout" in is_silent.said
    await at.clean()


async def test_a_caller_who_waited_for_a_killed_server_goes_on_with_the_next_one(
    suite: Suite, record_property: Callable[[str, object], None]
) -> None:
    record_property("door", "9102 ARI, question")
    record_property("case", "restarted")
    at = AriCalls(suite)
    await at.connected()
    waits = suite.asterisk.place("9102", "silence/1", "patient", 20.0)
    await at.heard(waits)
    await suite.house.kill()
    await suite.house.open()
    await at.connected()
    await at.end([waits])
    assert "no answer: SUCCESS failed" in waits.said, suite.asterisk.log()[-4000:]
    await at.clean()
