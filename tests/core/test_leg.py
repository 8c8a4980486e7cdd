"""One party's audio through detector, buffer, scheduler and back, on the scripted engine."""

import asyncio
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ruasr_tel.boundary import BoundaryConfig
from ruasr_tel.call import Call, Calls, CallsConfig
from ruasr_tel.engines import scripted
from ruasr_tel.engines.base import PLAIN, DecodeOptions, EngineSpec, Hypothesis
from ruasr_tel.engines.scripted import create
from ruasr_tel.events import CallEnded, CallProgress, Final, Partial, Progress, SpeechStarted
from ruasr_tel.leg import Leg
from ruasr_tel.partials import PartialsConfig
from ruasr_tel.profile import Profile
from ruasr_tel.progress.config import ProgressConfig
from ruasr_tel.scheduler import SchedulerConfig
from ruasr_tel.testing import (
    TIMEOUT_S,
    Recorder,
    ThreadHost,
    phrase,
    running_calls,
    scripted_host,
    silence,
    tone,
)
from ruasr_tel.types import CallId, Samples


def begin(
    calls: Calls, recorder: Recorder, rate_hz: int = 8000, profile: str | None = None
) -> tuple[Call, Leg]:
    call = calls.open(
        door="test", call_id=CallId("c"), peer="here", profile=profile, on_event=recorder
    )
    return call, call.open_leg(rate_hz)


def push(leg: Leg, audio: Samples, message: int = 160) -> None:
    for at in range(0, len(audio), message):
        leg.push(audio[at : at + message])


async def ended(call: Call, recorder: Recorder) -> CallEnded:
    await asyncio.wait_for(call.end("hangup"), TIMEOUT_S)
    (end,) = recorder.of(CallEnded)
    assert all(ledger.difference == 0 for ledger in end.ledgers.values())
    return end


async def test_two_phrases_become_two_finals_in_order_and_the_audio_adds_up() -> None:
    recorder = Recorder()
    async with running_calls() as calls:
        call, leg = begin(calls, recorder)
        push(leg, phrase((1.0, 1.0), (2.0, 1.0)))
        first, second = await recorder.until(Final, 2)
        end = await ended(call, recorder)
    assert (first.segment, first.reason, first.error) == (0, "endpoint", None)
    assert first.text == "слово слово"
    assert 1.2 < first.end_s < 1.5
    assert first.end_s <= second.start_s < 2.1
    assert second.text.split() == ["слово"] * 5
    assert second.words[0].start_s == second.start_s
    assert len(recorder.of(SpeechStarted)) == 2
    (ledger,) = end.ledgers.values()
    assert ledger.received == 5 * 8000
    assert ledger.silence > 8000
    assert ledger.dropped == {}
    assert (end.finals, end.duration_s, end.reason) == (2, 5.0, "hangup")


@pytest.mark.parametrize("rate_hz", [1000, 6000, 8000, 11127, 16000, 44100, 48000])
async def test_a_leg_at_any_rate_keeps_its_own_time(rate_hz: int) -> None:
    recorder = Recorder()
    async with running_calls() as calls:
        call, leg = begin(calls, recorder, rate_hz)
        push(
            leg, np.concatenate([silence(1.0, rate_hz), phrase((1.0, 1.0), sample_rate_hz=rate_hz)])
        )
        (final,) = await recorder.until(Final)
        await ended(call, recorder)
    assert final.start_s == pytest.approx(0.75, abs=0.08)
    assert final.end_s == pytest.approx(2.3, abs=0.1)


async def test_the_word_at_the_hang_up_is_not_lost() -> None:
    recorder = Recorder()
    async with running_calls() as calls:
        call, leg = begin(calls, recorder)
        push(leg, np.concatenate([silence(0.5), tone(0.7)]))
        await ended(call, recorder)
    (final,) = recorder.of(Final)
    assert (final.reason, final.end_s) == ("flush", 1.2)
    assert final.text


async def test_silence_is_never_decoded() -> None:
    recorder = Recorder()
    async with running_calls() as calls:
        call, leg = begin(calls, recorder)
        push(leg, silence(20.0))
        end = await ended(call, recorder)
    (ledger,) = end.ledgers.values()
    assert (ledger.decoded, ledger.silence) == (0, 20 * 8000)


