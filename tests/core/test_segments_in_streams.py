"""Segments that a streaming engine hears while they are spoken: each gets exactly one final."""

import asyncio
import os
import signal
from collections.abc import Sequence
from itertools import cycle
from typing import cast

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ruasr_tel.call import Call, Calls
from ruasr_tel.engines import scripted, wire
from ruasr_tel.engines.base import (
    PLAIN,
    DecodeOptions,
    EngineInfo,
    Hypothesis,
    Piece,
)
from ruasr_tel.engines.hearing import Hearing
from ruasr_tel.engines.process import EngineProcess, EngineProcessConfig
from ruasr_tel.engines.scripted import create
from ruasr_tel.events import CallEnded, Final, Partial
from ruasr_tel.leg import Leg
from ruasr_tel.partials import PartialsConfig
from ruasr_tel.profile import Profile
from ruasr_tel.scheduler import Priority, Scheduler, SchedulerConfig
from ruasr_tel.testing import (
    TIMEOUT_S,
    Recorder,
    ThreadHost,
    phrase,
    running_calls,
    silence,
    tone,
)
from ruasr_tel.types import CallId, Waveform
from tests.core.streams_kit import STREAMING, DrivenHost, DrivenLeg

FINAL = Priority.FINAL

STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ("speak", "speak", "speak", "pause", "flush", "step", "lose", "die", "away")
        ),
        st.integers(0, 2),
    ),
    max_size=30,
)


@settings(deadline=None, max_examples=60)
@given(steps=STEPS)
@example([("pause", 0), ("pause", 0), ("speak", 0), ("speak", 0), ("speak", 0)])
def test_any_order_of_streams_pieces_and_deaths_gives_each_segment_one_final(
    steps: list[tuple[str, int]],
) -> None:
    asyncio.run(play(steps))


async def play(steps: list[tuple[str, int]]) -> None:
    host = DrivenHost()
    scheduler = Scheduler(host, SchedulerConfig())
    await scheduler.start()
    legs = [DrivenLeg(index, host, scheduler) for index in range(3)]
    flushes = []
    for what, which in steps:
        if what == "flush":
            flushes.append(asyncio.create_task(legs[which].leg.flush()))
        else:
            do(what, which, host, legs[which])
        await asyncio.sleep(0)
    flushes += [asyncio.create_task(leg.leg.flush()) for leg in legs]
    await host.until(*flushes)
    for leg in legs:
        leg.check(spoke=("speak", legs.index(leg)) in steps)
        leg.leg.close()
    assert not len(host.hearings)
    await scheduler.close()


def do(what: str, which: int, host: DrivenHost, leg: DrivenLeg) -> None:
    match what:
        case "speak":
            leg.hear(tone(0.6))
        case "pause":
            leg.hear(silence(0.7))
        case "step":
            host.step()
        case "die":
            host.die()
        case "away":
            host.alive = not host.alive
        case "lose":
            host.hearings.receive(wire.Lost(host.hearings._numbers - which, "lost"))


STEP = 600
"""Level of the first word; the next one is louder by as much."""


class Levels:
    """A streaming engine that hears a word for each level of sound, and says its number."""

    info = EngineInfo("levels", "levels", 8000, streaming=True)

    def decode(
        self, segments: Sequence[Waveform], options: DecodeOptions = PLAIN
    ) -> list[Hypothesis]:
        return [self._heard(segment) for segment in segments]

    def open_stream(self, options: DecodeOptions = PLAIN) -> object:
        return []

    def advance(self, pieces: Sequence[Piece]) -> list[Hypothesis]:
        heard = []
        for piece in pieces:
            so_far = cast(list[Waveform], piece.stream)
            so_far.append(piece.samples)
            heard.append(self._heard(np.concatenate(so_far)))
        return heard

    def _heard(self, audio: Waveform) -> Hypothesis:
        level = np.rint(audio * 32768).astype(int) // STEP
        begins = np.flatnonzero((np.diff(level, prepend=0) != 0) & (level > 0))
        words = [str(level[at]) for at in begins]
        tokens = tuple(" " + word for word in words)
        return Hypothesis(" ".join(words), tokens, tuple(float(at) / 8000 for at in begins))


