"""Every door called by a real Asterisk with real prompts, through the examples that we ship."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from ruasr_tel.audio.codec import Decoder, Encoding, encode
from ruasr_tel.types import Samples
from tests.asterisk.pbx import PlacedCall
from tests.asterisk.waves import CROWD, CROWDED, DOORS, ENDLESS, LONGEST_S, PROMPT, QUESTION, Suite
from tests.e2e.letters import character_error, transcripts

pytestmark = pytest.mark.asyncio(loop_scope="session")  # that of the suite

SAID = transcripts()[f"{PROMPT}.wav"]
WORST = 0.25
"""Letters that may be wrong: the embedded model has a tenth of them wrong in this prompt."""

Note = Callable[[str, str], None]
every_door = pytest.mark.parametrize("extension", DOORS)
in_turn = pytest_asyncio.fixture(scope="module", loop_scope="session")


@in_turn
async def spoken(suite: Suite) -> Mapping[str, PlacedCall]:
    return await suite.speech()


@in_turn
async def pressed(suite: Suite) -> Mapping[str, PlacedCall]:
    return await suite.digits()


@in_turn
async def hung_up(suite: Suite) -> Mapping[str, PlacedCall]:
    return await suite.hangups()


@in_turn
async def unserved(suite: Suite) -> tuple[Mapping[str, PlacedCall], Mapping[str, PlacedCall]]:
    return await suite.down()


@in_turn
async def served_again(suite: Suite) -> Mapping[str, PlacedCall]:
    return await suite.speech()


@in_turn
async def endless(suite: Suite, served_again: Mapping[str, PlacedCall]) -> Mapping[str, PlacedCall]:
    assert served_again
    return suite.endless()


@in_turn
async def cut_off(suite: Suite) -> Mapping[str, PlacedCall]:
    return await suite.killed()


@in_turn
async def called_again(suite: Suite) -> Mapping[str, PlacedCall]:
    return await suite.speech()


@pytest.fixture
def note(record_property: Callable[[str, object], None]) -> Note:
    """Return what puts a test into its place of the table."""

    def place(extension: str, case: str) -> None:
        record_property("door", f"{extension} {DOORS[extension]}")
        record_property("case", case)

    return place


async def accounted(suite: Suite, call: PlacedCall) -> int:
    """Return the samples of a call at its end; not one of them is lost."""
    assert call.call_id, (call, suite.asterisk.log()[-3000:])
    ledgers = (await suite.house.ended(call.call_id)).ledgers.values()
    assert [ledger.difference for ledger in ledgers] == [0] * len(ledgers)
    assert [ledger.dropped for ledger in ledgers] == [{}] * len(ledgers)
    received = sum(ledger.received for ledger in ledgers)
    assert received == len(suite.house.audio(call.call_id))
    return received


@every_door
async def test_what_was_said_is_in_the_history(
    suite: Suite, spoken: Mapping[str, PlacedCall], extension: str, note: Note
) -> None:
    note(extension, "history")
    call = spoken[extension]
    assert await accounted(suite, call) > 0
    kept = await suite.house.history(call.call_id)
    text = " ".join(final["text"] for final in kept["finals"] if final["text"])
    assert text == await suite.house.get(f"/v1/calls/{call.call_id}?format=text")
    assert character_error(text, SAID) < WORST
    assert [sum_of(leg["ledger"]) for leg in kept["legs"]] == [
        leg["ledger"]["received"] for leg in kept["legs"]
    ]


def sum_of(ledger: Mapping[str, Any]) -> int:
    """Return the samples that a ledger accounts for."""
    return int(ledger["decoded"] + ledger["silence"] + sum(ledger["dropped"].values()))


@every_door
async def test_what_was_said_is_posted_to_the_webhook(
    suite: Suite, spoken: Mapping[str, PlacedCall], extension: str, note: Note
) -> None:
    note(extension, "webhook")
    call_id = spoken[extension].call_id
    *finals, end = await suite.house.receiver.told(call_id)
    assert {each["event"] for each in finals} == {"call.final"}
    assert end["reason"] == (await suite.house.ended(call_id)).reason
    assert " ".join(each["text"] for each in finals if each["text"]) == suite.house.text(call_id)


@every_door
async def test_what_was_said_is_in_the_log(
    suite: Suite, spoken: Mapping[str, PlacedCall], extension: str, note: Note
) -> None:
    note(extension, "log")
    call_id = spoken[extension].call_id
    (started,) = suite.house.journal(call_id, "call started")
    assert started["door"] == suite.house.door(call_id)
    lines = suite.house.journal(call_id, "final text")
    assert " ".join(line["text"] for line in lines if line["text"]) == suite.house.text(call_id)
    assert len(suite.house.journal(call_id, "call ended")) == 1


@pytest.mark.parametrize("extension", ["9021", "9022", "9023", "9041"])
async def test_what_was_said_is_in_the_dialplan(
    suite: Suite, spoken: Mapping[str, PlacedCall], extension: str, note: Note
) -> None:
    note(extension, "in dialplan")
    told = [line for line in spoken[extension].said if line.startswith("ruasr_tel")]
    text = told[0].partition(": ")[2].lstrip("0123456789 OKHANGUP")
    assert character_error(text, SAID) < WORST


@every_door
async def test_the_audio_is_the_prompts_own(
    suite: Suite, spoken: Mapping[str, PlacedCall], extension: str, note: Note
) -> None:
    note(extension, "audio")
    prompt = suite.asterisk.prompt(PROMPT)
    heard = suite.house.audio(spoken[extension].call_id)
    if "16" in DOORS[extension]:
        assert likeness(heard[::2], prompt) > 0.99  # resampled by Asterisk
    elif "law" in DOORS[extension]:
        encoding = Encoding.PCMU if "ulaw" in DOORS[extension] else Encoding.PCMA
        assert likeness(heard, Decoder(encoding).decode(encode(prompt, encoding))) > 0.999
    else:
        assert prompt.tobytes() in heard.tobytes()


def likeness(heard: Samples, prompt: Samples) -> float:
    """Return the best normalised correlation of a prompt with any part of what was heard."""
    x, y = heard.astype(float), prompt.astype(float)
    x = np.pad(x, (0, max(0, len(y) - len(x)) + 800))  # a resampler keeps the last milliseconds
    size = len(x) + len(y)
    product = np.fft.irfft(np.fft.rfft(x, size) * np.conj(np.fft.rfft(y, size)), size)
    energy = np.concatenate([[0.0], np.cumsum(x * x)])
    power = np.maximum(energy[len(y) :] - energy[: -len(y)], 1e3)
    return float((product[: len(power)] / np.sqrt(power) / np.linalg.norm(y)).max())


@pytest.mark.parametrize("extension", [each for each in DOORS if "EAGI" not in DOORS[each]])
async def test_keys_are_events(
    suite: Suite, pressed: Mapping[str, PlacedCall], extension: str, note: Note
) -> None:
    note(extension, "keys")
    call = pressed[extension]
    await accounted(suite, call)
    # SpeechBackground takes # for the end of the input
    keys = "12" if "AEAP" in DOORS[extension] else "12#"
    assert suite.house.digits(call.call_id) == keys
    text = await suite.house.get(f"/v1/calls/{call.call_id}?format=text")
    before, bracketed, after = text.partition(f"[{keys}]")
    assert bracketed
    if "AEAP" not in DOORS[extension]:  # a prompt before the keys, and one after them
        assert character_error(before, SAID) < WORST
        assert character_error(after, SAID) < WORST
    *told, end = await suite.house.receiver.told(call.call_id)
    assert "".join(each["digit"] for each in told if each["event"] == "call.key") == keys
    assert end["text"] == text


@every_door
async def test_a_hangup_in_mid_word_keeps_what_was_said(
    suite: Suite, hung_up: Mapping[str, PlacedCall], extension: str, note: Note
) -> None:
    note(extension, "hang-up")
    call = hung_up[extension]
    received = await accounted(suite, call)
    assert received < 2.4 * (16000 if "16" in DOORS[extension] else 8000) * 1.5
    assert suite.house.text(call.call_id)


NO_SERVER = {
    "FAILED",  # TRYSTATUS
    "CHANUNAVAIL 38",
    "CHANUNAVAIL 3",
    "CHANUNAVAIL 0",
    "refused or not there",
    "NOSERVER",
}


@every_door
async def test_a_server_that_dies_leaves_the_dialplan_and_the_history(
    suite: Suite,
    unserved: tuple[Mapping[str, PlacedCall], Mapping[str, PlacedCall]],
    extension: str,
    note: Note,
) -> None:
    note(extension, "died")
    call = unserved[0][extension]
    told = [line for line in call.said if ": " in line]
    assert told or "conversation" in DOORS[extension]  # which says nothing where it heard nothing
    kept = await suite.house.history(call.call_id)
    assert kept["call"]["reason"] == "killed"
    assert (await suite.house.receiver.told(call.call_id))[-1]["reason"] == "killed"


@every_door
async def test_without_a_server_the_dialplan_goes_on(
    unserved: tuple[Mapping[str, PlacedCall], Mapping[str, PlacedCall]],
    extension: str,
    note: Note,
) -> None:
    note(extension, "down")
    (told,) = [line for line in unserved[1][extension].said if ": " in line][-1:]
    assert told.partition(": ")[2].strip() in NO_SERVER


async def test_without_a_server_the_answer_is_empty(
    unserved: tuple[Mapping[str, PlacedCall], Mapping[str, PlacedCall]],
    record_property: Callable[[str, object], None],
) -> None:
    record_property("door", QUESTION)
    record_property("case", "down")
    assert unserved[1]["9002"].variables["TRYSTATUS"] == "FAILED"  # and it plays its "sorry"
    call = unserved[1]["9005"]
    assert call.variables["RUASR_TOLD"] == ""
    assert call.said[-1].endswith(": refused or not there")
    assert "TRYSTATUS" not in call.variables  # nobody is asked where nothing hands the call back


@every_door
async def test_a_server_that_was_restarted_is_called_again(
    suite: Suite, served_again: Mapping[str, PlacedCall], extension: str, note: Note
) -> None:
    note(extension, "restarted")
    call = served_again[extension]
    await accounted(suite, call)
    assert character_error(suite.house.text(call.call_id), SAID) < WORST


@pytest.mark.parametrize("extension", CROWDED)
async def test_thirty_calls_at_once(
    suite: Suite, endless: Mapping[str, PlacedCall], extension: str, note: Note
) -> None:
    note(extension, f"{CROWD} calls")
    assert endless  # that nobody hangs up may disturb nobody
    calls: Sequence[PlacedCall] = await suite.crowd(extension)
    assert len({call.call_id for call in calls}) == CROWD
    for call in calls:
        await accounted(suite, call)
        assert character_error(suite.house.text(call.call_id), SAID) < WORST


@pytest.mark.parametrize("extension", ENDLESS)
async def test_a_pbx_that_never_hangs_up_is_hung_up_on(
    suite: Suite, endless: Mapping[str, PlacedCall], extension: str, note: Note
) -> None:
    note(extension, "endless")
    call = endless[extension]
    await suite.ends([call])
    await accounted(suite, call)
    assert LONGEST_S <= (await suite.house.ended(call.call_id)).duration_s + 1 < LONGEST_S + 3
    (line,) = suite.house.journal(call.call_id, "a call ran too long")
    door = suite.house.door(call.call_id)
    assert line["door"] == door
    counted = await suite.house.counter("ruasr_bad_messages_total", door=door, kind="too long")
    assert counted >= 1
    assert [told for told in call.said if ": " in told]  # the dialplan went on


@every_door
async def test_an_asterisk_that_dies_leaves_no_call_behind(
    suite: Suite, cut_off: Mapping[str, PlacedCall], extension: str, note: Note
) -> None:
    note(extension, "PBX died")
    call = cut_off[extension]
    await accounted(suite, call)
    assert suite.house.text(call.call_id)


@every_door
async def test_the_next_asterisk_is_served(
    suite: Suite, called_again: Mapping[str, PlacedCall], extension: str, note: Note
) -> None:
    note(extension, "PBX back")
    call = called_again[extension]
    await accounted(suite, call)
    assert character_error(suite.house.text(call.call_id), SAID) < WORST