async def test_a_flush_ends_the_utterance_and_the_time_line_goes_on() -> None:
    recorder = Recorder()
    async with running_calls() as calls:
        call, leg = begin(calls, recorder)
        push(leg, tone(1.0))
        await leg.flush()
        assert [f.reason for f in recorder.of(Final)] == ["flush"]
        push(leg, np.concatenate([silence(1.0), tone(1.0)]))
        await leg.flush()
        await ended(call, recorder)
    first, second = recorder.of(Final)
    assert first.end_s == 1.0
    assert second.end_s == 3.0
    assert leg.clock_s == 3.0


@pytest.mark.parametrize(
    ("rate_hz", "samples"),
    [(8000, 8000), (8000, 8192), *((16000, 16384 + past) for past in (-1, 0, 8, 15, 16, 17))],
)
async def test_the_clock_ends_an_utterance_when_frames_stop_coming(
    rate_hz: int, samples: int
) -> None:
    now_s = 100.0
    recorder = Recorder()
    async with running_calls(mono=lambda: now_s) as calls:
        call, leg = begin(calls, recorder, rate_hz)
        push(leg, tone(2.0, rate_hz)[:samples])
        await recorder.until(SpeechStarted)
        await asyncio.wait_for(leg.backlog_below(0.033), TIMEOUT_S)
        call.tick(now_s + 0.45)
        assert leg.backlog_s < 0.033  # nothing was closed: 0.45 s is within what is late
        now_s += 0.6
        (final,) = await recorder.until(Final)
        await ended(call, recorder)
    assert (final.reason, final.end_s) == ("endpoint", samples / rate_hz)


async def test_the_clock_waits_longer_for_a_peer_that_sends_long_messages() -> None:
    now_s = 100.0
    recorder = Recorder()
    async with running_calls(mono=lambda: now_s) as calls:
        call, leg = begin(calls, recorder)
        push(leg, tone(1.0), message=4000)  # 0.5 s each, as the EAGI client sends them
        await recorder.until(SpeechStarted)
        await asyncio.wait_for(leg.backlog_below(0.033), TIMEOUT_S)
        call.tick(now_s + 1.4)
        assert leg.backlog_s < 0.033
        call.tick(now_s + 1.6)
        await recorder.until(Final)
        await ended(call, recorder)


async def test_a_segment_that_the_engine_refuses_is_an_empty_final_with_the_reason() -> None:
    recorder = Recorder()
    bad = np.clip(tone(1.0, level=scripted.RAISES), -1001, 1001).astype(np.int16)
    async with running_calls() as calls:
        call, leg = begin(calls, recorder)
        push(leg, np.concatenate([bad, silence(1.0), tone(1.0), silence(1.0)]))
        first, second = await recorder.until(Final, 2)
        end = await ended(call, recorder)
    assert (first.text, first.error) == ("", "the segment holds the marker RAISES")
    assert (second.error, bool(second.text)) == (None, True)
    (ledger,) = end.ledgers.values()
    assert ledger.dropped == {
        "not decoded": round(first.end_s * 8000) - round(first.start_s * 8000)
    }


async def test_a_call_ends_in_time_even_if_the_engine_never_answers() -> None:
    recorder = Recorder()
    config = CallsConfig(finish_timeout_s=0.2)
    async with running_calls(scripted_host(delay_s=3.0), config=config) as calls:
        call, leg = begin(calls, recorder)
        push(leg, tone(1.0))
        end = await ended(call, recorder)
    (final,) = recorder.of(Final)
    assert final.error == "not decoded within 0.2 s of the call's end"
    assert end.ledgers[leg.leg_id].dropped == {"not decoded": 8000}


