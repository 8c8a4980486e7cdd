"""Asterisk's speech API through res_speech_vosk, against the door `vosk_ws`."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest
import pytest_asyncio

from ruasr_tel.events import CallStarted
from tests.asterisk.pbx import PlacedCall
from tests.asterisk.waves import END_S, PROMPT, Suite
from tests.e2e.letters import character_error, transcripts

pytestmark = pytest.mark.asyncio(loop_scope="session")  # that of the suite

SAID = transcripts()[f"{PROMPT}.wav"]
WORST = 0.25
"""Letters that may be wrong: the embedded model has a tenth of them wrong in this prompt."""

ONE, MANY = "9011", "9012"
MESSAGE_BYTES = 3200
"""VOSK_BUF_SIZE of res_speech_vosk.c; a rest that does not fill it is never sent."""
IN_TURN = pytest_asyncio.fixture(scope="module", loop_scope="session")


@dataclass(frozen=True)
class Spoken:
    """A call, and the name that the server gave it, for the module sends none."""

    call: PlacedCall
    call_id: str


@pytest.fixture
def note(record_property: Callable[[str, object], None]) -> Callable[[str, str], None]:
    """Return what puts a test into its place of the table."""

    def place(extension: str, case: str) -> None:
        record_property("door", f"{extension} res_speech_vosk")
        record_property("case", case)

    return place


Note = Callable[[str, str], None]


@IN_TURN
async def module(suite: Suite) -> Suite:
    if suite.without_vosk:
        pytest.skip(suite.without_vosk)
    return suite


async def placed(suite: Suite, extension: str) -> Spoken:
    """Place a call of whole frames, for any other one ends this module's Asterisk."""
    before = set(suite.house.events)
    prompt = suite.asterisk.whole_frames(PROMPT)
    call = suite.asterisk.place(extension, prompt)
    async with asyncio.timeout(END_S):
        while not (new := set(suite.house.events) - before):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)
    return Spoken(call, new.pop())


@IN_TURN
async def spoken(module: Suite) -> Sequence[Spoken]:
    calls = [await placed(module, ONE), await placed(module, MANY)]
    await module.ends([each.call for each in calls])
    await module.idle()
    return calls


@pytest.mark.parametrize("extension", [ONE, MANY])
async def test_the_text_is_in_the_dialplan_the_history_the_webhook_and_the_log(
    module: Suite, spoken: Sequence[Spoken], extension: str, note: Note
) -> None:
    note(extension, "history")
    (own,) = [each for each in spoken if each.call.extension == extension]
    house = module.house
    (started,) = [e for e in house.events[own.call_id] if isinstance(e, CallStarted)]
    assert started.door == "vosk_ws"
    text = await house.get(f"/v1/calls/{own.call_id}?format=text")
    assert character_error(text, SAID) < WORST
    heard = [line.partition("heard: ")[2] for line in own.call.said if "heard: " in line]
    assert " ".join(heard) == text
    *finals, end = await house.receiver.told(own.call_id)
    assert " ".join(each["text"] for each in finals if each["text"]) == text
    assert end["reason"] == (await house.ended(own.call_id)).reason
    lines = house.journal(own.call_id, "final text")
    assert " ".join(line["text"] for line in lines if line["text"]) == text


async def test_the_audio_is_the_prompts_own_in_whole_messages(
    module: Suite, spoken: Sequence[Spoken], note: Note
) -> None:
    note(ONE, "audio")
    call_id = spoken[0].call_id
    audio = module.house.audio(call_id)
    assert (len(audio) * 2) % MESSAGE_BYTES == 0
    assert module.asterisk.prompt(PROMPT).tobytes() in audio.tobytes()
    (ledger,) = (await module.house.ended(call_id)).ledgers.values()
    assert (ledger.received, ledger.difference, ledger.dropped) == (len(audio), 0, {})


async def test_a_hangup_in_mid_word_keeps_what_was_said(module: Suite, note: Note) -> None:
    note(ONE, "hang-up")
    own = await placed(module, ONE)
    await module.house.until_heard(own.call_id, 9600)
    module.asterisk.hang_up(own.call)
    await module.ends([own.call])
    (ledger,) = (await module.house.ended(own.call_id)).ledgers.values()
    assert ledger.difference == 0
    assert module.house.text(own.call_id)