@settings(deadline=None, max_examples=30)
@given(
    gaps_s=st.lists(st.sampled_from((0.2, 0.4, 0.7, 1.0)), min_size=1, max_size=8),
    cuts=st.lists(st.integers(80, 16_000), min_size=1, max_size=20),
    scored=st.lists(st.integers(0, 40), min_size=1, max_size=20),
)
@example(gaps_s=[0.7, 0.7], cuts=[4000], scored=[8])
async def test_every_word_is_in_one_final_however_far_the_detector_is_behind(
    gaps_s: list[float], cuts: list[int], scored: list[int]
) -> None:
    host = DrivenHost(Levels())
    scheduler = Scheduler(host, SchedulerConfig())
    await scheduler.start()
    leg = DrivenLeg(0, host, scheduler)
    words = [(np.full(3200, STEP * n, np.int16), gap_s) for n, gap_s in enumerate(gaps_s, 1)]
    audio = np.concatenate(
        [part for word, s in words for part in (word, np.zeros(int(s * 8000), np.int16))]
    )
    at = 0
    for cut, windows in zip(cycle(cuts), cycle(scored), strict=False):
        leg.hear(audio[at : at + cut], windows)
        host.step()
        await asyncio.sleep(0)
        at += cut
        if at >= len(audio):
            break
    leg.hear(audio[at:])
    await host.until(asyncio.create_task(leg.leg.flush()))
    said = " ".join(final.text for final in leg.finals()).split()
    assert said == [str(n) for n in range(1, len(words) + 1)]
    leg.leg.close()
    await scheduler.close()


async def test_finals_come_from_the_stream_and_nothing_is_decoded_twice() -> None:
    host = DrivenHost()
    scheduler = Scheduler(host, SchedulerConfig())
    await scheduler.start()
    leg = DrivenLeg(0, host, scheduler)
    for _ in range(3):
        leg.hear(tone(0.512))  # 16 windows
        host.step()
    leg.hear(silence(0.7))
    host.step()
    await asyncio.sleep(0)  # the stream's future tells of it
    (final,) = leg.finals()
    assert final.text.split() == ["слово"] * 3
    assert final.error is None
    assert host.decodes == 0
    partials = [event for event in leg.events if isinstance(event, Partial)]
    assert [len(partial.text.split()) for partial in partials] == [1, 2, 3]
    assert partials[0].start_s == final.start_s
    await scheduler.close()


async def test_partials_go_on_when_the_engine_is_back() -> None:
    """Its successor hears the open segment from its start; what ends it twice is heard no more."""
    host = DrivenHost()
    scheduler = Scheduler(host, SchedulerConfig())
    await scheduler.start()
    leg = DrivenLeg(0, host, scheduler)

    def say(seconds: float) -> int:
        """Return of how many words a partial tells of afterwards, 0 for none."""
        before = len(leg.events)
        leg.hear(tone(seconds))
        host.step()
        shown = [event.text for event in leg.events[before:] if isinstance(event, Partial)]
        return len(shown[-1].split()) if shown else 0

    assert say(0.6) == 1
    host.die()
    host.alive = False
    assert say(0.1) == 0
    host.alive = True
    assert say(0.4) == 2  # 1.1 s in all
    assert say(0.5) == 3
    host.die()
    assert say(0.3) == 0
    leg.hear(silence(0.7))
    assert say(0.6) == 1  # the next segment
    await host.until(asyncio.create_task(leg.leg.flush()))
    leg.check(spoke=True)
    leg.leg.close()
    await scheduler.close()


