"""AudioSocket sessions whose peer errs, is silent, or asks for more than there is."""

import pytest
from structlog.testing import capture_logs

from ruasr_tel.errors import Overloaded
from ruasr_tel_adapters.audiosocket.session import SILENCE_FRAME, Session
from tests.adapters.audiosocket.line import (
    CALL,
    DATA,
    HANGUP,
    PEER,
    UUID_MESSAGE,
    Line,
    audio,
    message,
)

# Bad input: the leg ends with what was recognised so far, one line, nothing else disturbed.


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("fault_audio_first", "kind 0x10 with 320 bytes"),
        ("fault_uuid_short", "kind 0x01 with 15 bytes"),
        ("fault_http", "kind 0x47 with 17748 bytes"),
    ],
)
async def test_no_uuid_first(name: str, what: str) -> None:
    with capture_logs() as logs:
        line = Line().connect()
        line.feed((DATA / f"{name}.bin").read_bytes())
        line.feed(UUID_MESSAGE)
        assert line.transport.writes == [HANGUP]
        assert line.transport.eof_written
        await line.peer_closes()
    assert line.calls.all == []
    assert line.counted("protocol") == 1
    assert logs == [
        {
            "event": "audiosocket protocol error",
            "log_level": "warning",
            "peer": PEER,
            "error": f"the first message is {what}, "
            "expected the call's UUID: kind 0x01 with 16 bytes",
        }
    ]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (message(3, b"55"), "a DTMF message (kind 0x03) of 2 bytes, expected 1"),
        (message(3, b""), "a DTMF message (kind 0x03) of 0 bytes, expected 1"),
        (UUID_MESSAGE, "a second UUID message, of 16 bytes"),
        (message(1, b"abc"), "a second UUID message, of 3 bytes"),
        (message(0x42, b"?") * 51, "51 messages of unknown kind in a row"),
    ],
)
async def test_garbage_in_a_running_call(data: bytes, error: str) -> None:
    line = Line().call_in()
    line.feed(audio())
    with capture_logs() as logs:
        line.feed(data + audio())
        assert line.transport.writes == [HANGUP]
        await line.peer_closes()
    assert [(entry["event"], entry["error"]) for entry in logs] == [
        ("audiosocket protocol error", error)
    ]
    assert logs[0]["call_id"] == CALL
    assert line.counted("protocol") == 1
    assert line.call.ended == ["protocol error"]
    assert len(line.call.leg.pushed) == 1


async def test_unknown_kinds_are_skipped_counted_and_logged_once_at_the_end() -> None:
    line = Line().call_in()
    with capture_logs() as logs:
        for _ in range(60):
            line.feed(message(0x42, b"hello") + message(3, b"!") + audio())
        await line.peer_closes()
    assert len(line.call.leg.pushed) == 60
    assert line.call.ended == ["eof"]
    assert line.counted("skipped") == 120
    assert logs == [
        {
            "event": "audiosocket skipped messages",
            "log_level": "warning",
            "peer": PEER,
            "call_id": CALL,
            "kinds": {"0x42": 60, "0x03": 60},
        }
    ]


async def test_silence_messages_of_the_go_library_and_errors_are_no_garbage() -> None:
    line = Line().call_in()
    line.feed(message(2, b"") * 100 + message(0xFF, b"\x02") * 100 + audio())
    assert len(line.call.leg.pushed) == 1
    with capture_logs() as logs:
        await line.peer_closes()
    assert [entry["kinds"] for entry in logs] == [{"0x02": 100, "0xff": 100}]


async def test_a_connection_that_says_nothing_is_closed_in_time() -> None:
    with capture_logs() as logs:
        line = Line(first_message_timeout_s=5.0).connect()
        line.feed(UUID_MESSAGE[:10])
        line.tick(4.9)
        assert line.transport.writes == []
        line.tick(0.1)
        await line.peer_closes()
    assert line.transport.writes == [HANGUP]
    assert [(entry["event"], entry["waited_s"]) for entry in logs] == [
        ("audiosocket sent no UUID", 5.0)
    ]
    assert line.counted("no UUID") == 1


@pytest.mark.parametrize("sent", [b"", UUID_MESSAGE[:2], UUID_MESSAGE[:18]])
async def test_a_close_before_the_uuid_is_one_line_with_a_hint(sent: bytes) -> None:
    with capture_logs() as logs:
        line = Line().connect()
        line.feed(sent)
        await line.peer_closes()
    assert logs == [
        {
            "event": "audiosocket closed before its UUID",
            "log_level": "info",
            "peer": PEER,
            "pending_bytes": len(sent),
            "hint": "Answer() must come before AudioSocket()",
        }
    ]
    assert line.calls.all == []


