"""AudioSocket sessions from the first byte to the last."""

import asyncio
import socket

from structlog.testing import capture_logs

from ruasr_tel.testing import TIMEOUT_S
from ruasr_tel_adapters.audiosocket.session import Session
from tests.adapters.audiosocket.fakes import FakeCalls, FakeTransport
from tests.adapters.audiosocket.line import CALL, DATA, HANGUP, PEER, Line, audio, message

# A call from its first byte to its last.


async def test_a_recorded_call_arrives_whole() -> None:
    line = Line().connect()
    line.feed((DATA / "app_call.bin").read_bytes())
    await line.peer_closes()
    assert line.call.call_id == CALL
    assert line.call.opened_with == {"door": "audiosocket", "peer": PEER, "door_profile": None}
    leg = line.call.leg
    assert leg.sample_rate_hz == 8000
    assert [len(samples) for samples in leg.pushed] == [160, 160, 94, 160, 10, 160, 58]
    assert leg.audio[:4] == [0, 1, 2, 3]
    assert line.call.digits == [(leg, "5")]
    assert line.call.ended == ["eof"]
    assert line.transport.aborted
    assert line.sessions == set()


async def test_one_byte_at_a_time_is_the_same_call() -> None:
    line = Line().connect()
    for byte in (DATA / "app_call.bin").read_bytes():
        line.feed(bytes([byte]))
    await line.peer_closes()
    assert sum(len(samples) for samples in line.call.leg.pushed) == 802
    assert [digit for _, digit in line.call.digits] == ["5"]


async def test_a_normal_call_writes_no_log_line() -> None:
    with capture_logs() as logs:
        line = Line().call_in()
        line.feed(audio() * 3)
        line.tick()
        await line.peer_closes()
    assert logs == []


async def test_an_odd_byte_is_carried_to_the_next_message() -> None:
    line = Line().call_in()
    line.feed(message(0x10, b"\x01\x00\x02") + message(0x10, b"\x00\x03\x00"))
    assert line.call.leg.audio == [1, 2, 3]
    await line.peer_closes()


async def test_frames_are_the_same_audio_however_they_come() -> None:
    frames = [message(0x10, bytes([number]) * 320) for number in range(9)]
    whole, cut, joined = (Line().call_in() for _ in range(3))
    for frame in frames:
        whole.feed(frame)
        cut.feed(frame[:7])
        cut.feed(frame[7:])
    joined.feed(b"".join(frames))
    assert [len(samples) for samples in whole.call.leg.pushed] == [160] * 9
    assert whole.call.leg.audio == cut.call.leg.audio == joined.call.leg.audio
    for line in (whole, cut, joined):
        await line.peer_closes()


async def test_the_rest_of_a_message_may_look_like_a_whole_frame() -> None:
    line = Line().call_in()
    line.feed(audio())
    around = message(0x10, audio())  # 323 bytes of audio that begin like a header
    line.feed(around[:3])
    line.feed(around[3:])
    assert [len(samples) for samples in line.call.leg.pushed] == [160, 161]
    await line.peer_closes()


async def test_odd_frames_of_one_size_carry_their_bytes() -> None:
    line = Line().call_in()
    line.feed(audio())
    for payload in (b"\x01\x00\x02", b"\x00\x03\x00", b"\x04\x00\x05"):
        line.feed(message(0x10, payload))
    assert line.call.leg.audio[160:] == [1, 2, 3, 4]
    await line.peer_closes()


async def test_a_frame_between_unknown_messages_makes_them_harmless() -> None:
    line = Line(max_unknown_messages=2).call_in()
    for _ in range(5):
        line.feed(message(0x42, b"x") * 2)
        line.feed(audio())
    assert line.call.ended == []
    await line.peer_closes()


async def test_an_empty_audio_message_opens_no_leg() -> None:
    line = Line().call_in()
    line.feed(message(0x10, b""))
    assert line.call.legs == []
    await line.peer_closes()


async def test_the_leg_takes_the_rate_of_the_first_audio() -> None:
    line = Line(profile="yesno").connect()
    line.feed((DATA / "chan_slin16.bin").read_bytes())
    assert line.call.leg.sample_rate_hz == 16_000
    assert [len(samples) for samples in line.call.leg.pushed] == [320, 320, 320]
    assert line.call.opened_with["door_profile"] == "yesno"
    await line.peer_closes()


async def test_a_change_of_rate_opens_a_new_leg_and_is_logged_once() -> None:
    with capture_logs() as logs:
        line = Line().call_in()
        line.feed(audio(320, 0x10) * 2 + audio(640, 0x12) * 2 + audio(321, 0x10) + audio())
        await line.peer_closes()
    assert [(leg.sample_rate_hz, len(leg.audio)) for leg in line.call.legs] == [
        (8_000, 320),
        (16_000, 640),
        (8_000, 320),
    ]
    assert [(entry["event"], entry["from_hz"], entry["to_hz"]) for entry in logs] == [
        ("audiosocket changed its rate", 8_000, 16_000)
    ]


async def test_half_a_sample_does_not_cross_a_change_of_rate() -> None:
    line = Line().call_in()
    line.feed(message(0x10, b"\x01\x00\x02") + message(0x12, b"\x03\x00"))
    assert [leg.audio for leg in line.call.legs] == [[1], [3]]
    await line.peer_closes()


async def test_a_rate_that_changes_for_ever_ends_the_call() -> None:
    line = Line(max_rate_changes=3).call_in()
    with capture_logs() as logs:
        line.feed((audio(320, 0x10) + audio(640, 0x12)) * 10)
    assert len(line.call.legs) == 4
    assert [entry["error"] for entry in logs if "error" in entry] == ["the rate changed 4 times"]
    await line.peer_closes()
    assert line.call.ended == ["protocol error"]