async def test_who_waits_for_room_goes_on_when_a_stream_is_given_up() -> None:
    host = DrivenHost()  # that never advances
    scheduler = Scheduler(host, SchedulerConfig())
    await scheduler.start()
    leg = DrivenLeg(0, host, scheduler, finish_timeout_s=0.01)
    leg.hear(tone(1.0))
    leg.hear(silence(0.7))
    room = asyncio.create_task(leg.leg.backlog_below(0.1))
    await asyncio.sleep(0)
    assert not room.done()
    await leg.leg.flush()
    await asyncio.wait_for(room, TIMEOUT_S)
    (final,) = leg.finals()
    assert final.error == "not decoded within 0.01 s of the call's end"
    leg.leg.close()
    await scheduler.close()


async def test_what_a_stream_is_for_says_what_its_time_counts_as() -> None:
    finals, partials = DrivenHost(), DrivenHost()
    opened: list[Priority] = []

    class Told(Scheduler):
        def open_stream(
            self, sample_rate_hz: int, options: DecodeOptions = PLAIN, priority: Priority = FINAL
        ) -> Hearing | None:
            opened.append(priority)
            return super().open_stream(sample_rate_hz, options, priority)

    schedulers = [Told(host, SchedulerConfig()) for host in (finals, partials)]
    for scheduler in schedulers:
        await scheduler.start()
    for streams in schedulers:
        leg = DrivenLeg(0, finals, schedulers[0], streams)
        leg.hear(tone(0.5))
        leg.leg.close()
    assert opened == [FINAL, Priority.PARTIAL]
    for scheduler in schedulers:
        await scheduler.close()


def listen(calls: Calls, recorder: Recorder) -> tuple[Call, Leg]:
    call = calls.open(door="test", call_id=CallId("c"), peer="here", on_event=recorder)
    return call, call.open_leg(8000)


async def test_a_profile_without_partials_shows_none_and_still_streams() -> None:
    recorder = Recorder()
    quiet = Profile(partials=PartialsConfig(enabled=False), alternatives=2)
    host = ThreadHost(create(STREAMING))
    async with running_calls(host, profiles={"default": quiet}) as calls:
        call, leg = listen(calls, recorder)
        leg.push(phrase((1.0, 1.0)))
        await asyncio.wait_for(call.end("hangup"), TIMEOUT_S)
        (end,) = recorder.of(CallEnded)
    (final,) = recorder.of(Final)
    assert (final.text.split()[0], recorder.of(Partial)) == ("слово", [])
    assert len(final.alternatives) == 1
    assert all(ledger.difference == 0 for ledger in end.ledgers.values())


async def test_a_segment_whose_stream_hurts_the_engine_is_decoded_and_its_error_told() -> None:
    recorder = Recorder()
    async with running_calls(ThreadHost(create(STREAMING))) as calls:
        call, leg = listen(calls, recorder)
        leg.push(np.clip(tone(1.0), -scripted.RAISES, scripted.RAISES).astype(np.int16))
        await asyncio.wait_for(call.end("hangup"), TIMEOUT_S)
    (final,) = recorder.of(Final)
    assert final.error is not None


async def test_kill_9_of_a_streaming_engine_under_10_calls_loses_no_final() -> None:
    recorder = Recorder()
    engine = EngineProcess(STREAMING, EngineProcessConfig(restart_delay_s=0.01))
    await engine.start()
    async with running_calls(engine) as calls, asyncio.timeout(3 * TIMEOUT_S):
        legs = []
        for number in range(10):
            call = calls.open(
                door="test", call_id=CallId(str(number)), peer="here", on_event=recorder
            )
            legs.append((call, call.open_leg(8000)))
            legs[-1][1].push(phrase((1.0, 0.1)))
        await recorder.until(Partial)
        assert engine.pid is not None
        os.kill(engine.pid, signal.SIGKILL)
        for _, leg in legs:
            leg.push(phrase((0.5, 1.0), (1.0, 0.4)))
        await asyncio.gather(*(call.end("hangup") for call, _ in legs))
        assert engine.restarts == 1
    await engine.close()
    for number in range(10):
        finals = [each for each in recorder.of(Final) if each.call_id == str(number)]
        assert [final.segment for final in finals] == [0, 1]
        assert [final.error for final in finals] == [None, None]
        assert all(final.text for final in finals)
