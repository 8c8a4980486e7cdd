from dataclasses import replace
from datetime import UTC, datetime
from typing import get_args

import pytest
from structlog.testing import capture_logs

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
from ruasr_tel.sinks.log import LogSink
from ruasr_tel.types import CallId, LegId

SECRET = "тайна"
DIGIT = "7"
AT = datetime(2026, 1, 2, tzinfo=UTC)
CALL, LEG = CallId("c"), LegId("c/0")
FINAL = Final(
    CALL,
    LEG,
    AT,
    segment=3,
    text=f"{SECRET} {SECRET}",
    words=(Word(SECRET, 0.25, 0.5, 0.5),),
    start_s=0.1,
    end_s=1.0,
    reason="endpoint",
)
EVENTS: list[Event] = [
    CallStarted(CALL, AT, "vosk_ws", "192.0.2.1:40001", "default"),
    SpeechStarted(CALL, LEG, AT, 0.1),
    Partial(CALL, LEG, AT, SECRET, 0.1, 0.9),
    FINAL,
    replace(FINAL, text="", words=(), error="the engine did not come back within 60 s"),
    Dtmf(CALL, LEG, AT, DIGIT, 1.5),
    CallProgress(CALL, LEG, AT, Progress.BUSY, 0.5, 1.5, {"phrase": SECRET}),
    CallEnded(CALL, AT, "eof", 2.5, 2, {LEG: Ledger(8000, 1000, 600, 300, {"not decoded": 100})}),
]


def test_every_kind_of_event_is_here() -> None:
    assert {type(event) for event in EVENTS} == set(get_args(Event))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_what_was_said_or_dialled_is_in_no_line_above_debug(event: Event) -> None:
    with capture_logs() as logs:
        LogSink().write([event])
    assert all(line["call_id"] == "c" for line in logs)
    above = [line for line in logs if line["log_level"] != "debug"]
    assert SECRET not in str(above)
    assert not any(value == DIGIT for line in above for value in line.values())


def test_at_debug_the_text_is_there() -> None:
    with capture_logs() as logs:
        LogSink().write(EVENTS)
    texts = [line["text"] for line in logs if "text" in line]
    assert texts == [SECRET, f"{SECRET} {SECRET}", ""]
    assert [line["digit"] for line in logs if "digit" in line] == [DIGIT]


def test_a_final_is_told_by_its_size_and_a_failed_one_by_its_reason() -> None:
    with capture_logs() as logs:
        LogSink().write(EVENTS[3:5])
    warned, *_ = [line for line in logs if line["log_level"] == "warning"]
    assert warned["error"] == "the engine did not come back within 60 s"
    told = [line for line in logs if line["event"] == "final"]
    assert [(line["segment"], line["words"], line["reason"]) for line in told] == [
        (3, 2, "endpoint"),
        (3, 0, "endpoint"),
    ]


def test_what_became_of_a_dialled_call_is_logged_without_its_words() -> None:
    outcome = DialOutcome(AnsweredBy.MACHINE, {Progress.RINGBACK: 2}, "дом", 5.0, 8.0, 9.5)
    with capture_logs() as logs:
        LogSink().write([CallEnded(CALL, AT, "eof", 9.0, 1, {}, {LEG: outcome})])
    assert logs[0] == {
        "event": "call progress summed up",
        "log_level": "info",
        "call_id": "c",
        "leg_id": "c/0",
        "answered_by": "machine",
        "before": {"ringback": 2},
        "beep_s": 9.5,
    }


def test_the_end_of_a_call_accounts_for_each_leg() -> None:
    sink = LogSink()
    with capture_logs() as logs:
        sink.write(EVENTS[-1:])
    sink.close()
    leg, call = logs
    assert leg == {
        "event": "leg accounted for",
        "log_level": "info",
        "call_id": "c",
        "leg_id": "c/0",
        "received": 1000,
        "decoded": 600,
        "silence": 300,
        "dropped": {"not decoded": 100},
        "concealed": {},
        "difference": 0,
    }
    assert (call["event"], call["reason"], call["duration_s"], call["finals"]) == (
        "call ended",
        "eof",
        2.5,
        2,
    )
