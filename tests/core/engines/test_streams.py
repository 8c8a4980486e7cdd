"""Streams in the engine process: gathered, advanced together, each ended or lost exactly once."""

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruasr_tel.engines import scripted, wire
from ruasr_tel.engines.base import DecodeOptions, EngineSpec, Hypothesis, Piece
from ruasr_tel.engines.prepare import prepare
from ruasr_tel.engines.scripted import ScriptedEngine, create
from ruasr_tel.engines.streams import Streams
from ruasr_tel.engines.wire import Flag
from ruasr_tel.testing import TIMEOUT_S
from ruasr_tel.types import Samples

RATE_HZ = 8000


def engine(**options: str | int | float | bool) -> ScriptedEngine:
    return create(EngineSpec("scripted", "scripted", options={"streaming": True, **options}))


def audio(seconds: float, loudest: int = 500) -> Samples:
    samples = np.zeros(int(seconds * RATE_HZ), dtype=np.int16)
    samples[-1:] = loudest
    return samples


class Rig:
    """Streams of one engine that the test drives by itself, on its own clock."""

    def __init__(self, engine: ScriptedEngine) -> None:
        self.told: list[wire.Message] = []
        self.now_s = 100.0
        self.streams = Streams(engine, self.told.append, lambda: self.now_s)

    def put(
        self,
        number: int,
        samples: Samples,
        flags: Flag = Flag.MIDDLE,
        options: DecodeOptions | None = None,
    ) -> None:
        piece = wire.Audio(number, samples, RATE_HZ, flags, options or DecodeOptions())
        self.streams.put(piece)

    def step(self) -> list[wire.Message]:
        """Advance what is due now; return what is told."""
        self.told.clear()
        self.streams.step()
        return list(self.told)


def test_streams_with_news_advance_together() -> None:
    rig = Rig(engine())
    rig.put(1, audio(0.5), Flag.FIRST)
    rig.put(2, audio(0.3), Flag.FIRST)
    rig.put(2, audio(0.7))
    assert rig.step() == [wire.Heard(3, ((1, 1, "слово"), (2, 2, "слово слово")))]
    assert rig.step() == []
    rig.put(1, audio(0.1))
    assert rig.step() == [wire.Heard(4, ((1, 2, None),))]


def test_the_last_piece_brings_the_answer_to_all_of_it() -> None:
    rig = Rig(engine(confidence=True))
    rig.put(1, audio(0.6), Flag.FIRST)
    rig.step()
    rig.put(1, audio(0.6), Flag.LAST)
    finished, heard = rig.step()
    assert heard == wire.Heard(2, ())
    assert isinstance(finished, wire.Finished)
    assert finished.hypothesis == engine(confidence=True).decode([np.ones(9600, np.float32)])[0]


def test_a_batching_engine_advances_by_the_tick_but_ends_are_not_held_back() -> None:
    rig = Rig(engine(chunk_s=0.3))
    rig.put(1, audio(0.1), Flag.FIRST)
    assert rig.step() == [wire.Heard(1, ((1, 1, "слово"),))]  # the first tick
    rig.now_s += 0.1
    rig.put(1, audio(0.1))
    rig.put(2, audio(0.1), Flag.FIRST)
    assert rig.streams.step() == pytest.approx(0.2)
    rig.put(3, audio(0.5), Flag.FIRST | Flag.LAST)
    finished, heard = rig.step()
    assert finished == wire.Finished(3, Hypothesis("слово", (" слово",), (0.0,)))
    assert heard == wire.Heard(2, ())
    rig.now_s += 0.2
    assert rig.step() == [wire.Heard(4, ((1, 2, None), (2, 1, "слово")))]


