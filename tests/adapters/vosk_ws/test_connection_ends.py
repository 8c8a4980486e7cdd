"""How conversations end, and at what pace they go on; the audio goes to a fake call."""

import asyncio
import struct

import numpy as np
import pytest
from structlog.testing import capture_logs

from tests.adapters.vosk_ws.fake_calls import FakeCall, FakeCalls, Serve
from tests.adapters.vosk_ws.peers import AUDIO, EMPTY, RawClient, ask, client, closed

# Bad messages


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        ("hello", 1003, "text is not a JSON object"),
        ("{config", 1007, "config is not a JSON object"),
        (
            '{"config":{"sample_rate":"abc"}}',
            1007,
            "sample_rate: 'abc' is not a number from 1000 to 192000",
        ),
    ],
)
async def test_bad_messages_close_and_the_tail_is_decoded(
    calls: FakeCalls, serve: Serve, message: str, code: int, reason: str
) -> None:
    door = await serve()
    async with client(door) as peer, client(door) as other:
        call = await calls.calls.get()
        await ask(peer, AUDIO)
        with capture_logs() as logs:
            await peer.send(message)
            assert await closed(peer) == (code, reason)
            await call.ended.wait()
        assert await ask(other, AUDIO) == {"partial": ""}
    assert call.reason == "bad message"
    assert [(line["call_id"], line["error"]) for line in logs if "error" in line] == [
        (call.call_id, reason)
    ]
    assert calls.bad("protocol") == 1


async def test_too_long_a_message_is_1009(calls: FakeCalls, serve: Serve) -> None:
    async with client(await serve(max_message_bytes=4096)) as peer:
        call = await calls.calls.get()
        await ask(peer, bytes(4096))
        await peer.send(bytes(4097))
        assert (await closed(peer))[0] == 1009
    await call.ended.wait()
    assert call.reason == "message too long"
    assert calls.bad("message too long") == 1


async def test_a_long_close_reason_is_cut_between_letters(calls: FakeCalls, serve: Serve) -> None:
    async with client(await serve()) as peer:
        (await calls.calls.get()).hang_up("ё" * 100)
        assert await closed(peer) == (1008, "ё" * 61)


async def test_a_fault_of_ours_is_1011_for_that_call_alone(calls: FakeCalls, serve: Serve) -> None:
    door = await serve()
    async with client(door) as peer, client(door) as other:
        call, _ = await calls.calls.get(), await calls.calls.get()
        call.fails = True
        await peer.send(AUDIO)
        assert await closed(peer) == (1011, "")
        assert await ask(other, AUDIO) == {"partial": ""}
    await call.ended.wait()
    assert call.reason == "error"


# Ends


async def test_silence_on_the_line_ends_it(calls: FakeCalls, serve: Serve) -> None:
    async with client(await serve(idle_timeout_s=0.1)) as peer:
        call = await calls.calls.get()
        assert await closed(peer) == (1008, "no message for 0.1 s")
    await call.ended.wait()
    assert call.reason == "idle"
    assert calls.bad("idle") == 1


async def test_a_call_that_runs_too_long_is_ended(calls: FakeCalls, serve: Serve) -> None:
    async with client(await serve()) as peer:
        call = await calls.calls.get()
        await ask(peer, AUDIO)
        call.hang_up("longer than calls.max_call_s, 10 s")
        assert await closed(peer) == (1008, "longer than calls.max_call_s, 10 s")
    await call.ended.wait()
    assert call.reason == "too long"


async def test_the_server_may_stop_in_the_moment_in_which_a_call_is_ended(
    calls: FakeCalls, serve: Serve
) -> None:
    door = await serve()
    async with client(door) as peer:
        call = await calls.calls.get()
        await ask(peer, AUDIO)
        call.hang_up("longer than calls.max_call_s, 10 s")
        await asyncio.sleep(0)  # its wait is ending
        call.hang_up("again")
        await door.close()
        assert await closed(peer) == (1008, "longer than calls.max_call_s, 10 s")
    assert call.reason == "too long"


async def test_eof_waits_only_so_long(calls: FakeCalls, serve: Serve) -> None:
    async with client(await serve(eof_timeout_s=0.1, show_words=False)) as peer:
        call = await calls.calls.get()
        await ask(peer, AUDIO)
        call.leg.tail, call.leg.never_flushes = ["это есть"], True
        assert await ask(peer, '{"eof" : 1}') == {"text": "это есть"}
        assert await closed(peer) == (1000, "")


# Peers that break off


