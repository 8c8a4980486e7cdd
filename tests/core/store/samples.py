"""Events, orders and results for the tests of the store."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from pydantic import JsonValue

from ruasr_tel.events import (
    AnsweredBy,
    CallEnded,
    CallProgress,
    CallStarted,
    DialOutcome,
    Dtmf,
    Event,
    Final,
    Ledger,
    Partial,
    Progress,
    SpeechStarted,
    Word,
)
from ruasr_tel.recordings.model import Dialogue, Order, Segment, Side, Transcript, Turn
from ruasr_tel.types import CallId, LegId

START = datetime(2020, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
OUTCOME = DialOutcome(
    AnsweredBy.MACHINE, {Progress.RINGBACK: 2, Progress.MUSIC: 1}, "Здравствуйте", 3.0, 5.125, None
)
LEDGER = Ledger(8000, 80_000, 60_000, 19_000, {"idle": 1000})


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def started(call_id: str, second: float = 0.0, profile: str = "default") -> CallStarted:
    details: dict[str, JsonValue] = {"caller": "+79991234567", "лист": [1, None, {"a": "б"}]}
    return CallStarted(CallId(call_id), at(second), "vosk_ws", "10.0.0.5:5060", profile, details)


def final(call_id: str, channel: int, number: int, text: str, start_s: float) -> Final:
    words = tuple(
        Word(word, start_s + n, start_s + n + 0.5, 0.25 if n else None)
        for n, word in enumerate(text.split())
    )
    leg_id = LegId(f"{call_id}/{channel}")
    end_s = start_s + 2.125
    when = at(end_s)
    return Final(
        CallId(call_id), leg_id, when, number, text, words, start_s, end_s, "endpoint", 0.5
    )


def ended(call_id: str, second: float = 60.0, channels: Sequence[int] = (0, 1)) -> CallEnded:
    ledgers = {LegId(f"{call_id}/{channel}"): LEDGER for channel in channels}
    outcomes = {LegId(f"{call_id}/1"): OUTCOME} if 1 in channels else {}
    return CallEnded(CallId(call_id), at(second), "hangup", 59.5, 3, ledgers, outcomes)


def conversation(call_id: str) -> list[Event]:
    """A whole call: two legs that take turns, a key, a failed segment, and what is not kept."""
    near, far = LegId(f"{call_id}/0"), LegId(f"{call_id}/1")
    failed = Final(
        CallId(call_id), far, at(9), 1, "", (), 7.0, 8.5, "length", None, "the engine died", 0.75
    )
    return [
        started(call_id),
        SpeechStarted(CallId(call_id), near, at(0.5), 0.5),
        Partial(CallId(call_id), near, at(1), "добрый", 0.5, 1.0),
        final(call_id, 0, 0, "добрый день ёлка", 0.5),
        CallProgress(CallId(call_id), far, at(3), Progress.RINGBACK, 1.5, 2.5, {"hz": 425}),
        final(call_id, 1, 0, "Здравствуйте", 3.0),
        Dtmf(CallId(call_id), near, at(5), "5", 5.0),
        Dtmf(CallId(call_id), near, at(5.2), "5", 5.0),
        failed,
        final(call_id, 0, 1, "до свидания", 6.0),
        ended(call_id),
    ]


def order(**more: object) -> Order:
    return Order(url="https://pbx.example/Запись.wav", **more)  # type: ignore[arg-type]  # by name


def new_id() -> str:
    return str(uuid4())


def dialogue(text: str = "алло слушаю") -> Dialogue:
    words = tuple(Word(word, float(n), n + 0.5, 0.9) for n, word in enumerate(text.split()))
    return Dialogue(
        12.5,
        (Turn(0, 0.0, 1.5, text, words, overlaps=True), Turn(1, 2.0, 3.0, "да", crosstalk=True)),
        (Side(0, 1.5, 11.0, 0.25, 0, 1, 2), Side(1, 1.0, 11.5, 0.25, 1, 1, 1)),
        Transcript(12.5, 2, (Segment(0, 0.0, 1.5, text, words, 0.9, -20.5, None),), "cut short"),
    )