def test_an_error_loses_the_streams_that_were_advanced_and_no_others() -> None:
    rig = Rig(engine())
    for number in (1, 2, 3):
        rig.put(number, audio(0.5), Flag.FIRST)
    rig.step()
    rig.put(1, audio(0.5, scripted.RAISES))
    rig.put(2, audio(0.5))
    reason = "a segment holds the marker RAISES"
    told = rig.step()
    assert [one for one in told if isinstance(one, wire.Lost)] == [
        wire.Lost(1, told[0].reason),  # type: ignore[union-attr]  # that is what is asserted
        wire.Lost(2, told[0].reason),  # type: ignore[union-attr]
    ]
    assert reason.split()[-1] in str(told[0])
    assert told[-1] == wire.Heard(5, ())
    rig.put(1, audio(0.5), Flag.LAST)  # nobody knows it any more
    rig.put(3, audio(0.5), Flag.LAST)
    finished, heard = rig.step()
    assert isinstance(finished, wire.Finished)
    assert (finished.stream, heard) == (3, wire.Heard(7, ()))


def test_it_is_told_how_long_the_engine_worked() -> None:
    class Working(ScriptedEngine):
        def advance(self, pieces: Sequence[Piece]) -> list[Hypothesis]:
            rig.now_s += 0.25
            return super().advance(pieces)

    rig = Rig(Working(EngineSpec("scripted", "scripted", options={"streaming": True})))
    rig.put(1, audio(0.5), Flag.FIRST)
    assert rig.step() == [wire.Heard(1, ((1, 1, "слово"),), 0.25)]
    rig.put(1, audio(0.5, scripted.RAISES))
    lost, heard = rig.step()
    assert (type(lost), heard) == (wire.Lost, wire.Heard(2, (), 0.25))
    rig.put(2, audio(0.0), Flag.FIRST | Flag.DROP)
    assert rig.step() == [wire.Heard(3, ())]


def test_a_wrong_count_of_answers_loses_the_streams() -> None:
    rig = Rig(engine())
    rig.put(1, audio(0.5, scripted.MISCOUNTS), Flag.FIRST)
    assert rig.step()[0] == wire.Lost(1, "the engine gave 2 answers to 1 streams")


def test_a_rate_that_nothing_can_be_done_with_loses_its_stream_alone() -> None:
    rig = Rig(engine())
    rig.streams.put(wire.Audio(1, audio(0.5), 0, Flag.FIRST))
    rig.put(2, audio(0.5), Flag.FIRST)
    lost, heard = rig.step()
    assert isinstance(lost, wire.Lost)
    assert lost.reason.startswith("AudioFormatError: 0 Hz cannot be raised to 8000 Hz")
    assert heard == wire.Heard(2, ((2, 1, "слово"),))


def test_a_dropped_stream_is_forgotten_and_its_pieces_are_accounted_for() -> None:
    rig = Rig(engine(chunk_s=0.3))
    rig.put(1, audio(0.5), Flag.FIRST)
    rig.put(1, audio(0.0), Flag.DROP)
    assert rig.step() == [wire.Heard(2, ())]
    rig.put(1, audio(0.5), Flag.LAST)
    assert rig.step() == [wire.Heard(3, ())]


def test_a_short_stream_is_as_long_as_the_model_needs_and_its_times_are_its_own() -> None:
    heard: list[Piece] = []

    class Listening(ScriptedEngine):
        def advance(self, pieces: Sequence[Piece]) -> list[Hypothesis]:
            heard.extend(pieces)
            return [Hypothesis("да", ("да",), (0.3,))]

    spec = EngineSpec("scripted", "x", min_segment_s=0.5, options={"streaming": True})
    rig = Rig(Listening(spec))
    rig.put(1, audio(0.2), Flag.FIRST | Flag.LAST)
    assert rig.step()[0] == wire.Finished(1, Hypothesis("да", ("да",), (0.2,)))
    assert len(heard[0].samples) == RATE_HZ // 2
    rig.put(2, audio(0.0), Flag.FIRST | Flag.LAST)
    assert rig.step()[0] == wire.Finished(2, Hypothesis("да", ("да",), (0.0,)))


