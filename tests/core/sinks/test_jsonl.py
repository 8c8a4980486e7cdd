import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from ruasr_tel.events import (
    CallEnded,
    CallProgress,
    CallStarted,
    Final,
    Ledger,
    Partial,
    Progress,
    Word,
)
from ruasr_tel.sinks.jsonl import JsonlSink, to_json
from ruasr_tel.types import CallId, LegId

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
CALL, LEG = CallId("c"), LegId("c/0")
STARTED = CallStarted(CALL, AT, "vosk_ws", "192.0.2.1:5060", "default")
UNSURE = Final(
    CALL,
    LEG,
    AT,
    segment=0,
    text="да",
    words=(Word("да", 0.25, 0.5, None),),
    start_s=0.1,
    end_s=1.0,
    reason="endpoint",
)
ENDED = CallEnded(
    CALL,
    AT,
    "eof",
    2.5,
    finals=1,
    ledgers={LEG: Ledger(8000, 1000, 600, 300, {"late": 90}, {"lost": 40})},
)


def test_every_line_parses_and_names_its_event(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "events.jsonl"
    sink = JsonlSink(path)
    sink.write([STARTED, UNSURE])
    written = path.read_text("utf-8")
    assert written.endswith("\n")  # flushed before the close: others follow the file
    sink.write([ENDED])
    sink.close()
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [line["event"] for line in lines] == ["CallStarted", "Final", "CallEnded"]
    assert lines == [json.loads(json.dumps(to_json(event))) for event in (STARTED, UNSURE, ENDED)]


def test_a_text_that_is_no_utf_8_spoils_no_other_event(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    sink = JsonlSink(path)
    sink.write([UNSURE, replace(UNSURE, text="Ж\ud800")])
    sink.close()
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [line["text"] for line in lines] == ["да", "Ж\ud800"]


def test_a_file_is_appended_to(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    for _ in range(2):
        sink = JsonlSink(path)
        sink.write([STARTED])
        sink.close()
    assert len(path.read_text().splitlines()) == 2


def test_an_unknown_confidence_is_null_and_text_is_readable() -> None:
    line = json.dumps(to_json(UNSURE), ensure_ascii=False)
    assert '"confidence": null' in line
    body = json.loads(line)
    assert body["confidence"] is None
    assert body["words"] == [{"text": "да", "start_s": 0.25, "end_s": 0.5, "confidence": None}]
    assert "да" in line


def test_the_wall_clock_is_utc_to_the_millisecond() -> None:
    assert to_json(STARTED)["at"] == "2026-01-02T03:04:05.678+00:00"


def test_the_end_of_a_call_tells_where_its_audio_went() -> None:
    assert to_json(ENDED)["ledgers"] == {
        "c/0": {
            "sample_rate_hz": 8000,
            "received": 1000,
            "decoded": 600,
            "silence": 300,
            "dropped": {"late": 90},
            "concealed": {"lost": 40},
            "difference": 10,
        }
    }


def test_a_partial_is_told_with_its_stretch() -> None:
    assert to_json(Partial(CALL, LEG, AT, "да", 0.5, 1.5)) == {
        "event": "Partial",
        "call_id": "c",
        "leg_id": "c/0",
        "at": "2026-01-02T03:04:05.678+00:00",
        "text": "да",
        "start_s": 0.5,
        "end_s": 1.5,
    }


def test_call_progress_is_a_line_with_its_kind_and_detail() -> None:
    event = CallProgress(CALL, LEG, AT, Progress.BEEP, 1.5, 1.75, {"hz": 1000})
    assert json.loads(json.dumps(to_json(event))) == {
        "event": "CallProgress",
        "call_id": "c",
        "leg_id": "c/0",
        "at": "2026-01-02T03:04:05.678+00:00",
        "kind": "beep",
        "start_s": 1.5,
        "end_s": 1.75,
        "detail": {"hz": 1000},
    }
