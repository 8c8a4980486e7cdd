"""What is asked of the engine for a leg's segments, and what comes of it."""

import asyncio
from collections.abc import Sequence

import pytest

from ruasr_tel.boundary import BoundaryConfig
from ruasr_tel.call import Call, Calls
from ruasr_tel.engines.base import PLAIN, DecodeOptions, EngineSpec, Hypothesis
from ruasr_tel.engines.scripted import create
from ruasr_tel.errors import Overloaded
from ruasr_tel.events import Final, SpeechStarted
from ruasr_tel.partials import PartialsConfig
from ruasr_tel.profile import Profile
from ruasr_tel.scheduler import Priority, SchedulerConfig
from ruasr_tel.testing import TIMEOUT_S, Recorder, ThreadHost, phrase, running_calls
from ruasr_tel.types import CallId, Samples

QUIET = Profile(partials=PartialsConfig(enabled=False))
YES_OR_NO = DecodeOptions(("да", "нет"), closed=True)


class ListeningHost(ThreadHost):
    """Remembers what it was asked."""

    def __init__(self) -> None:
        can: dict[str, bool | int | str] = {"closed_lists": True, "hotwords": True}
        can |= {"alternatives": 3, "lm": "calls"}
        super().__init__(create(EngineSpec("scripted", "scripted", options=can)))
        self.asked: list[DecodeOptions] = []

    async def decode(
        self, batch: Sequence[tuple[Samples, int]], options: DecodeOptions = PLAIN
    ) -> list[Hypothesis]:
        self.asked.append(options)
        return await super().decode(batch, options)


def begin(calls: Calls, recorder: Recorder, options: DecodeOptions | None = None) -> Call:
    return calls.open(
        door="test", call_id=CallId("c"), peer="here", on_event=recorder, options=options
    )


async def test_options_hold_for_the_segments_that_begin_after_them() -> None:
    recorder = Recorder()
    async with running_calls(ListeningHost(), profiles={"default": QUIET}) as calls:
        call = begin(calls, recorder, DecodeOptions(("алло",)))
        leg = call.open_leg(8000)
        for options in (None, YES_OR_NO, PLAIN):
            if options is not None:
                leg.set_options(options)
            leg.push(phrase((0.7, 1.0)))
            await asyncio.wait_for(leg.flush(), TIMEOUT_S)
        await asyncio.wait_for(call.end("hangup"), TIMEOUT_S)
    finals = recorder.of(Final)
    assert [final.text for final in finals] == ["алло слово", "нет", "слово слово"]
    assert [final.match for final in finals] == [None, 1.0, None]


async def test_a_segment_that_is_open_keeps_the_options_it_began_with() -> None:
    recorder = Recorder()
    short = QUIET.model_copy(update={"boundary": BoundaryConfig(max_segment_s=2.0)})
    async with running_calls(ListeningHost(), profiles={"default": short}) as calls:
        call = begin(calls, recorder)
        leg = call.open_leg(8000)
        speech = phrase((3.0, 1.0))
        leg.push(speech[:4000])
        await asyncio.wait_for(leg.backlog_below(0.033), TIMEOUT_S)
        leg.set_options(DecodeOptions(("раз",) * 9))
        leg.push(speech[4000:])
        await asyncio.wait_for(call.end("hangup"), TIMEOUT_S)
    first, second = recorder.of(Final)
    assert set(first.text.split()) == {"слово"}
    assert "раз" in second.text.split()


async def test_the_profile_asks_and_the_final_has_all_readings() -> None:
    recorder = Recorder()
    profile = QUIET.model_copy(update={"alternatives": 3})
    async with running_calls(ListeningHost(), profiles={"default": profile}) as calls:
        call = begin(calls, recorder)
        call.open_leg(8000).push(phrase((0.7, 1.0)))
        await asyncio.wait_for(call.end("hangup"), TIMEOUT_S)
    (final,) = recorder.of(Final)
    assert (final.text, final.score) == ("слово слово", 0.0)
    assert [other.text for other in final.alternatives] == ["слово вариант 2", "слово вариант 3"]
    assert final.alternatives[0].score == -1.0


async def test_partials_ask_for_the_same_but_for_other_readings_and_language_models() -> None:
    host, recorder = ListeningHost(), Recorder()
    eager = Profile(partials=PartialsConfig(first_ms=100, interval_ms=100))
    asked = DecodeOptions(("да",), boost=2.0, alternatives=3)
    async with running_calls(host, profiles={"default": eager}) as calls:
        call = begin(calls, recorder, asked)
        leg = call.open_leg(8000)
        speech = phrase((1.0, 0.2))
        while not host.asked:
            leg.push(speech[:1600])
            await asyncio.wait_for(leg.backlog_below(0.033), TIMEOUT_S)
        await asyncio.wait_for(call.end("hangup"), TIMEOUT_S)
    assert set(host.asked) == {DecodeOptions(("да",), boost=2.0, lm="none"), asked}


async def test_a_door_can_ask_what_the_engine_can_do() -> None:
    host = ListeningHost()
    async with running_calls(host) as calls:
        assert calls.engine_info() is host.info
        assert calls.engine_info("yesno").alternatives == 3
        with pytest.raises(Exception, match="there is no profile 'x'"):
            calls.engine_info("x")


class HeldHost(ListeningHost):
    """Decodes nothing before it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.released = asyncio.Event()

    async def decode(
        self, batch: Sequence[tuple[Samples, int]], options: DecodeOptions = PLAIN
    ) -> list[Hypothesis]:
        await self.released.wait()
        return await super().decode(batch, options)


async def test_a_recording_is_refused_while_many_segments_wait_and_never_in_its_middle() -> None:
    host, recorder = HeldHost(), Recorder()
    few = SchedulerConfig(bulk_queue=1)
    async with running_calls(host, scheduler_config=few, priority=Priority.BULK) as calls:
        call = begin(calls, recorder)
        call.open_leg(8000).push(phrase(*[(0.6, 0.8)] * 5))
        await recorder.until(SpeechStarted, 5)  # the segments before it are closed
        with pytest.raises(Overloaded, match=r"^\d segments of recordings wait, the limit"):
            calls.open(door="test", call_id=CallId("other"), peer="")
        host.released.set()
        await asyncio.wait_for(call.end("eof"), TIMEOUT_S)
        calls.open(door="test", call_id=CallId("other"), peer="")
    finals = [(final.segment, final.error) for final in recorder.of(Final)]
    assert finals == [(segment, None) for segment in range(5)]