async def test_a_call_that_sends_nothing_for_too_long_ends() -> None:
    line = Line(idle_timeout_s=60.0, send_silence=False).call_in()
    line.tick(59)
    line.feed(audio())
    line.tick(59)
    assert line.transport.writes == []
    with capture_logs() as logs:
        line.tick(1)
    assert line.transport.writes == [HANGUP]
    assert [(entry["event"], entry["waited_s"]) for entry in logs] == [
        ("audiosocket sent nothing", 60.0)
    ]
    assert line.counted("idle") == 1
    await line.peer_closes()
    assert line.call.ended == ["idle"]


# Limits.


async def test_an_overloaded_server_refuses_politely_with_one_line() -> None:
    line = Line()
    line.calls.refusal = Overloaded("30 calls are running, the limit is 30")
    with capture_logs() as logs:
        line.call_in()
        line.feed(audio())
        await line.peer_closes()
    assert line.transport.writes == [HANGUP]
    assert line.transport.eof_written
    assert logs == [
        {
            "event": "audiosocket refused",
            "log_level": "warning",
            "peer": PEER,
            "call_id": CALL,
            "error": "30 calls are running, the limit is 30",
        }
    ]


async def test_more_connections_than_allowed_are_refused() -> None:
    sessions = set[Session]()
    first = Line(sessions=sessions, max_connections=1).call_in()
    with capture_logs() as logs:
        second = Line(sessions=sessions, max_connections=1).call_in()
    assert second.transport.writes == [HANGUP]
    assert second.calls.all == []
    assert [entry["error"] for entry in logs] == ["1 connections are open"]
    await second.peer_closes()
    first.tick()
    assert first.transport.writes == [SILENCE_FRAME]
    await first.peer_closes()


async def test_audio_over_the_backlog_is_dropped_by_the_ledger_and_said_once() -> None:
    line = Line(max_backlog_s=60.0).call_in()
    line.feed(audio())
    with capture_logs() as logs:
        line.call.leg.backlog_s = 60.1
        line.feed(audio() + audio(20))
        line.call.leg.backlog_s = 60.0
        line.feed(audio())
        line.call.leg.backlog_s = 61.0
        line.feed(audio(188))
    assert line.call.leg.dropped == [(160, "backlog"), (10, "backlog"), (94, "backlog")]
    assert len(line.call.leg.pushed) == 2
    assert [(entry["event"], entry["backlog_s"]) for entry in logs] == [
        ("audiosocket drops audio", 60.1)
    ]
    await line.peer_closes()


# Silence.


async def test_silence_is_one_whole_write_per_tick_from_the_uuid_on() -> None:
    line = Line().connect()
    line.tick()
    assert line.transport.writes == []
    line.feed(UUID_MESSAGE)
    line.tick()
    line.tick()
    assert line.transport.writes == [b"\x10\x01\x40" + bytes(320)] * 2
    await line.peer_closes()
    line.tick()
    assert len(line.transport.writes) == 2


async def test_silence_pauses_for_a_peer_that_does_not_read() -> None:
    line = Line().call_in()
    line.session.pause_writing()
    line.tick()
    assert line.transport.writes == []
    line.session.resume_writing()
    line.tick()
    assert line.transport.writes == [SILENCE_FRAME]
    await line.peer_closes()


async def test_silence_can_be_switched_off() -> None:
    line = Line(send_silence=False).call_in()
    line.tick()
    assert line.transport.writes == []
    await line.peer_closes()


# Mu-law under the slin label.


async def test_mu_law_labelled_slin_is_logged_once_with_the_cure() -> None:
    recorded = (DATA / "chan_ulaw_labelled_slin.bin").read_bytes()
    frames = [recorded[at : at + 163] for at in range(19, len(recorded), 163)]
    with capture_logs() as logs:
        line = Line().call_in()
        for frame in frames * 2:
            line.feed(frame)
            line.now_s += 0.02
        await line.peer_closes()
    (entry,) = logs
    assert entry["event"] == "audiosocket audio is not what its kind says"
    assert "G.711" in entry["cure"]
    assert "Dial(AudioSocket/host:port/uuid/c(slin))" in entry["cure"]
    assert sum(len(samples) for samples in line.call.leg.pushed) == 100 * 80
