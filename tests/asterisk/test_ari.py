"""Both sides of a call that a real Asterisk bridges by itself, by the example as it is shipped."""

from collections.abc import AsyncIterator, Callable, Mapping

import numpy as np
import pytest
import pytest_asyncio

from ruasr_tel.events import CallEnded, Final
from ruasr_tel.types import Samples
from tests.asterisk.ari_calls import (
    CALLEE_PROMPT,
    CROWD,
    ENCAPSULATIONS,
    AriCalls,
    Killed,
    Spoken,
)
from tests.asterisk.ari_strangers import STRANGERS
from tests.asterisk.pbx import PlacedCall
from tests.asterisk.waves import PROMPT, Suite
from tests.e2e.letters import character_error, transcripts

pytestmark = pytest.mark.asyncio(loop_scope="session")  # that of the suite

SAID = {"0": transcripts()[f"{PROMPT}.wav"], "1": transcripts()[f"{CALLEE_PROMPT}.wav"]}
"""What the caller and the callee say, by their legs' numbers."""

WORST = 0.25
"""Letters that may be wrong; the embedded model has none wrong in either prompt."""

FRAME = 160
"""Samples of 20 ms."""

LATE = 0.05
"""Frames that may be missing: a snoop puts silence where its channel is late (docs/adr/0022)."""

Note = Callable[[str], None]


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=ENCAPSULATIONS)
async def calls(
    suite: Suite, request: pytest.FixtureRequest
) -> AsyncIterator[tuple[str, AriCalls]]:
    calls = AriCalls(suite)
    await calls.open(request.param)
    yield request.param, calls
    calls.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def spoken(calls: tuple[str, AriCalls]) -> Spoken:
    encapsulation, at = calls

    async def wave() -> Spoken:
        await at.connected()
        return await at.spoken(encapsulation)

    return await at.suite.again_if_it_hangs(encapsulation, wave)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def killed(calls: tuple[str, AriCalls], spoken: Spoken) -> Killed:
    return await calls[1].killed()


@pytest.fixture
def note(calls: tuple[str, AriCalls], record_property: Callable[[str, object], None]) -> Note:
    """Return what puts a test into its place of the table."""

    def place(case: str) -> None:
        record_property("door", f"9101 ARI {calls[0]}")
        record_property("case", case)

    return place


def accounted(ended: CallEnded, *, both: bool = True) -> None:
    """Every sample of both legs is explained, and none is lost."""
    ledgers = ended.ledgers.values()
    assert len(ledgers) == 2
    assert [ledger.difference for ledger in ledgers] == [0, 0]
    for ledger in ledgers:
        assert set(ledger.dropped) <= {"not sent"}, ledger
        assert set(ledger.concealed) <= {"not sent"}, ledger
        assert ledger.received > 0 or not both


def complete(texts: Mapping[str, str]) -> None:
    assert set(texts) == set(SAID), texts
    for leg, text in texts.items():
        assert character_error(text, SAID[leg]) < WORST, texts


async def test_both_sides_are_one_dialogue_in_order(
    calls: tuple[str, AriCalls], spoken: Spoken, note: Note
) -> None:
    note("text")
    at = calls[1]
    complete(await at.said(spoken.whole))
    call_id = await at.heard(spoken.whole)
    finals = [e for e in at.suite.house.events[call_id] if isinstance(e, Final) and e.text]
    sides = [final.leg_id.rpartition("/")[2] for final in finals]
    assert sides == sorted(sides)
    starts = [final.start_s for final in finals]
    assert starts == sorted(starts)
    accounted(await at.ended(spoken.whole))


async def test_what_both_said_is_in_the_dialplan(
    calls: tuple[str, AriCalls], spoken: Spoken, note: Note
) -> None:
    note("in dialplan")
    (line,) = (said for said in spoken.whole.said if said.startswith("caller: "))
    caller, _, callee = line.removeprefix("caller: ").partition(" / callee: ")
    texts = await calls[1].said(spoken.whole)
    assert texts["0"].endswith(caller)
    assert texts["1"].endswith(callee)
    assert caller
    assert callee


@pytest.mark.parametrize(("leg", "prompt"), [("0", PROMPT), ("1", CALLEE_PROMPT)])
async def test_the_audio_is_the_prompts_own(
    calls: tuple[str, AriCalls], spoken: Spoken, note: Note, leg: str, prompt: str
) -> None:
    note("audio")
    at = calls[1]
    heard = at.suite.house.leg_audio(f"{await at.heard(spoken.whole)}/{leg}")
    assert not_heard(heard, at.suite.asterisk.prompt(prompt)) <= LATE


