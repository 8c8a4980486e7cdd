"""Asterisk's speech API with settings of its own: profile, model, phrases, readings, refusals."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import pytest_asyncio

from ruasr_tel.events import CallStarted, Final
from ruasr_tel.testing import TIMEOUT_S
from tests.asterisk.pbx import PlacedCall
from tests.asterisk.settings import SECOND_MODEL
from tests.asterisk.waves import PROMPT, Suite
from tests.e2e.letters import character_error, transcripts

pytestmark = pytest.mark.asyncio(loop_scope="session")  # that of the suite

SAID = transcripts()[f"{PROMPT}.wav"]
WORST = 0.25
"""Letters that may be wrong: the embedded model has a tenth of them wrong in this prompt."""
TAKEN = ("chosen", "closed")
REFUSED = ("foreign", "unknown", "wide")

Placed = Mapping[str, PlacedCall]
Note = Callable[[str, str], None]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def placed(suite: Suite) -> Placed:
    """Calls by engine of settings.ENGINES and by extension, all at once."""
    calls = {
        each: suite.asterisk.place("speech", PROMPT, ENGINE=each) for each in (*TAKEN, *REFUSED)
    }
    calls |= {each: suite.asterisk.place(each, PROMPT) for each in ("9024", "9025")}
    async with asyncio.timeout(2 * TIMEOUT_S):
        await calls["chosen"].named.wait()
    await suite.house.until_heard(calls["chosen"].call_id, 4000)
    active = await suite.house.counter("ruasr_model_calls_active", model=SECOND_MODEL)
    calls["chosen"].variables["ACTIVE"] = f"{active:g}"
    await suite.ends(list(calls.values()))
    await suite.idle()
    return calls


@pytest.fixture
def note(record_property: Callable[[str, object], None]) -> Note:
    """Return what puts a test into its place of the table."""

    def place(what: str, case: str) -> None:
        record_property("door", f"AEAP, {what}")
        record_property("case", case)

    return place


def heard(call: PlacedCall, mark: str = ": ") -> str:
    """Return what the dialplan had of a call."""
    (line,) = [line for line in call.said if mark in line]
    return line.partition(mark)[2]


async def test_params_choose_the_profile_and_the_model(
    suite: Suite, placed: Placed, note: Note
) -> None:
    note("@profile, @model", "in dialplan")
    call = placed["chosen"]
    (started,) = [e for e in suite.house.events[call.call_id] if isinstance(e, CallStarted)]
    assert started.profile == "yesno"
    assert call.variables["ACTIVE"] == "1"
    assert heard(call) == suite.house.text(call.call_id)
    assert character_error(heard(call), SAID) < WORST


@pytest.mark.parametrize("which", ["closed", "9024"])
async def test_a_closed_list_gives_one_of_its_phrases(
    suite: Suite, placed: Placed, which: str, note: Note
) -> None:
    note(f"closed list by {'@phrases' if which == 'closed' else '9024'}", "in dialplan")
    assert heard(placed[which]) == SAID
    assert suite.house.text(placed[which].call_id) == SAID


async def test_other_readings_are_in_the_dialplan(suite: Suite, placed: Placed, note: Note) -> None:
    note("readings by 9025", "in dialplan")
    call = placed["9025"]
    (final,) = [e for e in suite.house.events[call.call_id] if isinstance(e, Final) and e.text]
    assert int(call.variables["READINGS"]) == 1 + len(final.alternatives) == 3
    assert heard(call, f"{call.call_id}: ") == final.text
    assert heard(call, " or: ") == final.alternatives[0].text != final.text


@pytest.mark.parametrize("engine", REFUSED)
async def test_a_setup_that_cannot_be_is_refused_counted_and_logged(
    suite: Suite, placed: Placed, engine: str, note: Note
) -> None:
    note(f"refused: {engine}", "in dialplan")
    assert placed[engine].said == ["refused"]
    labels = {"door": "aeap", "kind": "setup"}
    assert await suite.house.counter("ruasr_bad_messages_total", **labels) == len(REFUSED)
    lines = [line for line in suite.house.log if line.get("kind") == "setup"]
    assert sorted(line["error"].partition(":")[0].partition(";")[0] for line in lines) == [
        "language",
        "model",
        "no codec of gsm is served",
    ]