@pytest.mark.parametrize("how", ["close", "unmasked close", "fin", "reset", "half a message"])
async def test_any_end_of_the_connection_is_a_normal_end(
    calls: FakeCalls, serve: Serve, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    peer = RawClient(await serve(close_timeout_s=0.1))
    await peer.open()
    call = await calls.calls.get()
    await peer.send_frame(2, b"\1\0\2\0")
    await call.opened.wait()
    call.leg.tail = ["хвост"]
    if how == "reset":
        peer.reset()
    elif how == "half a message":
        peer.writer.write(b"\x82\xfe\x0c\x80\0\0\0\0half")
        peer.writer.close()
    elif how == "fin":
        peer.writer.close()
    else:
        await peer.send_frame(8, b"\x03\xe8", masked=how == "close")
    await call.ended.wait()
    assert (call.reason, call.leg.tail) == ("close", [])
    assert caplog.records == []  # no stack trace, nothing from the library
    peer.writer.close()


async def test_audio_sent_right_before_the_end_is_decoded(calls: FakeCalls, serve: Serve) -> None:
    """The peer is gone when the first reply is due; what it sent before still counts."""
    peer = RawClient(await serve())
    await peer.open()
    for n in range(10):
        peer.writer.write(b"\x82\x82\0\0\0\0" + struct.pack("<h", n))
    peer.writer.write(b"\x88\x82\0\0\0\0\x03\xe8")
    peer.writer.close()
    call = await calls.calls.get()
    await call.ended.wait()
    assert call.leg.samples.tolist() == list(range(10))


async def held_back(peer: RawClient, calls: FakeCalls) -> FakeCall:
    """Return the call of a client that is far ahead, whose first message waits for room."""
    await peer.open()
    call = await calls.calls.get()
    await peer.send_frame(2, bytes(3200))
    await call.opened.wait()
    call.leg.backlog_s = 1000.0
    await peer.send_frame(2, bytes(48_000))
    await call.leg.waited_for.wait()
    return call


async def test_what_a_client_sent_that_broke_off_unanswered_is_heard(
    calls: FakeCalls, serve: Serve
) -> None:
    peer = RawClient(await serve())
    call = await held_back(peer, calls)
    for n in range(100):
        await peer.send_frame(2, struct.pack("<h", n) * 4000)  # more than one read of the socket
    await peer.send_frame(9, b"")
    await peer.reader.readuntil(b"\x8a\x00")  # the pong: all of it has arrived
    peer.reset()
    call.leg.room.set()
    await call.ended.wait()
    assert call.leg.samples[-400_000::4000].tolist() == list(range(100))
    assert calls.bad("unread") is None


async def test_a_client_that_breaks_off_while_it_is_held_back_is_told_of(
    calls: FakeCalls, serve: Serve
) -> None:
    peer = RawClient(await serve(max_message_bytes=2**16))
    call = await held_back(peer, calls)
    sending = asyncio.create_task(peer.flood())
    await peer.stuck.wait()
    sending.cancel()
    with capture_logs() as logs:
        peer.reset()
        call.leg.room.set()
        await call.ended.wait()
    assert call.reason == "close"
    assert [line["call_id"] for line in logs if line.get("kind") == "unread"] == [call.call_id]
    assert calls.bad("unread") == 1


async def test_eof_then_gone_without_reading(calls: FakeCalls, serve: Serve) -> None:
    """res_speech_vosk: eof, close, shutdown."""
    calls.tail = ["последнее"]
    peer = RawClient(await serve())
    await peer.open()
    await peer.send_frame(2, AUDIO)
    await peer.send_frame(1, b'{"eof" : 1}')
    await peer.send_frame(8, b"\x03\xe8")
    peer.writer.close()
    call = await calls.calls.get()
    await call.ended.wait()
    assert (call.reason, call.leg.tail) == ("eof", [])


# Pace


async def test_at_the_pace_of_a_call_no_backlog_delays_a_reply(
    calls: FakeCalls, serve: Serve
) -> None:
    async with client(await serve()) as peer:
        call = await calls.calls.get()
        await ask(peer, AUDIO)
        call.leg.backlog_s = 1000.0
        assert await ask(peer, AUDIO) == {"partial": ""}
        assert call.leg.bounds_s == []


async def test_ahead_of_real_time_the_reply_waits_for_room(calls: FakeCalls, serve: Serve) -> None:
    async with client(await serve(max_backlog_s=7)) as peer:
        call = await calls.calls.get()
        await ask(peer, AUDIO)
        call.leg.backlog_s = 7.0
        await peer.send(bytes(16_000 * 30))
        reply = asyncio.create_task(peer.recv())
        await call.leg.waited_for.wait()
        assert call.leg.bounds_s == [7.0]
        assert not reply.done()
        assert call.leg.clock_s < 5.0  # a long message is handed on in pieces
        call.leg.room.set()
        assert await reply == EMPTY
        assert call.leg.clock_s == pytest.approx(30.2)


async def test_the_wait_for_room_has_an_end(calls: FakeCalls, serve: Serve) -> None:
    async with client(await serve(eof_timeout_s=0.1)) as peer:
        call = await calls.calls.get()
        await ask(peer, AUDIO)
        call.leg.backlog_s = 1000.0
        await peer.send(bytes(16_000 * 3))
        assert await peer.recv() == EMPTY


async def test_a_whole_file_in_one_message(calls: FakeCalls, serve: Serve) -> None:
    audio = np.arange(2**23, dtype=np.int64).astype("<i2").tobytes()  # 16 MiB
    async with client(await serve()) as peer:
        call: FakeCall = await calls.calls.get()
        assert await ask(peer, audio) == {"partial": ""}
        assert call.leg.samples.tobytes() == audio


async def test_a_stop_ends_a_long_message_and_accounts_for_its_rest(
    calls: FakeCalls, serve: Serve
) -> None:
    """Neither the wait for room nor the rest of a whole file holds up `close`."""
    door = await serve()
    async with client(door) as peer:
        call = await calls.calls.get()
        await ask(peer, AUDIO)
        call.leg.backlog_s = 1000.0
        await peer.send(bytes(16_000 * 4))
        await call.leg.waited_for.wait()
        heard = len(call.leg.samples)
        await door.close()
        assert await peer.recv() == EMPTY
        assert await closed(peer) == (1012, "the server stops")
    assert (call.reason, len(call.leg.samples)) == ("drain", heard)
    assert call.leg.dropped == {"stopped": 8000 * 4 + 1600 - heard}