@pytest.mark.parametrize(("rate_hz", "engine_hz"), [(8000, 16000), (48000, 16000), (8000, 8000)])
def test_a_stream_comes_at_the_engines_rate_and_whole(rate_hz: int, engine_hz: int) -> None:
    heard: list[Piece] = []

    class Listening(ScriptedEngine):
        def advance(self, pieces: Sequence[Piece]) -> list[Hypothesis]:
            heard.extend(pieces)
            return [Hypothesis("")]

    options: dict[str, Any] = {"streaming": True, "sample_rate_hz": engine_hz}
    spec = EngineSpec("scripted", "x", options=options)
    rig = Rig(Listening(spec))
    tone = np.rint(9000 * np.sin(np.arange(rate_hz) * 2 * np.pi * 440 / rate_hz)).astype(np.int16)
    parts = np.array_split(tone, 13)
    for index, part in enumerate(parts):
        flags = Flag.FIRST * (index == 0) | Flag.LAST * (index == 12)
        rig.streams.put(wire.Audio(1, part, rate_hz, Flag(flags)))
        rig.step()
    whole = np.concatenate([piece.samples for piece in heard])
    expected = prepare(tone, rate_hz, rig.streams._engine.info)
    assert abs(len(whole) - len(expected)) <= 1
    inside = slice(engine_hz // 100, engine_hz - engine_hz // 100)
    assert np.abs(whole[inside] - expected[inside]).max() < 0.005


STEPS = st.lists(
    st.tuples(st.sampled_from(("audio", "last", "drop", "bad", "step", "tick")), st.integers(0, 3)),
    max_size=40,
)


@given(steps=STEPS, chunk_s=st.sampled_from((0.0, 0.3)))
def test_every_stream_that_ends_is_answered_once_and_every_piece_is_taken(
    steps: list[tuple[str, int]], chunk_s: float
) -> None:
    rig = Rig(engine(chunk_s=chunk_s))
    told: list[wire.Message] = []
    numbers, sent = list(range(4)), 0
    ended, dropped, spoken = set[int](), set[int](), dict[int, bool]()
    for what, which in steps:
        number = numbers[which]
        if what == "tick":
            rig.now_s += 0.3
        elif what == "step":
            told += rig.step()
        else:
            samples = audio(0.5, scripted.CRASHES if what == "bad" else 500)
            first = Flag.FIRST if number not in spoken else Flag.MIDDLE
            kind = {"last": Flag.LAST, "drop": Flag.DROP}.get(what, Flag.MIDDLE)
            rig.put(number, samples, first | kind)
            spoken[number] = what == "bad" or spoken.get(number, False)
            sent += 1
            if kind:
                {Flag.LAST: ended, Flag.DROP: dropped}[kind].add(number)
                numbers[which] = 100 + sent  # numbers are not used again
    rig.now_s += 1.0
    told += rig.step()
    answers = [one.stream for one in told if isinstance(one, wire.Finished | wire.Lost)]
    assert len(answers) == len(set(answers))
    assert ended <= set(answers)
    finished = {one.stream for one in told if isinstance(one, wire.Finished)}
    assert not finished & dropped
    assert all(not spoken[number] for number in finished)
    totals = [one.pieces for one in told if isinstance(one, wire.Heard)]
    assert totals == sorted(totals)
    assert (totals[-1] if totals else 0) == sent


def test_its_thread_waits_for_news_and_takes_all_of_it() -> None:
    done = threading.Event()
    told: list[wire.Message] = []

    def tell(message: wire.Message) -> None:
        told.append(message)
        if sum(isinstance(one, wire.Finished) for one in told) == 20:
            done.set()

    streams = Streams(engine(chunk_s=0.01), tell)
    threading.Thread(target=streams.run, daemon=True).start()
    for number in range(20):
        streams.put(wire.Audio(number, audio(0.3), RATE_HZ, Flag.FIRST))
        streams.put(wire.Audio(number, audio(0.3), RATE_HZ, Flag.LAST))
    assert done.wait(TIMEOUT_S)
    assert not [one for one in told if isinstance(one, wire.Lost)]
