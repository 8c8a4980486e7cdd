"""Streams seen from the server: every one that ends is answered once, whatever the engine tells."""

import asyncio

import numpy as np
import pytest

from ruasr_tel.engines import wire
from ruasr_tel.engines.base import PLAIN, DecodeOptions, Hypothesis
from ruasr_tel.engines.hearing import MAX_BEHIND_S, Hearings
from ruasr_tel.engines.wire import Audio, Flag, Heard
from ruasr_tel.errors import DecodeError, EngineDied
from ruasr_tel.testing import TIMEOUT_S
from ruasr_tel.types import Samples

RATE_HZ = 8000
YES = Hypothesis("да")


class Rig:
    def __init__(self) -> None:
        self.now_s = 100.0
        self.sent: list[Audio] = []
        self.hearings = Hearings(self.sent.append, lambda: self.now_s)

    def flags(self) -> list[tuple[int, Flag]]:
        return [(piece.stream, piece.flags) for piece in self.sent]


def audio(seconds: float) -> Samples:
    return np.zeros(int(seconds * RATE_HZ), dtype=np.int16)


async def test_a_stream_says_what_it_wants_once_and_gets_one_answer() -> None:
    rig = Rig()
    options = DecodeOptions(("да",))
    hearing, texts = rig.hearings.open(RATE_HZ, options), list[str]()
    hearing.on_text = texts.append
    assert (rig.sent, len(rig.hearings)) == ([], 1)
    hearing.push(audio(0.5))
    hearing.push(audio(0.25))
    assert (hearing.unheard_s, rig.hearings.owed_s) == (0.75, 0.75)
    rig.hearings.receive(Heard(1, ((1, 1, "д"),)))
    rig.hearings.receive(Heard(2, ((1, 2, None),)))
    hearing.push(audio(0.1), last=True)
    hearing.push(audio(0.1))  # it is over
    rig.hearings.receive(wire.Finished(1, YES))
    rig.hearings.receive(wire.Lost(1, "too late"))
    rig.hearings.receive(Heard(3, ()))
    assert await asyncio.wait_for(hearing.result, TIMEOUT_S) == YES
    assert rig.flags() == [(1, Flag.FIRST), (1, Flag.MIDDLE), (1, Flag.LAST)]
    assert [piece.options for piece in rig.sent] == [options, PLAIN, PLAIN]
    assert (texts, len(rig.hearings), rig.hearings.owed_s) == (["д"], 0, 0.0)


async def test_a_stream_that_nobody_waits_for_is_dropped_once() -> None:
    rig = Rig()
    hearing = rig.hearings.open(RATE_HZ, PLAIN)
    hearing.push(audio(0.5))
    hearing.cancel()
    hearing.cancel()
    hearing.push(audio(0.5), last=True)
    assert hearing.result.cancelled()
    assert rig.flags() == [(1, Flag.FIRST), (1, Flag.DROP)]
    rig.hearings.receive(wire.Finished(1, YES))
    rig.hearings.receive(Heard(2, ((1, 1, "да"),)))
    assert not rig.hearings.waits


async def test_a_stream_that_the_engine_loses_says_why() -> None:
    rig = Rig()
    hearing, other = rig.hearings.open(RATE_HZ, PLAIN), rig.hearings.open(RATE_HZ, PLAIN)
    hearing.push(audio(0.5))
    other.push(audio(0.5))
    rig.hearings.receive(wire.Lost(1, "too loud"))
    with pytest.raises(DecodeError, match=r"^too loud$"):
        await asyncio.wait_for(hearing.result, TIMEOUT_S)
    assert hearing.lost
    assert not other.lost
    rig.hearings.fail(EngineDied("killed"))
    with pytest.raises(EngineDied, match=r"^killed$"):
        await asyncio.wait_for(other.result, TIMEOUT_S)
    other.push(audio(0.5), last=True)
    assert len(rig.sent) == 2


async def test_audio_that_the_engine_does_not_keep_up_with_is_not_kept_for_it() -> None:
    rig = Rig()
    slow, fine = rig.hearings.open(RATE_HZ, PLAIN), rig.hearings.open(RATE_HZ, PLAIN)
    slow.push(audio(15.0))  # however much at once
    fine.push(audio(1.0))
    rig.now_s += MAX_BEHIND_S
    slow.push(audio(0.1))
    assert not slow.lost
    rig.hearings.receive(Heard(1, ((2, 1, "да"),)))
    rig.now_s += 0.1
    slow.push(audio(0.1))
    fine.push(audio(0.1))
    with pytest.raises(DecodeError, match=r"^the engine is 5\.1 s behind this stream$"):
        await asyncio.wait_for(slow.result, TIMEOUT_S)
    assert not fine.lost
    assert rig.flags()[-2:] == [(1, Flag.DROP), (2, Flag.MIDDLE)]


async def test_the_lag_is_how_long_nothing_was_taken_in() -> None:
    rig = Rig()
    hearing = rig.hearings.open(RATE_HZ, PLAIN)
    assert (rig.hearings.lag_s, rig.hearings.waits) == (0.0, False)
    hearing.push(audio(1.0))
    rig.now_s += 2.0
    hearing.push(audio(0.5))
    assert (rig.hearings.lag_s, rig.hearings.owed_s) == (2.0, 1.5)
    rig.hearings.receive(Heard(1, ((1, 1, None),)))
    rig.now_s += 0.5
    assert (rig.hearings.lag_s, rig.hearings.owed_s) == (0.5, 0.5)
    hearing.cancel()
    assert rig.hearings.waits  # the engine still holds it: should it hang, that shows
    rig.hearings.receive(Heard(3, ()))
    assert (rig.hearings.lag_s, rig.hearings.owed_s) == (0.0, 0.0)


async def test_the_work_on_streams_is_shared_by_their_audio() -> None:
    rig = Rig()
    told: list[tuple[int, float, float]] = []
    streams = [rig.hearings.open(RATE_HZ, PLAIN) for _ in range(3)]
    for number, stream in enumerate(streams, 1):
        stream.on_work = lambda busy_s, audio_s, number=number: told.append(
            (number, busy_s, audio_s)
        )
        stream.push(audio(1.0))
        stream.push(audio(2.0), last=number == 2)
    rig.hearings.receive(wire.Finished(2, YES))
    rig.hearings.receive(Heard(3, ((1, 1, "да"),), 0.5))
    assert told == [(2, 0.375, 3.0), (1, 0.125, 1.0)]
    streams[2].cancel()
    rig.hearings.receive(Heard(5, ((3, 2, "да"),), 0.25))  # nobody waits for it any more
    rig.hearings.receive(Heard(6, ((1, 2, None),), 0.125))
    assert told[2:] == [(1, 0.375, 2.0)]
    rig.hearings.receive(Heard(6, (), 0.125))
    assert len(told) == 3


async def test_only_the_end_of_the_process_is_a_death() -> None:
    rig = Rig()
    streams = [rig.hearings.open(RATE_HZ, PLAIN) for _ in range(4)]
    streams[0].cancel()
    streams[1].fail(DecodeError("too loud"))
    streams[2].finish(YES)
    assert not any(stream.died for stream in streams)
    rig.hearings.fail(EngineDied("killed"))
    assert [stream.died for stream in streams] == [False, False, False, True]