async def test_audio_that_a_door_had_to_drop_is_in_the_ledger_and_on_the_clock() -> None:
    recorder = Recorder()
    async with running_calls() as calls:
        call, leg = begin(calls, recorder)
        push(leg, tone(1.0))
        leg.drop(4000, "too far behind")
        push(leg, tone(1.0))
        end = await ended(call, recorder)
    assert end.ledgers[leg.leg_id].dropped == {"too far behind": 4000}
    assert end.ledgers[leg.leg_id].received == 20000
    assert end.duration_s == 2.5
    assert [(f.start_s, f.end_s) for f in recorder.of(Final)] == [(0.0, 1.0), (1.5, 2.5)]


async def test_a_fast_peer_waits_until_its_backlog_is_small() -> None:
    recorder = Recorder()
    async with running_calls(scripted_host(delay_s=0.05)) as calls:
        call, leg = begin(calls, recorder)
        for _ in range(5):
            push(leg, phrase((2.0, 1.0)))
        assert leg.backlog_s > 10
        await asyncio.wait_for(leg.backlog_below(1.0), TIMEOUT_S)
        assert leg.backlog_s < 1.0
        await ended(call, recorder)
    assert len(recorder.of(Final)) == 5


# Partials

EAGER = Profile(partials=PartialsConfig(first_ms=200, interval_ms=300))


async def speak(leg: Leg, seconds: float) -> None:
    """Push speech and let each 100 ms be scored before the next comes."""
    for at in range(round(seconds * 10)):
        leg.push(tone(10.0)[at * 800 : (at + 1) * 800])
        await asyncio.wait_for(leg.backlog_below(0.033), TIMEOUT_S)
        await asyncio.sleep(0)


async def test_partials_grow_while_somebody_speaks_and_the_final_comes_last() -> None:
    recorder = Recorder()
    async with running_calls(profiles={"default": EAGER}) as calls:
        call, leg = begin(calls, recorder)
        await speak(leg, 3.0)
        await ended(call, recorder)
    texts = [p.text for p in recorder.of(Partial)]
    assert len(texts) >= 3
    assert all(len(a) < len(b) for a, b in pairwise(texts))
    assert isinstance(recorder.events[-2], Final)
    assert recorder.of(Partial)[0].end_s < 1.0


async def test_without_partials_in_the_profile_there_are_none() -> None:
    recorder = Recorder()
    quiet = Profile(partials=PartialsConfig(enabled=False))
    async with running_calls(profiles={"default": quiet}) as calls:
        call, leg = begin(calls, recorder)
        await speak(leg, 2.0)
        await ended(call, recorder)
    assert recorder.of(Partial) == []


class CountingHost(ThreadHost):
    def __init__(self) -> None:
        super().__init__(create(EngineSpec("scripted", "scripted")))
        self.decodes = 0

    async def decode(
        self, batch: Sequence[tuple[Samples, int]], options: DecodeOptions = PLAIN
    ) -> list[Hypothesis]:
        self.decodes += 1
        return await super().decode(batch, options)


async def test_a_segment_that_hurts_the_engine_is_not_decoded_again_for_partials() -> None:
    recorder = Recorder()
    bad = np.clip(tone(3.0), -scripted.RAISES, scripted.RAISES).astype(np.int16)
    host = CountingHost()
    async with running_calls(host, profiles={"default": EAGER}) as calls:
        call, leg = begin(calls, recorder)
        for at in range(0, len(bad), 800):
            leg.push(bad[at : at + 800])
            await asyncio.wait_for(leg.backlog_below(0.033), TIMEOUT_S)
            await asyncio.sleep(0)
        await ended(call, recorder)
    (final,) = recorder.of(Final)
    assert final.error is not None
    assert host.decodes == 2  # one partial and the final


async def test_partials_that_the_scheduler_refuses_cost_no_final() -> None:
    recorder = Recorder()
    busy = SchedulerConfig(partial_share=0.0)
    async with running_calls(profiles={"default": EAGER}, scheduler_config=busy) as calls:
        call, leg = begin(calls, recorder)
        await speak(leg, 2.0)
        await ended(call, recorder)
    assert recorder.of(Partial) == []
    (final,) = recorder.of(Final)
    assert final.text.split() == ["слово"] * 4


async def test_a_message_without_audio_changes_nothing() -> None:
    recorder = Recorder()
    async with running_calls() as calls:
        call, leg = begin(calls, recorder)
        leg.push(silence(0.0))
        end = await ended(call, recorder)
    assert end.ledgers[leg.leg_id].received == 0


