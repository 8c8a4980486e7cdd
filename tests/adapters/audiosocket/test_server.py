"""The door on real sockets, with peers that speak bytes and misbehave."""

import asyncio
import re
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from ruasr_tel.errors import ConfigError, Overloaded, PortTaken
from ruasr_tel.metrics import Metrics
from ruasr_tel.testing import TIMEOUT_S
from ruasr_tel_adapters.audiosocket.config import AudioSocketConfig
from ruasr_tel_adapters.audiosocket.server import MAX_LATE_S, AudioSocketDoor, create
from ruasr_tel_adapters.audiosocket.session import SILENCE_FRAME, Session
from tests.adapters.audiosocket.fakes import FakeCall, FakeCalls

HANGUP = b"\x00\x00\x00"


class Phone:
    """A peer: a plain socket and nothing of ours."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.uuid = uuid4()
        self.heard = b""

    async def connect(self) -> "Phone":
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def dial(self) -> "Phone":
        await self.connect()
        self.say(b"\x01\x00\x10" + self.uuid.bytes)
        return self

    def say(self, data: bytes) -> None:
        self.writer.write(data)

    def talk(self, frames: int = 1) -> None:
        self.say((b"\x10\x01\x40" + bytes(320)) * frames)

    async def hear(self, size: int) -> bytes:
        return await self.reader.readexactly(size)

    async def hear_the_end(self) -> bytes:
        return await self.reader.read(-1)

    def hang_up(self) -> None:
        self.writer.close()

    def reset(self) -> None:
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()


@asynccontextmanager
async def serving(
    calls: FakeCalls, **settings: float | bool | str
) -> AsyncIterator[tuple[AudioSocketDoor, int]]:
    config = AudioSocketConfig.model_validate({"port": 0, "hangup_wait_s": 0.2, **settings})
    door = create(config, calls.as_calls(), Metrics())
    await door.start()
    async with asyncio.timeout(TIMEOUT_S):
        try:
            yield door, int(door.url.rpartition(":")[2])
        finally:
            await door.close()


async def ended(calls: FakeCalls, uuid: UUID) -> FakeCall:
    """The call of that UUID, once it has ended."""
    await calls.until(lambda: any(call.call_id == str(uuid) for call in calls.all))
    (call,) = [call for call in calls.all if call.call_id == str(uuid)]
    await call.has_ended.wait()
    return call


async def test_a_call_over_tcp() -> None:
    calls = FakeCalls()
    async with serving(calls) as (door, port):
        assert door.url == f"tcp://127.0.0.1:{port}"
        phone = await Phone(port).dial()
        phone.talk(3)
        phone.say(b"\x03\x00\x015")
        phone.hang_up()
        call = await ended(calls, phone.uuid)
    assert call.ended == ["eof"]
    assert re.fullmatch(r"127\.0\.0\.1:\d+", call.opened_with["peer"] or "")
    assert len(call.leg.audio) == 480
    assert call.digits == [(call.leg, "5")]


async def test_one_byte_per_packet() -> None:
    calls = FakeCalls()
    async with serving(calls) as (_, port):
        phone = await Phone(port).connect()
        frame = b"\x10\x00\x0a" + bytes(range(10))
        for byte in b"\x01\x00\x10" + phone.uuid.bytes + frame * 3:
            phone.say(bytes([byte]))
            await phone.writer.drain()
            await asyncio.sleep(0)
        phone.hang_up()
        call = await ended(calls, phone.uuid)
    assert len(call.leg.audio) == 15


async def test_silence_comes_in_whole_frames_at_the_pace_of_a_call() -> None:
    calls = FakeCalls()
    loop = asyncio.get_running_loop()
    async with serving(calls) as (_, port):
        phone = await Phone(port).dial()
        await phone.hear(len(SILENCE_FRAME))
        begun_s = loop.time()
        heard = await phone.hear(len(SILENCE_FRAME) * 10)
        assert heard == SILENCE_FRAME * 10
        assert loop.time() - begun_s > 0.02 * 10 - MAX_LATE_S - 0.02
        phone.hang_up()


async def test_a_reset_ends_that_call_and_no_other() -> None:
    calls = FakeCalls()
    async with serving(calls) as (_, port):
        bad, good = await Phone(port).dial(), await Phone(port).dial()
        bad.talk()
        await calls.until(lambda: any(call.legs for call in calls.all))
        bad.reset()
        bad_call = await ended(calls, bad.uuid)
        good.talk()
        good.hang_up()
        good_call = await ended(calls, good.uuid)
    assert bad_call.ended == ["reset"]
    assert good_call.ended == ["eof"]
    assert len(good_call.leg.audio) == 160


async def test_garbage_is_handed_back_politely_and_hurts_no_other_call() -> None:
    calls = FakeCalls()
    async with serving(calls) as (_, port):
        good = await Phone(port).dial()
        with capture_logs() as logs:
            bad = await Phone(port).connect()
            bad.say(b"GET / HTTP/1.1\r\n\r\n")
            assert await bad.hear_the_end() == HANGUP
            bad.hang_up()
        good.talk()
        good.hang_up()
        call = await ended(calls, good.uuid)
    assert [entry["event"] for entry in logs] == ["audiosocket protocol error"]
    assert len(call.leg.audio) == 160


async def test_a_refusal_is_a_hangup_and_a_fin_even_when_audio_is_unread() -> None:
    calls = FakeCalls()
    calls.refusal = Overloaded("full")
    async with serving(calls) as (_, port):
        phone = await Phone(port).dial()
        phone.talk(500)
        assert await phone.hear_the_end() == HANGUP  # and no ConnectionResetError
        phone.hang_up()
    assert calls.all == []


async def test_a_bug_in_the_core_ends_one_call(caplog: pytest.LogCaptureFixture) -> None:
    calls = FakeCalls()
    async with serving(calls) as (_, port):
        phone = await Phone(port).dial()
        phone.talk()
        await calls.until(lambda: bool(calls.all and calls.call.legs and calls.call.leg.pushed))
        calls.call.leg.error = RuntimeError("boom")
        phone.talk()
        call = await ended(calls, phone.uuid)
        await phone.hear_the_end()
        phone.hang_up()
    assert call.ended == ["reset"]
    assert "boom" in caplog.text


async def test_a_session_that_fails_to_tick_does_not_silence_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = FakeCalls()
    async with serving(calls) as (_, port):
        bad = await Phone(port).dial()
        await bad.hear(323)
        tick = Session.tick
        (bad_session,) = [session for session in _sessions(calls)]

        def broken(self: Session, now_s: float) -> None:
            if self is bad_session:
                raise RuntimeError("boom")
            tick(self, now_s)

        monkeypatch.setattr(Session, "tick", broken)
        good = await Phone(port).dial()
        with capture_logs() as logs:
            bad_call = await ended(calls, bad.uuid)
            await good.hear(323 * 3)
        good.hang_up()
        bad.hang_up()
    assert bad_call.ended == ["close"]
    assert [entry["event"] for entry in logs] == ["audiosocket tick failed"]


def _sessions(calls: FakeCalls) -> list[Session]:
    """The sessions behind the calls: the one thing a call keeps of its door is its hang-up."""
    return [call.hang_up.__self__ for call in calls.all]  # type: ignore[attr-defined]


async def test_close_hands_running_calls_back_and_waits_for_their_finals() -> None:
    calls = FakeCalls()
    async with serving(calls, send_silence=False) as (door, port):
        phones = [await Phone(port).dial() for _ in range(3)]
        await calls.until(lambda: len(calls.all) == 3)
        for call in calls.all:
            call.may_end.clear()
        silent = await Phone(port).connect()
        closing = asyncio.create_task(door.close())
        for phone in [*phones, silent]:
            assert await phone.hear_the_end() == HANGUP
            phone.hang_up()
        assert not closing.done()
        for call in calls.all:
            call.may_end.set()
        await closing
    assert [call.ended for call in calls.all] == [["drain"]] * 3


async def test_close_does_not_wait_for_ever_for_a_peer_that_stays() -> None:
    calls = FakeCalls()
    async with serving(calls, hangup_wait_s=0.05) as (door, port):
        phone = await Phone(port).dial()
        await calls.until(lambda: bool(calls.all))
        await door.close()
        phone.hang_up()
    assert calls.call.ended == ["drain"]


async def test_after_stop_accepting_running_calls_go_on_and_new_ones_are_reset() -> None:
    calls = FakeCalls()
    async with serving(calls) as (door, port):
        phone = await Phone(port).dial()
        await phone.hear(323)
        await door.stop_accepting()
        with pytest.raises(ConnectionResetError), capture_logs() as logs:
            await (await Phone(port).connect()).hear_the_end()
        phone.talk()
        await phone.hear(323)
        phone.hang_up()
        call = await ended(calls, phone.uuid)
        labels = {"door": "audiosocket", "outcome": "refused"}
        refused = door._metrics.registry.get_sample_value("ruasr_calls_total", labels)
    assert len(calls.all) == 1
    (said,) = (one for one in logs if one["event"] == "audiosocket refused")
    assert (said["log_level"], said["error"]) == ("warning", "the server is stopping")
    assert refused == 1
    assert call.ended == ["eof"]
    assert len(call.leg.audio) == 160


async def test_the_timer_rests_without_connections_and_wakes_again() -> None:
    calls = FakeCalls()
    async with serving(calls) as (door, port):
        for _ in range(2):
            phone = await Phone(port).dial()
            assert await phone.hear(323) == SILENCE_FRAME
            phone.hang_up()
            await ended(calls, phone.uuid)
            while door._timer is not None:  # noqa: ASYNC110 - a timer that rests tells nobody
                await asyncio.sleep(0)
    assert len(calls.all) == 2


async def test_a_taken_port_is_named() -> None:
    calls = FakeCalls()
    async with serving(calls) as (_, port):
        second = create(AudioSocketConfig(port=port), calls.as_calls(), Metrics())
        with pytest.raises(PortTaken) as error:
            await second.start()
        assert str(error.value) == (
            f"tcp://127.0.0.1:{port} (doors.audiosocket) is in use by another program: "
            "stop that one or set doors.audiosocket.port"
        )
        await second.close()


async def test_an_address_of_another_machine_is_a_config_error() -> None:
    door = create(AudioSocketConfig(host="192.0.2.1", port=0), FakeCalls().as_calls(), Metrics())
    with pytest.raises(ConfigError, match=r"cannot listen on tcp://192\.0\.2\.1:0: "):
        await door.start()


def test_an_unknown_profile_is_a_config_error_that_names_the_known() -> None:
    with pytest.raises(ConfigError) as error:
        create(AudioSocketConfig(profile="digit"), FakeCalls().as_calls(), Metrics())
    assert str(error.value) == (
        "doors.audiosocket.profile: there is no profile 'digit'; known profiles: default, yesno"
    )
    create(AudioSocketConfig(profile="yesno"), FakeCalls().as_calls(), Metrics())


def test_the_url_of_an_ipv6_address() -> None:
    door = create(AudioSocketConfig(host="::1", port=9092), FakeCalls().as_calls(), Metrics())
    assert door.url == "tcp://[::1]:9092"
