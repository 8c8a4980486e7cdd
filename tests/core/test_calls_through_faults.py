"""Twenty calls at once, over an engine process that is killed, hangs and raises."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import numpy as np
import pytest

from ruasr_tel.call import Calls
from ruasr_tel.engines import scripted
from ruasr_tel.engines.base import EngineSpec
from ruasr_tel.engines.process import EngineProcess, EngineProcessConfig
from ruasr_tel.events import CallEnded, Final, SpeechStarted
from ruasr_tel.partials import PartialsConfig
from ruasr_tel.profile import Profile
from ruasr_tel.scheduler import SchedulerConfig
from ruasr_tel.testing import TIMEOUT_S, Recorder, phrase, running_calls, silence, tone
from ruasr_tel.types import CallId, Samples

CALLS = 20
HANGS_AFTER_S = TIMEOUT_S / 10
QUIET = Profile(partials=PartialsConfig(enabled=False))


@asynccontextmanager
async def engine(
    *, hang_timeout_s: float = TIMEOUT_S, **options: str | float
) -> AsyncIterator[EngineProcess]:
    spec = EngineSpec("scripted", "scripted", threads=2, options=options)
    config = EngineProcessConfig(
        hang_timeout_s=hang_timeout_s, hang_timeout_per_audio_s=0.0, restart_delay_s=0.01
    )
    process = EngineProcess(spec, config)
    await process.start()
    try:
        yield process
    finally:
        await process.close()


def begin(calls: Calls, name: str, recorder: Recorder, audio: Samples) -> "asyncio.Task[None]":
    """Begin a call whose audio comes at once; it ends when all its finals are out."""
    call = calls.open(door="test", call_id=CallId(name), peer="", on_event=recorder)
    leg = call.open_leg(8000)
    for at in range(0, len(audio), 1600):
        leg.push(audio[at : at + 1600])
    return asyncio.create_task(call.end("eof"))


async def all_of(tasks: Sequence["asyncio.Task[None]"]) -> None:
    async with asyncio.timeout(3 * TIMEOUT_S):
        await asyncio.gather(*tasks)


def marked(marker: int) -> Samples:
    """Return a phrase that makes the engine misbehave."""
    return np.concatenate([np.clip(tone(1.0), -marker, marker).astype(np.int16), silence(1.0)])


def check(recorder: Recorder, finals: int) -> list[Final]:
    """Return the finals of a call that lost nothing."""
    (over,) = recorder.of(CallEnded)
    (ledger,) = over.ledgers.values()
    assert ledger.difference == 0
    got = recorder.of(Final)
    assert [final.segment for final in got] == list(range(finals))
    assert over.finals == finals
    return got


@pytest.mark.parametrize("profile", [Profile(), QUIET], ids=["with partials", "without"])
async def test_a_killed_engine_costs_no_call_a_final(profile: Profile) -> None:
    recorders = [Recorder() for _ in range(CALLS)]
    async with (
        engine(delay_s=0.02) as process,
        running_calls(process, profiles={"default": profile}) as calls,
    ):
        first = process.pid
        assert first is not None
        audio = phrase((0.7, 0.8), (1.2, 0.8), (0.4, 0.8))
        ends = [begin(calls, f"call {n}", each, audio) for n, each in enumerate(recorders)]
        await asyncio.gather(*(each.until(SpeechStarted) for each in recorders))
        await recorders[0].until(Final)  # under way, but far from done
        os.kill(first, signal.SIGKILL)
        await all_of(ends)
        assert process.restarts == 1
        assert process.pid != first
    for recorder in recorders:
        finals = check(recorder, 3)
        assert [final.error for final in finals] == [None] * 3
        assert all(final.text for final in finals)
        (ledger,) = recorder.of(CallEnded)[0].ledgers.values()
        assert ledger.dropped == {}


@pytest.mark.parametrize(
    ("marker", "reason"),
    [
        (scripted.RAISES, "the segment holds the marker RAISES"),
        (scripted.CRASHES, "RuntimeError: the segment holds the marker CRASHES"),
        (scripted.MISCOUNTS, "the engine gave 2 answers to 1 segments"),
        (
            scripted.DIES,
            "the segment ended the engine process twice (exit code 139); not tried again",
        ),
        (
            scripted.HANGS,
            "the segment ended the engine process twice (a decode did not come back within "
            f"{HANGS_AFTER_S:.1f} s); not tried again",
        ),
    ],
)
async def test_what_one_segment_does_to_the_engine_hurts_no_other(marker: int, reason: str) -> None:
    recorders = [Recorder() for _ in range(CALLS)]
    hit = recorders.pop()
    async with (
        engine(hang_timeout_s=HANGS_AFTER_S) as process,
        running_calls(
            process,
            profiles={"default": QUIET},
            scheduler_config=SchedulerConfig(final_timeout_s=3 * TIMEOUT_S),
        ) as calls,
    ):
        good = phrase((0.7, 0.8), (1.2, 0.8))
        bad = np.concatenate([phrase((0.7, 0.8)), marked(marker), phrase((0.7, 0.8))])
        ends = [begin(calls, "hit", hit, bad)]
        ends += [begin(calls, f"call {n}", each, good) for n, each in enumerate(recorders)]
        await all_of(ends)
        assert bool(process.restarts) == (marker in (scripted.DIES, scripted.HANGS))
    for recorder in recorders:
        assert [final.error for final in check(recorder, 2)] == [None, None]
    before, empty, after = check(hit, 3)
    assert (before.error, after.error) == (None, None)
    assert (empty.text, empty.error) == ("", reason)
    (ledger,) = hit.of(CallEnded)[0].ledgers.values()
    assert list(ledger.dropped) == ["not decoded"]