# However the audio is cut


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cuts=st.lists(st.integers(1, 5000), min_size=1, max_size=30))
async def test_any_split_of_the_audio_gives_the_same_finals(cuts: list[int]) -> None:
    audio = phrase((1.0, 0.7), (0.4, 0.9), (2.3, 0.6))
    whole = await finals_of([audio])
    edges = np.cumsum(cuts)
    pieces = np.split(audio, edges[edges < len(audio)])
    assert await finals_of(pieces) == whole
    assert [reason for *_, reason in whole] == ["endpoint", "endpoint", "length", "endpoint"]


async def finals_of(pieces: list[Samples]) -> list[tuple[str, float, float, str]]:
    recorder = Recorder()
    profile = Profile(
        boundary=BoundaryConfig(max_segment_s=2.0), partials=PartialsConfig(enabled=False)
    )
    async with running_calls(
        scripted_host(answer="measure"), profiles={"default": profile}
    ) as calls:
        call, leg = begin(calls, recorder)
        for piece in pieces:
            leg.push(piece)
            await asyncio.sleep(0)
        await ended(call, recorder)
    return [(f.text, f.start_s, f.end_s, f.reason) for f in recorder.of(Final)]


# Call progress

LISTENING = Profile(progress=ProgressConfig(enabled=True))
ANSWERED_BY_A_MACHINE = (
    (tone(1.0, 16000, 425.0), silence(4.0, 16000)),
    (tone(1.0, 16000, 425.0), silence(1.0, 16000)),
    (tone(2.0, 16000, 300.0), silence(0.5, 16000)),  # for the detector by energy: a greeting
    (tone(0.4, 16000, 1000.0), silence(1.0, 16000)),
)


async def progress_of(profile: Profile, pieces: Sequence[Samples]) -> list[CallProgress]:
    recorder = Recorder()
    async with running_calls(profiles={"default": profile}) as calls:
        call, leg = begin(calls, recorder, 16000)
        for piece in pieces:
            push(leg, piece, 320)
            await asyncio.sleep(0)
        await ended(call, recorder)
    return recorder.of(CallProgress)


async def test_rings_and_the_beep_after_a_greeting_are_told_in_call_time() -> None:
    pieces = [piece for pair in ANSWERED_BY_A_MACHINE for piece in pair]
    told = await progress_of(LISTENING, pieces)
    assert [event.kind for event in told] == [Progress.RINGBACK, Progress.RINGBACK, Progress.BEEP]
    assert [event.start_s for event in told] == pytest.approx([0.0, 5.0, 9.5], abs=0.03)
    assert [event.end_s for event in told] == pytest.approx([1.0, 6.0, 9.9], abs=0.03)


async def test_nobody_listens_for_tones_unless_asked() -> None:
    assert await progress_of(Profile(), ANSWERED_BY_A_MACHINE[0]) == []


async def test_a_rhythm_does_not_go_on_over_dropped_audio() -> None:
    busy = np.concatenate([np.append(tone(0.35, hz=425.0), silence(0.35)) for _ in range(2)])
    recorder = Recorder()
    async with running_calls(profiles={"default": LISTENING}) as calls:
        call, leg = begin(calls, recorder)
        push(leg, busy)
        leg.drop(8000, "backlog")
        push(leg, busy)
        await ended(call, recorder)
    assert recorder.of(CallProgress) == []


async def test_an_operator_message_follows_its_final() -> None:
    recorder = Recorder()
    own = ProgressConfig.model_validate({"enabled": True, "phrases": {"queue": ["слово слово"]}})
    async with running_calls(profiles={"default": Profile(progress=own)}) as calls:
        call, leg = begin(calls, recorder)
        push(leg, phrase((2.0, 1.0)))
        await ended(call, recorder)
    (final,) = recorder.of(Final)
    (message,) = recorder.of(CallProgress)
    assert message.kind is Progress.QUEUE
    assert recorder.events.index(message) == recorder.events.index(final) + 1
    assert final.start_s <= message.start_s < message.end_s <= final.end_s