def not_heard(heard: Samples, prompt: Samples) -> float:
    """Return the share of a prompt's frames that are not in the audio, bit for bit and in order."""
    stream, at, missing = heard.tobytes(), 0, 0
    frames = [prompt[start : start + FRAME] for start in range(0, len(prompt) - FRAME, FRAME)]
    loud = [frame.tobytes() for frame in frames if np.abs(frame.astype(int)).max() > 100]
    for frame in loud:
        found = stream.find(frame, at)
        missing += found < 0
        at = at if found < 0 else found + len(frame)
    return missing / len(loud)


async def test_a_key_pressed_while_the_caller_speaks_is_an_event(
    calls: tuple[str, AriCalls], spoken: Spoken, note: Note
) -> None:
    note("keys")
    at = calls[1]
    assert at.suite.house.digits(await at.heard(spoken.keys)) == "5"
    assert (await at.said(spoken.keys)).keys() == SAID.keys()
    accounted(await at.ended(spoken.keys))


async def test_a_hangup_in_mid_word_keeps_what_was_said(
    calls: tuple[str, AriCalls], spoken: Spoken, note: Note
) -> None:
    note("hang-up")
    at = calls[1]
    ended = await at.ended(spoken.cut)
    assert ended.reason == "hangup"
    assert ended.duration_s < 5
    assert (await at.said(spoken.cut))["0"]
    accounted(ended)


async def test_a_stranger_is_not_heard_but_counted_and_said(
    calls: tuple[str, AriCalls], spoken: Spoken, note: Note
) -> None:
    encapsulation, at = calls
    if encapsulation not in STRANGERS:
        pytest.skip("the server listens nowhere: nobody can knock")
    note("stranger")
    _, kind = STRANGERS[encapsulation]
    house = at.suite.house
    assert await house.counter("ruasr_bad_messages_total", door="ari", kind=kind) > 0
    (line,) = house.journal(await at.heard(spoken.whole), "bad message")  # once, whatever came
    assert line["kind"] == kind
    complete(await at.said(spoken.whole))


async def test_after_the_calls_nothing_of_ours_is_left(
    calls: tuple[str, AriCalls], spoken: Spoken, note: Note
) -> None:
    note("nothing left")
    await calls[1].clean()


async def test_without_a_server_the_call_goes_on(
    calls: tuple[str, AriCalls], killed: Killed, note: Note
) -> None:
    note("down")
    assert killed.meanwhile.variables["STASISSTATUS"] == "FAILED"
    assert killed.meanwhile.variables["DIALSTATUS"] == "ANSWER"


async def test_a_killed_server_clears_up_after_itself_and_serves_again(
    calls: tuple[str, AriCalls], killed: Killed, note: Note
) -> None:
    note("restarted")
    at = calls[1]
    assert killed.left
    await at.clean()
    again = at.place()
    await at.end([killed.during, again])
    went_on = any(line.startswith("caller: ") for line in killed.during.said)
    assert went_on, (killed.during, at.suite.asterisk.log()[-4000:], at.suite.house.log[-30:])
    complete(await at.said(again))
    accounted(await at.ended(again))


async def test_thirty_calls_at_once(calls: tuple[str, AriCalls], note: Note) -> None:
    note(f"{CROWD} calls")
    at = calls[1]

    async def wave() -> list[PlacedCall]:
        await at.connected()
        return await at.crowd()

    crowd = await at.suite.again_if_it_hangs(f"{CROWD} calls, {calls[0]}", wave)
    assert len({await at.heard(call) for call in crowd}) == CROWD
    heard: dict[str, list[str]] = {leg: [] for leg in SAID}
    for call in crowd:
        accounted(await at.ended(call))
        for leg, text in (await at.said(call)).items():
            heard[leg].append(text)
    for leg, texts in heard.items():  # a snoop that is late puts silence into a word or two
        assert len(texts) == CROWD
        assert character_error(" ".join(texts), " ".join([SAID[leg]] * CROWD)) < WORST, texts
    await at.clean()


async def test_an_asterisk_that_dies_and_comes_back_has_nothing_of_ours(
    calls: tuple[str, AriCalls], note: Note
) -> None:
    note("PBX died")
    at = calls[1]
    call = await at.pbx_killed()
    ended = await at.ended(call)
    assert ended.reason in ("pbx restarted", "hangup")
    assert (await at.said(call))["0"]
    accounted(ended)
    assert await at.ours() == []


async def test_the_next_asterisk_is_served(calls: tuple[str, AriCalls], note: Note) -> None:
    note("PBX back")
    at = calls[1]
    call = at.place()
    await at.end([call])
    complete(await at.said(call))
    accounted(await at.ended(call))
    await at.clean()
