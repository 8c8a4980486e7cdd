import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import structlog

from ruasr_tel.testing import TIMEOUT_S
from ruasr_tel.types import Waveform
from ruasr_tel.vad.base import Probabilities, VadConfig, VadState
from ruasr_tel.vad.batcher import VadBatcher, _Entry
from ruasr_tel.vad.silero import SileroVad

MODEL = Path(__file__).parents[3] / "models/silero-vad/silero_vad_op18_ifless.onnx"


def windows(*values: float) -> Waveform:
    """One window per value, filled with it."""
    return np.repeat(np.array(values, np.float32)[:, None], 256, axis=1)


class EchoVad:
    """Answers each window with its first sample; can be made to wait or to fail."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()
        self.error: Exception | None = None
        self.short = False

    def new_state(self) -> VadState:
        return VadState()

    def score(self, work: Sequence[tuple[VadState, Waveform]]) -> list[Probabilities]:
        self.batches.append([len(part) for _, part in work])
        self.entered.set()
        assert self.gate.wait(TIMEOUT_S)
        if self.error is not None:
            raise self.error
        return [part[1:, 0] if self.short else part[:, 0] for _, part in work]


class Leg:
    """A source that keeps what it was told."""

    def __init__(self, vad_state: VadState) -> None:
        self.vad_state = vad_state
        self.waiting: list[float] = []
        self.heard: list[float] = []
        self.taken = 0
        self.on_heard: Callable[[], None] = lambda: None
        self._changed = asyncio.Event()

    def take_windows(self) -> Waveform:
        taken, self.waiting = self.waiting, []
        self.taken += 1
        self._changed.set()
        return windows(*taken)

    def on_probabilities(self, probabilities: Sequence[float]) -> None:
        self.heard.extend(probabilities)
        self.on_heard()
        self._changed.set()

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            while not done():
                self._changed.clear()
                await self._changed.wait()


class Setup:
    def __init__(self) -> None:
        self.vad = EchoVad()
        self.batcher = VadBatcher(self.vad, VadConfig(tick_ms=2))

    def leg(self, *values: float) -> Leg:
        leg = Leg(self.batcher.new_state())
        leg.waiting.extend(values)
        self.batcher.add(leg)
        return leg


@pytest.fixture
async def setup() -> AsyncIterator[Setup]:
    setup = Setup()
    await setup.batcher.start()
    yield setup
    setup.vad.gate.set()
    await setup.batcher.close()


async def entered(vad: EchoVad) -> None:
    """Wait until the detector is at work."""
    assert await asyncio.to_thread(vad.entered.wait, TIMEOUT_S)


async def test_a_source_in_a_hurry_is_scored_alone_between_two_ticks() -> None:
    vad = EchoVad()
    batcher = VadBatcher(vad, VadConfig.model_construct(tick_ms=3_600_000))
    hasty, other = Leg(batcher.new_state()), Leg(batcher.new_state())
    for leg in (hasty, other):
        leg.waiting.append(0.25)
        batcher.add(leg)
    await batcher.start()
    await other.until(lambda: other.heard == [0.25])  # the first tick
    for leg in (hasty, other):
        leg.waiting.append(0.75)
    batcher.hurry(hasty)
    batcher.hurry(Leg(batcher.new_state()))  # not there any more
    await hasty.until(lambda: hasty.heard == [0.25, 0.75])
    assert (other.waiting, other.heard) == ([0.75], [0.25])
    assert vad.batches == [[1, 1], [1]]
    await batcher.close()


async def test_every_window_is_answered_once_and_in_order(setup: Setup) -> None:
    leg = setup.leg(0.0, 0.25)
    await leg.until(lambda: len(leg.heard) == 2)
    leg.waiting.extend((0.5, 0.75, 1.0))
    await leg.until(lambda: len(leg.heard) == 5)

    assert leg.heard == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert all(isinstance(probability, float) for probability in leg.heard)
    assert setup.batcher.windows_scored == 5
    assert setup.batcher.failures == 0


async def test_legs_that_wait_together_are_scored_together(setup: Setup) -> None:
    legs = [setup.leg(index / 4, index / 4) for index in range(4)]
    await legs[-1].until(lambda: all(len(leg.heard) == 2 for leg in legs))

    assert setup.vad.batches == [[2, 2, 2, 2]]
    assert [leg.heard for leg in legs] == [[0.0] * 2, [0.25] * 2, [0.5] * 2, [0.75] * 2]


async def test_the_detector_is_left_alone_when_nothing_waits(setup: Setup) -> None:
    leg = setup.leg()
    await leg.until(lambda: leg.taken >= 5)

    assert setup.vad.batches == []


async def test_nobody_here_means_no_ticks(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    ticks: list[int] = []
    collect = setup.batcher._collect

    def counted(entries: Sequence[_Entry]) -> None:
        ticks.append(1)
        collect(entries)

    monkeypatch.setattr(setup.batcher, "_collect", counted)
    leg = setup.leg(0.5)
    await leg.until(lambda: leg.heard == [0.5] and leg.taken >= 3)
    setup.batcher.remove(leg)
    before = len(ticks)

    clock = Setup()  # ticks as fast
    await clock.batcher.start()
    other = clock.leg()
    await other.until(lambda: other.taken >= 10)
    await clock.batcher.close()

    assert len(ticks) <= before + 1  # the one that was under way
    back = setup.leg(0.75)
    await back.until(lambda: back.heard == [0.75])


async def test_a_fast_file_does_not_delay_a_live_leg(setup: Setup) -> None:
    setup.vad.gate.clear()
    file = setup.leg(*([0.25] * 5000))
    await entered(setup.vad)  # the file's first batch is at work
    live = setup.leg(0.5)
    setup.vad.gate.set()
    before_live: list[int] = []
    live.on_heard = lambda: before_live.append(len(file.heard))
    await live.until(lambda: live.heard == [0.5])
    await file.until(lambda: len(file.heard) == 5000)

    assert max(map(sum, setup.vad.batches)) <= 64
    assert max(map(max, setup.vad.batches)) <= 16
    assert before_live[0] < 5000  # at the next tick, not after the file
    assert file.heard == [0.25] * 5000


async def test_many_legs_get_one_window_each_in_a_batch(setup: Setup) -> None:
    setup.vad.gate.clear()
    first = setup.leg(0.5)
    await entered(setup.vad)
    legs = [setup.leg(0.0, 0.5, 1.0) for _ in range(100)]
    setup.vad.gate.set()
    await first.until(lambda: first.heard == [0.5])
    await legs[-1].until(lambda: all(len(leg.heard) == 3 for leg in legs))

    assert setup.vad.batches == [[1], [1] * 100, [1] * 100, [1] * 100]
    assert all(leg.heard == [0.0, 0.5, 1.0] for leg in legs)


def test_many_legs_are_scored_half_as_often() -> None:
    setup = Setup()
    legs = [setup.leg() for _ in range(15)]
    assert setup.batcher.tick_s == 0.002
    last = setup.leg()
    assert setup.batcher.tick_s == 0.004
    setup.batcher.remove(legs[0])
    assert setup.batcher.tick_s == 0.002
    assert last.taken == 0


async def test_a_leg_removed_while_its_windows_are_scored_is_left_alone(setup: Setup) -> None:
    setup.vad.gate.clear()
    gone, stays = setup.leg(0.25), setup.leg(0.5)
    await entered(setup.vad)
    setup.batcher.remove(gone)
    setup.batcher.remove(gone)  # a second time does no harm
    setup.vad.gate.set()
    await stays.until(lambda: stays.heard == [0.5])

    assert gone.heard == []
    assert setup.batcher.windows_scored == 2


async def test_a_leg_may_leave_and_join_in_its_own_callback(setup: Setup) -> None:
    first, second = setup.leg(0.25), setup.leg(0.5)
    joined = Leg(setup.batcher.new_state())
    joined.waiting = [1.0]

    def swap() -> None:
        setup.batcher.remove(second)
        setup.batcher.add(joined)

    first.on_heard = swap
    await joined.until(lambda: joined.heard == [1.0])

    assert (first.heard, second.heard) == ([0.25], [])


async def test_a_leg_whose_callback_fails_does_not_hurt_the_others(setup: Setup) -> None:
    bad, good = setup.leg(0.25), setup.leg(0.5)

    def fail() -> None:
        raise RuntimeError("planted")

    bad.on_heard = fail
    with structlog.testing.capture_logs() as logs:
        await good.until(lambda: good.heard == [0.5])
        bad.waiting.append(0.75)
        good.waiting.append(0.75)
        await good.until(lambda: good.heard == [0.5, 0.75])

    assert bad.heard == [0.25, 0.75]
    assert [(line["event"], line["method"], line["log_level"]) for line in logs] == [
        ("a leg failed in the voice activity tick", "on_probabilities", "error")
    ]


async def test_a_leg_that_cannot_hand_over_does_not_hurt_the_others(
    setup: Setup, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> Waveform:
        raise RuntimeError("planted")

    with structlog.testing.capture_logs() as logs:
        bad = Leg(setup.batcher.new_state())
        monkeypatch.setattr(bad, "take_windows", fail)
        setup.batcher.add(bad)
        good = setup.leg(0.5)
        await good.until(lambda: good.heard == [0.5] and good.taken > 3)

    assert [line["method"] for line in logs] == ["take_windows"]


async def test_a_failed_detector_makes_all_audio_speech_and_one_log_line(setup: Setup) -> None:
    setup.vad.error = RuntimeError("planted")
    with structlog.testing.capture_logs() as logs:
        first, second = setup.leg(0.0, 0.0), setup.leg(0.0)
        await first.until(lambda: first.heard == [1.0, 1.0])
        first.waiting.append(0.0)
        await first.until(lambda: first.heard == [1.0, 1.0, 1.0])
        failures = setup.batcher.failures
        setup.vad.error = None
        first.waiting.append(0.25)
        await first.until(lambda: first.heard == [1.0, 1.0, 1.0, 0.25])

    assert second.heard == [1.0]
    assert failures == 2
    assert setup.batcher.windows_scored == 5
    assert [(line["event"], line["log_level"]) for line in logs] == [
        ("voice activity detector failed: all audio counts as speech", "error"),
        ("voice activity detector works again", "warning"),
    ]
    assert logs[0]["exc_info"]


async def test_a_detector_that_miscounts_has_failed(setup: Setup) -> None:
    setup.vad.short = True
    leg = setup.leg(0.0, 0.0)
    await leg.until(lambda: leg.heard == [1.0, 1.0])

    assert setup.batcher.failures == 1


async def test_closing_stops_even_while_the_detector_works() -> None:
    setup = Setup()
    await setup.batcher.start()
    setup.vad.gate.clear()
    leg = setup.leg(0.5)
    await entered(setup.vad)
    async with asyncio.timeout(TIMEOUT_S):
        await setup.batcher.close()
    setup.vad.gate.set()

    assert leg.heard == []


async def test_closing_before_starting_does_nothing() -> None:
    await VadBatcher(EchoVad(), VadConfig()).close()


async def test_cpu_of_the_real_detector_is_counted() -> None:
    batcher = VadBatcher(SileroVad(MODEL), VadConfig(tick_ms=1))
    leg = Leg(batcher.new_state())
    leg.waiting = [0.0] * 200
    batcher.add(leg)
    await batcher.start()
    await leg.until(lambda: len(leg.heard) == 200)
    await batcher.close()

    assert batcher.windows_scored == 200
    assert 0.001 < batcher.cpu_s < 2
    assert max(leg.heard) < 0.5