async def test_digits_before_any_audio_have_a_leg_and_lower_case_is_raised() -> None:
    line = Line().call_in()
    line.feed(message(3, b"#") + message(3, b"d") + audio())
    assert line.call.leg.sample_rate_hz == 8_000
    assert [digit for _, digit in line.call.digits] == ["#", "D"]
    await line.peer_closes()


async def test_a_digit_goes_to_the_leg_that_speaks() -> None:
    line = Line().call_in()
    line.feed(audio(640, 0x12) + message(3, b"7"))
    assert line.call.digits == [(line.call.leg, "7")]
    assert line.call.leg.sample_rate_hz == 16_000
    await line.peer_closes()


async def test_socket_options() -> None:
    line = Line(write_buffer_bytes=4000).connect()
    assert (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1) in line.transport.socket.options
    assert (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1) in line.transport.socket.options
    assert line.transport.high == 4000
    await line.peer_closes()


async def test_a_peer_without_an_address() -> None:
    line = Line()
    line.transport = FakeTransport(peername=None)
    line.call_in()
    assert line.call.opened_with["peer"] == "unknown"
    await line.peer_closes()


# Two calls of one name.


async def test_a_second_call_with_a_running_uuid_gets_its_own_id() -> None:
    sessions, calls = set[Session](), FakeCalls()
    with capture_logs() as logs:
        lines = [Line(calls, sessions).call_in() for _ in range(3)]
    assert [call.call_id for call in calls.all] == [CALL, f"{CALL}#2", f"{CALL}#3"]
    assert [(entry["event"], entry["call_id"], entry["uuid"]) for entry in logs] == [
        ("audiosocket UUID is in use by a running call", f"{CALL}#2", CALL),
        ("audiosocket UUID is in use by a running call", f"{CALL}#3", CALL),
    ]
    assert [line.counted("id in use") for line in lines] == [0, 1, 1]
    for line in lines:
        await line.peer_closes()


async def test_a_uuid_is_free_again_only_after_the_last_final() -> None:
    sessions, calls = set[Session](), FakeCalls()
    first = Line(calls, sessions).call_in()
    calls.all[0].may_end.clear()
    first.session.eof_received()
    first.session.connection_lost(None)
    second = Line(calls, sessions).call_in()
    assert calls.all[1].call_id == f"{CALL}#2"
    assert first.session in sessions
    calls.all[0].may_end.set()
    async with asyncio.timeout(TIMEOUT_S):
        await first.session.finished.wait()
    third = Line(calls, sessions).call_in()
    assert calls.all[2].call_id == CALL
    await second.peer_closes()
    await third.peer_closes()


# How calls end.


async def test_hangup_by_message_ends_the_call_and_nothing_is_written_but_fin() -> None:
    line = Line().call_in()
    line.feed(audio() + HANGUP + audio())
    line.feed(audio())
    line.tick()
    assert line.transport.writes == []
    assert line.transport.eof_written
    assert not line.transport.aborted
    await line.peer_closes()
    assert line.call.ended == ["hangup"]
    assert len(line.call.leg.pushed) == 1


async def test_reset_ends_the_call_with_what_came() -> None:
    line = Line().call_in()
    line.feed(audio())
    await line.lost(ConnectionResetError())
    assert line.call.ended == ["reset"]
    assert len(line.call.leg.pushed) == 1


async def test_hangup_inside_a_message_is_one_line_and_keeps_what_was_whole() -> None:
    with capture_logs() as logs:
        line = Line().connect()
        line.feed((DATA / "fault_hangup_inside_a_message.bin").read_bytes())
        await line.peer_closes()
    assert line.call.ended == ["eof"]
    assert len(line.call.leg.pushed) == 1
    assert logs == [
        {
            "event": "audiosocket closed inside a message",
            "log_level": "warning",
            "peer": PEER,
            "call_id": CALL,
            "pending_bytes": 100,
        }
    ]


async def test_hang_up_from_our_side_says_so_once_and_reads_on() -> None:
    line = Line().call_in()
    line.session.hang_up("drain")
    line.session.hang_up("drain")
    line.feed(audio())
    assert line.transport.writes == [HANGUP]
    assert line.transport.eof_written
    assert line.call.legs == []
    await line.peer_closes()
    assert line.call.ended == ["drain"]


async def test_a_peer_that_does_not_close_after_our_hangup_is_cut_off() -> None:
    line = Line(hangup_wait_s=2.0).call_in()
    line.session.hang_up("drain")
    line.tick(1.9)
    assert not line.transport.aborted
    line.tick(0.1)
    assert line.transport.aborted
    line.tick(5.0)
    await line.lost()
    assert line.call.ended == ["drain"]


async def test_the_core_may_hang_up() -> None:
    line = Line().call_in()
    line.call.hang_up("longer than 4 h")
    assert line.transport.writes == [HANGUP]
    await line.peer_closes()
    assert line.call.ended == ["longer than 4 h"]


async def test_hang_up_after_the_transport_broke_writes_nothing() -> None:
    line = Line().call_in()
    line.session.fail()
    line.session.hang_up("drain")
    assert line.transport.writes == []
    await line.lost()
    assert line.call.ended == ["drain"]


async def test_a_session_that_failed_ends_its_call() -> None:
    line = Line().call_in()
    line.session.fail()
    assert line.transport.aborted
    await line.lost()
    assert line.call.ended == ["close"]


async def test_an_error_at_the_end_of_a_call_is_logged_and_frees_everything() -> None:
    line = Line().call_in()
    line.call.end_error = RuntimeError("boom")
    with capture_logs() as logs:
        await line.peer_closes()
    assert [entry["event"] for entry in logs] == ["audiosocket call did not end cleanly"]
    assert line.sessions == set()
