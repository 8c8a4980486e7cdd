from datetime import UTC, datetime

import pytest
from pydantic import JsonValue

from ruasr_tel.events import AnsweredBy, CallProgress, DialOutcome, Final, Progress
from ruasr_tel.progress.outcome import GREETING_S, OutcomeKeeper
from ruasr_tel.types import CallId, LegId

CALL, LEG = CallId("c"), LegId("c/0")
AT = datetime(2026, 1, 2, tzinfo=UTC)


def told(kind: Progress, start_s: float, phrase: str | None = None) -> CallProgress:
    detail: dict[str, JsonValue] = {"hz": 425} if phrase is None else {"phrase": phrase}
    return CallProgress(CALL, LEG, AT, kind, start_s, start_s + 0.5, detail)


def said(text: str, start_s: float) -> Final:
    return Final(CALL, LEG, AT, 0, text, (), start_s, start_s + 2, "endpoint")


def heard(*events: CallProgress | Final) -> DialOutcome:
    keeper = OutcomeKeeper()
    for event in events:
        if isinstance(event, CallProgress):
            keeper.take(event)
        else:
            keeper.read(event, [])
    return keeper.outcome()


RING = told(Progress.RINGBACK, 0.5)
HELLO = said("алло", 6.0)
TWICE = {Progress.RINGBACK: 2}


def test_nothing_heard_is_nobody() -> None:
    assert heard() == DialOutcome(AnsweredBy.NOBODY, {}, None, None, None, None)


def test_rings_and_a_voice_are_a_person() -> None:
    outcome = heard(RING, told(Progress.RINGBACK, 5.5), HELLO, said("да", 9.0))
    assert outcome == DialOutcome(AnsweredBy.PERSON, TWICE, "алло", 6.0, 8.0, None)


def test_a_greeting_and_a_beep_are_a_machine() -> None:
    outcome = heard(RING, HELLO, told(Progress.BEEP, 9.0))
    assert outcome == DialOutcome(
        AnsweredBy.MACHINE, {Progress.RINGBACK: 1}, "алло", 6.0, 8.0, beep_s=9.5
    )


@pytest.mark.parametrize("kind", [Progress.BUSY, Progress.CONGESTION, Progress.SIT])
def test_a_tone_of_the_network_counts_until_somebody_speaks(kind: Progress) -> None:
    assert heard(told(kind, 1.0)).answered_by is AnsweredBy.NETWORK
    hung_up = heard(RING, HELLO, told(kind, 20.0))
    assert hung_up.answered_by is AnsweredBy.PERSON
    assert hung_up.before == {Progress.RINGBACK: 1}


def test_a_message_of_the_network_is_no_answer() -> None:
    keeper = OutcomeKeeper()
    keeper.read(said("абонент недоступен", 2.0), [Progress.UNAVAILABLE])
    keeper.take(told(Progress.UNAVAILABLE, 2.0, "абонент недоступен"))
    assert keeper.outcome() == DialOutcome(
        AnsweredBy.NETWORK, {Progress.UNAVAILABLE: 1}, None, None, None, None
    )
    keeper.read(said("перезвоните позже", 5.0), [])  # the rest of the message
    assert keeper.outcome().answered_by is AnsweredBy.NETWORK


def test_a_message_of_the_network_after_unknown_words_still_counts() -> None:
    message = told(Progress.SWITCHED_OFF, 8.0, "аппарат абонента выключен")
    assert heard(said("здравствуйте", 6.0), message).answered_by is AnsweredBy.NETWORK


@pytest.mark.parametrize(
    ("kind", "who"),
    [
        (Progress.VOICEMAIL, AnsweredBy.MACHINE),
        (Progress.QUEUE, AnsweredBy.MACHINE),
        (Progress.FAX_ANSWERING, AnsweredBy.FAX),
        (Progress.FAX_CALLING, AnsweredBy.FAX),
        (Progress.MUSIC, AnsweredBy.PERSON),
    ],
)
def test_what_is_heard_within_the_greeting_says_who_answered(
    kind: Progress, who: AnsweredBy
) -> None:
    phrase = "…" if kind in (Progress.VOICEMAIL, Progress.QUEUE) else None
    assert heard(HELLO, told(kind, 8.0, phrase)).answered_by is who
    late = told(kind, HELLO.start_s + GREETING_S + 1, phrase)
    assert heard(HELLO, late).answered_by is AnsweredBy.PERSON
