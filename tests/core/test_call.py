"""Admission, legs, ends and the clock of calls, on the scripted engine."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import numpy as np
import pytest
from pydantic import JsonValue
from structlog.testing import capture_logs

from ruasr_tel.call import Announcement, Call, Calls, CallsConfig
from ruasr_tel.engines import scripted
from ruasr_tel.errors import ConfigError, Overloaded
from ruasr_tel.events import CallEnded, CallStarted, Dtmf, Event, Final, Ledger
from ruasr_tel.leg import Leg
from ruasr_tel.metrics import Metrics
from ruasr_tel.testing import TIMEOUT_S, Recorder, phrase, running_calls, scripted_host, tone
from ruasr_tel.types import CallId, LegId


def open_call(
    calls: Calls,
    call_id: str = "c",
    on_event: Callable[[Event], None] | None = None,
    hang_up: Callable[[str], None] | None = None,
    profile: str | None = None,
) -> Call:
    return calls.open(
        door="test",
        call_id=CallId(call_id),
        peer="192.0.2.1:5060",
        profile=profile,
        on_event=on_event,
        hang_up=hang_up,
    )


async def end(call: Call, reason: str = "hangup") -> None:
    await asyncio.wait_for(call.end(reason), TIMEOUT_S)


# Admission


async def test_a_call_over_the_limit_is_refused_and_counted() -> None:
    metrics = Metrics()
    async with running_calls(config=CallsConfig(max_calls=2), metrics=metrics) as calls:
        first, _ = open_call(calls, "one"), open_call(calls, "two")
        assert len(calls) == 2
        assert CallId("one") in calls
        with pytest.raises(Overloaded) as refused:
            open_call(calls, "three")
        assert str(refused.value) == "2 calls are running, the limit (calls.max_calls)"
        assert CallId("three") not in calls
        labels = {"door": "test", "outcome": "refused"}
        assert metrics.registry.get_sample_value("ruasr_calls_total", labels) == 1
        await end(first)
        open_call(calls, "three")


async def test_calls_are_refused_while_a_final_would_wait_too_long() -> None:
    host = scripted_host(delay_s=0.3)

    def behind() -> float:
        return time.monotonic() - 60.0  # by it, audio that is pushed at once is due at once

    limits = CallsConfig(max_wait_s=0.001)
    async with running_calls(host, config=limits, mono=behind) as calls:
        recorder = Recorder()
        call = open_call(calls, "one", recorder)
        leg = call.open_leg(8000)
        leg.push(phrase((1.0, 1.0)))
        await recorder.until(Final)
        leg.push(phrase(*[(1.0, 1.0)] * 8))
        flushing = asyncio.create_task(leg.flush())
        await recorder.until(Final, 2)
        with pytest.raises(
            Overloaded,
            match=r"^a final would wait \d\.\d s for the engine, more than 0\.001 s "
            r"\(calls\.max_wait_s\)$",
        ):
            calls.admit()
        await asyncio.wait_for(flushing, TIMEOUT_S)
        calls.admit()


async def test_a_file_that_runs_ahead_of_its_pace_keeps_no_call_out() -> None:
    host = scripted_host(delay_s=0.1)
    async with running_calls(host, config=CallsConfig(max_wait_s=0.001)) as calls:
        recorder = Recorder()
        leg = open_call(calls, "one", recorder).open_leg(8000)
        leg.push(phrase(*[(1.0, 1.0)] * 8))
        await recorder.until(Final, 2)
        calls.admit()


async def test_a_stopping_server_takes_no_new_calls() -> None:
    async with running_calls() as calls:
        calls.stop_accepting()
        with pytest.raises(Overloaded, match=r"^the server is stopping and takes no new calls$"):
            calls.admit()


async def test_an_unknown_profile_is_refused_with_the_known_ones() -> None:
    async with running_calls() as calls:
        with pytest.raises(ConfigError) as refused:
            open_call(calls, profile="sing")
        assert len(calls) == 0
    assert str(refused.value) == (
        "there is no profile 'sing'; known profiles: default, dialogue, dictation, digits, yesno"
    )


async def test_what_no_client_could_be_told_of_a_call_is_replaced() -> None:
    recorder = Recorder()
    details: dict[str, JsonValue] = {
        "channel": "PJSIP/\ud800",
        "more": [{"\udfff": "Ж\U0001f600"}],
    }
    async with running_calls(publish=recorder) as calls:
        call = calls.open(door="test", call_id=CallId("c"), peer="p", details=details)
        (started,) = await recorder.until(CallStarted)
        assert started.details == {"channel": "PJSIP/?", "more": [{"?": "Ж\U0001f600"}]}
        await end(call)


async def test_a_call_id_that_is_running_is_refused() -> None:
    async with running_calls() as calls:
        first = open_call(calls, "one")
        with pytest.raises(ValueError, match="'one' is running"):
            open_call(calls, "one")
        await end(first)
        open_call(calls, "one")


async def test_the_chosen_profile_is_told_and_used() -> None:
    recorder = Recorder()
    async with running_calls() as calls:
        call = open_call(calls, on_event=recorder, profile="yesno")
        call.open_leg(8000).push(phrase((0.5, 0.45)))  # yesno ends after 300 ms, default after 500
        (final,) = await recorder.until(Final)
        await end(call)
    assert recorder.of(CallStarted)[0].profile == "yesno"
    assert final.reason == "endpoint"


@pytest.mark.parametrize(
    ("asked", "announced", "door", "heard"),
    [
        ("digits", "yesno", "dialogue", "digits"),
        (None, "yesno", "dialogue", "yesno"),
        (None, None, "dialogue", "dialogue"),
        (None, None, None, "default"),
    ],
)
async def test_the_profile_is_the_calls_own_then_the_announced_one_then_the_doors(
    asked: str | None, announced: str | None, door: str | None, heard: str
) -> None:
    recorder = Recorder()
    async with running_calls(publish=recorder) as calls:
        calls.announce(CallId("c"), Announcement(announced))
        call = calls.open(
            door="test", call_id=CallId("c"), peer="", profile=asked, door_profile=door
        )
        assert call.profile is calls.profile(heard)
        await end(call)
    assert [each.profile for each in recorder.of(CallStarted)] == [heard]


# Legs


async def test_a_leg_that_takes_over_a_channel_goes_on_in_time() -> None:
    recorder = Recorder()
    async with running_calls() as calls:
        call = open_call(calls, on_event=recorder)
        before = call.open_leg(8000)
        before.push(phrase((1.0, 0.0)))
        after = call.open_leg(16000)
        assert (before.leg_id, after.leg_id) == ("c/0", "c/0.2")
        assert after.clock_s == 1.0
        after.push(phrase((1.0, 1.0), sample_rate_hz=16000))
        await recorder.until(Final, 2)
        await end(call)
    finals = {final.leg_id: final for final in recorder.of(Final)}
    assert (finals[before.leg_id].reason, finals[before.leg_id].end_s) == ("flush", 1.0)
    assert finals[after.leg_id].start_s == 1.0
    (over,) = recorder.of(CallEnded)
    assert over.duration_s == 3.0
    assert list(over.ledgers) == ["c/0", "c/0.2"]
    assert all(ledger.difference == 0 for ledger in over.ledgers.values())


async def test_two_channels_are_two_legs_from_the_start() -> None:
    recorder = Recorder()
    async with running_calls() as calls:
        call = open_call(calls, on_event=recorder)
        caller, agent = call.open_leg(8000, 0), call.open_leg(8000, 1)
        caller.push(phrase((1.0, 1.0)))
        agent.push(phrase((0.5, 2.0)))
        await end(call)
    assert sorted((f.leg_id, f.start_s) for f in recorder.of(Final)) == [("c/0", 0), ("c/1", 0)]
    assert recorder.of(CallEnded)[0].duration_s == 2.5


async def test_a_key_press_is_told_at_the_legs_time() -> None:
    recorder = Recorder()
    async with running_calls() as calls:
        call = open_call(calls, on_event=recorder)
        leg = call.open_leg(8000)
        leg.push(tone(0.5))
        call.dtmf(leg, "#")
        await end(call)
    (key,) = recorder.of(Dtmf)
    assert (key.leg_id, key.digit, key.at_s) == (leg.leg_id, "#", 0.5)


# The end


async def test_a_call_ends_once_however_often_it_is_ended() -> None:
    recorder = Recorder()
    async with running_calls() as calls:
        call = open_call(calls, on_event=recorder)
        call.open_leg(8000).push(tone(1.0))
        await asyncio.wait_for(asyncio.gather(call.end("eof"), call.end("hangup")), TIMEOUT_S)
        await end(call, "close")
    assert [over.reason for over in recorder.of(CallEnded)] == ["eof"]
    assert len(recorder.of(Final)) == 1


async def test_the_end_goes_on_when_the_door_that_waits_for_it_is_cancelled() -> None:
    recorder = Recorder()
    async with running_calls(scripted_host(delay_s=0.2)) as calls:
        call = open_call(calls, on_event=recorder)
        call.open_leg(8000).push(tone(1.0))
        door = asyncio.create_task(call.end("eof"))
        await asyncio.sleep(0)
        door.cancel()
        await recorder.until(CallEnded)
    assert [final.error for final in recorder.of(Final)] == [None]


async def test_a_call_without_audio_ends_too() -> None:
    recorder = Recorder()
    async with running_calls() as calls:
        await end(open_call(calls, on_event=recorder))
    (over,) = recorder.of(CallEnded)
    assert (over.duration_s, over.finals, over.ledgers) == (0.0, 0, {})


async def test_closing_ends_every_call_with_its_finals() -> None:
    recorder = Recorder()
    async with running_calls(publish=recorder) as calls:
        for name in ("one", "two"):
            open_call(calls, name).open_leg(8000).push(tone(1.0))
    assert sorted(over.call_id for over in recorder.of(CallEnded)) == ["one", "two"]
    assert {over.reason for over in recorder.of(CallEnded)} == {"drain"}
    assert len(recorder.of(Final)) == 2


async def test_idle_waits_for_the_last_call() -> None:
    async with running_calls() as calls:
        assert await calls.idle(0)
        call = open_call(calls)
        assert not await calls.idle(0.01)
        waiting = asyncio.create_task(calls.idle(TIMEOUT_S))
        await end(call)
        assert await waiting


async def test_sinks_and_door_get_the_same_events_in_the_same_order() -> None:
    sinks, door = Recorder(), Recorder()
    async with running_calls(publish=sinks) as calls:
        call = open_call(calls, on_event=door)
        call.open_leg(8000).push(phrase((1.0, 1.0), (1.0, 1.0)))
        await end(call)
    assert sinks.events == door.events
    assert isinstance(door.events[0], CallStarted)
    assert isinstance(door.events[-1], CallEnded)


# The clock


@asynccontextmanager
async def clocked(config: CallsConfig) -> AsyncIterator[tuple[Calls, Callable[[float], None]]]:
    now_s = 1000.0

    def forward(seconds: float) -> None:
        nonlocal now_s
        now_s += seconds

    async with running_calls(config=config, mono=lambda: now_s) as calls:
        yield calls, forward


async def test_a_call_that_runs_too_long_is_asked_to_hang_up_once() -> None:
    asked: asyncio.Queue[str] = asyncio.Queue()
    async with clocked(CallsConfig(max_call_s=10)) as (calls, forward):
        open_call(calls, "long", hang_up=asked.put_nowait)
        open_call(calls, "deaf")  # nobody to ask: a file
        forward(9)
        open_call(calls, "short", hang_up=asked.put_nowait)
        async with asyncio.timeout(TIMEOUT_S):
            with capture_logs() as logs:
                forward(2)
                assert await asked.get() == "longer than calls.max_call_s, 10 s"
            assert [(line["event"], line["call_id"]) for line in logs] == [
                ("a call ran too long", "long")
            ]
            forward(9)
            assert await asked.get() == "longer than calls.max_call_s, 10 s"
        assert asked.empty()
        assert len(calls) == 3


async def test_the_clock_ends_an_utterance_when_frames_stop() -> None:
    recorder = Recorder()
    async with clocked(CallsConfig()) as (calls, forward):
        leg = open_call(calls, on_event=recorder).open_leg(8000)
        leg.push(tone(1.0))
        await asyncio.wait_for(leg.backlog_below(0.033), TIMEOUT_S)
        forward(10)
        (final,) = await recorder.until(Final)
    assert final.reason == "endpoint"


# What goes wrong


async def test_a_door_that_cannot_hang_up_does_not_stop_the_clock_of_the_others() -> None:
    asked: asyncio.Queue[str] = asyncio.Queue()

    def broken(reason: str) -> None:
        raise RuntimeError("a door's bug")

    with capture_logs() as logs:
        async with clocked(CallsConfig(max_call_s=10)) as (calls, forward):
            open_call(calls, "one", hang_up=broken)
            open_call(calls, "two", hang_up=asked.put_nowait)
            forward(11)
            await asyncio.wait_for(asked.get(), TIMEOUT_S)
    assert [(line["event"], line["call_id"]) for line in logs] == [
        ("a call ran too long", "one"),
        ("a call's tick failed", "one"),
        ("a call ran too long", "two"),
    ]


async def test_audio_that_no_ledger_entry_explains_is_an_error_in_the_log(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lost = Ledger(8000, received=1000, decoded=600, silence=300, dropped={})
    monkeypatch.setattr(Leg, "ledger", lambda _leg: lost)
    metrics = Metrics()
    async with running_calls(metrics=metrics) as calls:
        call = open_call(calls)
        call.open_leg(8000)
        with capture_logs() as logs:
            await end(call)
    (line,) = logs
    assert (line["event"], line["log_level"]) == ("audio unaccounted for", "error")
    assert (line["leg_id"], line["difference"]) == (LegId("c/0"), 100)
    assert metrics.registry.get_sample_value("ruasr_unaccounted_samples_total") == 100


async def test_a_door_that_fails_in_an_event_does_not_lose_the_events_of_the_sinks() -> None:
    sinks = Recorder()

    def broken(event: Event) -> None:
        if isinstance(event, Final):
            raise RuntimeError("a door's bug")

    async with running_calls(publish=sinks) as calls:
        call = open_call(calls, on_event=broken)
        call.open_leg(8000).push(phrase((1.0, 1.0), (1.0, 1.0)))
        with capture_logs() as logs:
            await end(call)
    assert len(sinks.of(Final)) == 2
    assert sinks.of(CallEnded)[0].finals == 2
    assert [line["event"] for line in logs].count("a door failed to take an event") == 2


async def test_an_engine_error_reaches_the_call_that_waits_for_it_and_no_other() -> None:
    bad = np.clip(tone(1.0), -scripted.CRASHES, scripted.CRASHES).astype(np.int16)
    recorders = {name: Recorder() for name in ("good", "bad")}
    async with running_calls() as calls:
        opened = {name: open_call(calls, name, each) for name, each in recorders.items()}
        opened["good"].open_leg(8000).push(tone(1.0))
        opened["bad"].open_leg(8000).push(bad)
        await asyncio.gather(*(end(call) for call in opened.values()))
    (good,), (hit,) = (recorders[name].of(Final) for name in ("good", "bad"))
    assert (good.error, bool(good.text)) == (None, True)
    assert (hit.error, hit.text) == ("the segment holds the marker CRASHES", "")
