"""What a dialled network plays before and after the answer, through a real Asterisk."""

from collections.abc import Callable, Mapping

import numpy as np
import pytest
import pytest_asyncio

from ruasr_tel.events import AnsweredBy, CallProgress, DialOutcome, Progress
from tests.asterisk.chroot import PROMPTS
from tests.asterisk.pbx import PlacedCall
from tests.asterisk.waves import Suite
from tests.core.progress.sounds import melody

pytestmark = pytest.mark.asyncio(loop_scope="session")  # that of the suite

VOICE = PROMPTS.name
GREETING = f"{VOICE}/vm-intro&{VOICE}/beep"
NETWORKS: dict[str, dict[str, str]] = {
    "busy": {"TONES": "busy", "TAIL": "3"},
    "congestion": {"TONES": "congestion", "TAIL": "3"},
    "information": {"TONES": "info", "TAIL": "4"},
    "message": {"TONES": "ring", "TAIL": "2.5", "SAY": f"{VOICE}/vm-intro"},
    "machine": {"TONES": "ring", "TAIL": "7.5", "GREETING": GREETING},
    "person": {"TONES": "ring", "TAIL": "2.5", "GREETING": f"{VOICE}/agent-loggedoff"},
}
DOORS = ("audiosocket", "websocket")

Placed = Mapping[tuple[str, str], PlacedCall]
Note = Callable[[str], None]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def dialled(suite: Suite) -> Placed:
    """One call of each kind through each door, all at once, connected before the answer."""
    await suite.house.close()  # that of other modules ends long calls
    await suite.house.open()
    tune = (melody(1, seconds=8, level_db=-9) * 32767).astype(np.int16)
    networks = NETWORKS | {"music": {"TAIL": "0.5", "SAY": suite.asterisk.recorded("tune", tune)}}
    calls = {
        (door, name): suite.asterisk.dial(door, network, RULE="outbound")
        for door in DOORS
        for name, network in networks.items()
    }
    await suite.ends(list(calls.values()))
    await suite.idle()
    return calls


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def note(record_property: Callable[[str, object], None], door: str) -> Note:
    """Return what puts a test into its place of the table."""

    def place(case: str) -> None:
        record_property("door", f"{door}, dialled")
        record_property("case", case)

    return place


async def heard(suite: Suite, call: PlacedCall) -> tuple[list[Progress], DialOutcome]:
    """Return what was told of a call in order, and its outcome, everywhere the same."""
    ended = await suite.house.ended(call.call_id)
    (outcome,) = ended.outcomes.values()
    events = [e for e in suite.house.events[call.call_id] if isinstance(e, CallProgress)]
    kept = await suite.house.history(call.call_id)
    kinds = [event.kind for event in events]
    assert [each["kind"] for each in kept["progress"]] == kinds
    assert kept["legs"][0]["outcome"]["answered_by"] == outcome.answered_by
    return kinds, outcome


@pytest.mark.parametrize(
    ("network", "kind"),
    [
        ("busy", Progress.BUSY),
        ("congestion", Progress.CONGESTION),
        ("information", Progress.SIT),
    ],
)
async def test_a_tone_says_that_nobody_answered(
    suite: Suite, dialled: Placed, door: str, network: str, kind: Progress, note: Note
) -> None:
    note(network)
    kinds, outcome = await heard(suite, dialled[door, network])
    assert kinds == [kind]
    assert outcome == DialOutcome(AnsweredBy.NETWORK, {kind: 1}, None, None, None, None)


async def test_a_message_before_the_answer_is_told(
    suite: Suite, dialled: Placed, door: str, note: Note
) -> None:
    note("message")
    kinds, outcome = await heard(suite, dialled[door, "message"])
    assert kinds == [Progress.RINGBACK, Progress.VOICEMAIL]
    assert outcome.answered_by is AnsweredBy.MACHINE
    assert outcome.before == {Progress.RINGBACK: 1}


async def test_rings_a_greeting_and_a_beep_are_a_machine(
    suite: Suite, dialled: Placed, door: str, note: Note
) -> None:
    note("machine")
    kinds, outcome = await heard(suite, dialled[door, "machine"])
    assert kinds[:2] == [Progress.RINGBACK] * 2
    assert sorted(kinds[2:]) == [Progress.BEEP, Progress.VOICEMAIL]
    assert outcome.answered_by is AnsweredBy.MACHINE
    assert outcome.before == {Progress.RINGBACK: 2}
    assert outcome.beep_s is not None
    assert outcome.first_start_s is not None
    assert 8.0 < outcome.first_start_s < outcome.beep_s


async def test_rings_and_a_voice_are_a_person(
    suite: Suite, dialled: Placed, door: str, note: Note
) -> None:
    note("person")
    kinds, outcome = await heard(suite, dialled[door, "person"])
    assert kinds == [Progress.RINGBACK]
    assert outcome.answered_by is AnsweredBy.PERSON
    assert outcome.before == {Progress.RINGBACK: 1}
    assert outcome.first_text


async def test_music_in_the_place_of_rings_is_music(
    suite: Suite, dialled: Placed, door: str, note: Note
) -> None:
    note("music")
    kinds, _ = await heard(suite, dialled[door, "music"])
    assert Progress.MUSIC in kinds
    assert Progress.RINGBACK not in kinds
