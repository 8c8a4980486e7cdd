"""A boundary buffer that is fed to its end, and what came out of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ruasr_tel.boundary import (
    BoundaryBuffer,
    BoundaryConfig,
    BoundaryEvent,
    SegmentReady,
)
from ruasr_tel.types import Samples
from ruasr_tel.vad.base import VAD_RATE_HZ, WINDOW_SAMPLES

WINDOW_MS = 32


def audio_of(windows: int, rate_hz: int, tail: int = 0, seed: int = 1) -> Samples:
    """Noise for so many windows of the detector and a tail shorter than one."""
    samples = windows * WINDOW_SAMPLES * rate_hz // VAD_RATE_HZ + tail
    return np.random.default_rng(seed).integers(-3000, 3000, samples).astype(np.int16)


def windows_of(*parts: tuple[float, int]) -> list[float]:
    """(probability, milliseconds) parts as one probability per 32 ms window."""
    return [p for probability, ms in parts for p in [probability] * round(ms / WINDOW_MS)]


@dataclass
class Run:
    """What came out of a buffer that was fed to its end."""

    events: list[BoundaryEvent]
    buffer: BoundaryBuffer
    audio: Samples
    held: list[int] = field(default_factory=list)

    @property
    def segments(self) -> list[SegmentReady]:
        return [e for e in self.events if isinstance(e, SegmentReady)]


def feed(
    probabilities: Sequence[float],
    config: BoundaryConfig | None = None,
    rate_hz: int = 8000,
    audio: Samples | None = None,
    tail: int = 0,
) -> Run:
    """Push window by window, then flush."""
    config = config or BoundaryConfig()
    buffer = BoundaryBuffer(config, rate_hz)
    if audio is None:
        audio = audio_of(len(probabilities), rate_hz, tail)
    run = Run([], buffer, audio)
    at = 0
    for i, probability in enumerate(probabilities):
        edge = (i + 1) * WINDOW_SAMPLES * rate_hz // VAD_RATE_HZ
        run.events += buffer.push(audio[at:edge], [probability])
        run.held.append(buffer.held)
        at = edge
    run.events += buffer.push(audio[at:])
    run.events += buffer.flush()
    return run
