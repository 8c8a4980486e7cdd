"""What the tests of segments in streams are written with: nothing happens at a time of its own."""

import asyncio
import time
from collections.abc import Sequence
from typing import cast

import numpy as np

from ruasr_tel.boundary import BoundaryConfig
from ruasr_tel.engines import wire
from ruasr_tel.engines.base import (
    PLAIN,
    DecodeOptions,
    EngineInfo,
    EngineSpec,
    Hypothesis,
    StreamingEngine,
)
from ruasr_tel.engines.hearing import Hearing, Hearings
from ruasr_tel.engines.prepare import prepare
from ruasr_tel.engines.scripted import create
from ruasr_tel.engines.streams import Streams
from ruasr_tel.errors import EngineDied
from ruasr_tel.events import Event, Final
from ruasr_tel.leg import Leg
from ruasr_tel.profile import Profile
from ruasr_tel.scheduler import Scheduler
from ruasr_tel.segments import Surroundings
from ruasr_tel.testing import TIMEOUT_S
from ruasr_tel.types import CallId, LegId, Samples
from ruasr_tel.vad import VadBatcher, VadConfig
from ruasr_tel.vad.energy import EnergyVad

STREAMING = EngineSpec("scripted", "scripted", options={"streaming": True, "alternatives": 2})
SHORT = Profile(boundary=BoundaryConfig(max_segment_s=2.0))


class DrivenHost:
    """A streaming engine that advances, loses streams and dies when the test says so."""

    def __init__(self, engine: StreamingEngine | None = None) -> None:
        self.engine = engine or cast(StreamingEngine, create(STREAMING))
        self.slots = 1
        self.decodes = 0
        self.alive = True
        self.messages: list[wire.Message] = []
        self.begin()

    def begin(self) -> None:
        self.streams = Streams(self.engine, self.messages.append)
        self.hearings = Hearings(self.streams.put)

    @property
    def info(self) -> EngineInfo:
        return self.engine.info

    async def ready(self) -> None: ...

    async def decode(
        self, batch: Sequence[tuple[Samples, int]], options: DecodeOptions = PLAIN
    ) -> list[Hypothesis]:
        self.decodes += 1
        return self.engine.decode([prepare(*one, self.info) for one in batch], options)

    def open_stream(self, sample_rate_hz: int, options: DecodeOptions = PLAIN) -> Hearing | None:
        return self.hearings.open(sample_rate_hz, options) if self.alive else None

    @property
    def lag_s(self) -> float:
        return self.hearings.lag_s

    def step(self) -> None:
        self.streams.step()
        self.deliver()

    async def until(self, *flushes: "asyncio.Task[None]") -> None:
        """Step until all of them are through."""
        async with asyncio.timeout(TIMEOUT_S):
            while not all(flush.done() for flush in flushes):
                self.step()
                await asyncio.sleep(0)

    def deliver(self) -> None:
        for message in self.messages:
            assert isinstance(message, wire.Heard | wire.Finished | wire.Lost)
            self.hearings.receive(message)
        self.messages.clear()

    def die(self) -> None:
        self.messages.clear()
        lost = self.hearings
        self.begin()
        lost.fail(EngineDied("killed by SIGKILL"))


class DrivenLeg:
    """A leg whose audio is scored by the test: nothing happens at a time of its own."""

    def __init__(
        self,
        index: int,
        host: DrivenHost,
        scheduler: Scheduler,
        streams: Scheduler | None = None,
        finish_timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.events: list[Event] = []
        batcher = VadBatcher(EnergyVad(), VadConfig())  # not started
        around = Surroundings(
            scheduler,
            batcher,
            self.events.append,
            time.monotonic,
            finish_timeout_s,
            streams=streams or scheduler,
        )
        self.leg = Leg(CallId("c"), LegId(f"c/{index}"), 8000, SHORT, around)
        self.unscored: list[float] = []

    def hear(self, audio: Samples, windows: int | None = None) -> None:
        """Push audio and score so many of the windows that wait; None: all."""
        self.leg.push(audio)
        level = np.abs(self.leg.take_windows()).max(axis=1, initial=0.0)
        self.unscored += [float(one > 0.01) for one in level]
        count = len(self.unscored) if windows is None else windows
        scored, self.unscored = self.unscored[:count], self.unscored[count:]
        self.leg.on_probabilities(scored)

    def finals(self) -> list[Final]:
        return [event for event in self.events if isinstance(event, Final)]

    def check(self, spoke: bool) -> None:
        """See that every segment got one final with text, and every sample went somewhere."""
        finals = self.finals()
        assert [final.segment for final in finals] == list(range(len(finals)))
        assert [final.error for final in finals] == [None] * len(finals)
        # after a cut in speech the doubled audio's word is said once, and may be all there is
        cut = [False, *(final.reason == "length" for final in finals)]
        assert all(final.text or after for final, after in zip(finals, cut, strict=False))
        assert bool(finals) == spoke
        ledger = self.leg.ledger()
        assert (ledger.difference, ledger.dropped) == (0, {})
