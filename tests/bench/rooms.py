"""What single rooms cost, alone on one core with warm caches: floors, not what a call pays."""

import asyncio
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import cast
from uuid import UUID

import numpy as np

from ruasr_tel.app_models import VAD_MODEL
from ruasr_tel.audio.codec import Decoder, Encoding, encode
from ruasr_tel.audio.resample import Downsampler, resample
from ruasr_tel.call import Calls
from ruasr_tel.metrics import Metrics
from ruasr_tel.models.catalog import default_models_dir
from ruasr_tel.testing import running_calls
from ruasr_tel.types import CallId, Samples, Waveform
from ruasr_tel.vad.base import WINDOW_SAMPLES
from ruasr_tel.vad.silero import SileroVad
from ruasr_tel_adapters.audiosocket.config import AudioSocketConfig
from ruasr_tel_adapters.audiosocket.session import Session
from ruasr_tel_adapters.wires.audiosocket import MessageParser, encode_audio, encode_uuid
from tests.bench import report
from tests.bench.script import FRAME, FRAME_S, RATE_HZ, prompt_samples

ROUNDS = 9
ROUND_S = 0.1
"""CPU seconds of one round; the median of the rounds is printed."""


def cost_us(function: Callable[[], object]) -> float:
    """Return the CPU microseconds of one call."""
    function()
    began_s = time.thread_time()
    count = 0
    while time.thread_time() - began_s < ROUND_S:
        function()
        count += 1
    rounds = []
    for _ in range(ROUNDS):
        began_s = time.thread_time()
        for _ in range(count):
            function()
        rounds.append((time.thread_time() - began_s) / count)
    return 1e6 * statistics.median(rounds)


def vad() -> None:
    """Print the cost of one window in batches of several sizes."""
    report.head("VAD: one window of 32 ms")
    detector = SileroVad(default_models_dir() / VAD_MODEL)
    speech = np.concatenate(prompt_samples())
    made = report.table("legs in a batch", "us per window", "ms per call and second")
    for legs in (1, 16, 64):
        states = [detector.new_state() for _ in range(legs)]
        windows = [_window(speech, leg) for leg in range(legs)]
        work = list(zip(states, windows, strict=True))
        us = cost_us(partial(detector.score, work)) / legs
        made.add_row(str(legs), f"{us:.1f}", f"{us * RATE_HZ / WINDOW_SAMPLES / 1000:.2f}")
    report.out.print(made)


def audio() -> None:
    """Print the cost of codecs and rate changes."""
    report.head("audio: 20 ms")
    speech = np.concatenate(prompt_samples())
    made = report.table("", "us per 20 ms", "ms per call and second")

    def row(name: str, us: float) -> None:
        made.add_row(name, f"{us:.2f}", f"{us / FRAME_S / 1000:.3f}")

    for encoding in Encoding:
        data = encode(speech[:FRAME], encoding)
        row(f"decode {encoding}", cost_us(partial(Decoder(encoding).decode, data)))
    for rate_hz in (8000, 16000, 48000):
        frame = speech[: round(rate_hz * FRAME_S)]
        row(f"downsample {rate_hz} Hz", cost_us(partial(Downsampler(rate_hz).push, frame)))
    segment = speech[: 5 * RATE_HZ]
    us = cost_us(partial(resample, segment, RATE_HZ, 2 * RATE_HZ))
    row("resample 5 s at once, 8 to 16 kHz", us * FRAME_S / 5)
    report.out.print(made)


def frames() -> None:
    """Print the cost of one AudioSocket frame to the leg, and of the leg's own work on it."""
    report.head("AudioSocket: one frame of 20 ms")
    asyncio.run(_frames())


async def _frames() -> None:
    frame = np.zeros(FRAME, np.int16)
    data = encode_audio(frame.astype("<i2").tobytes(), RATE_HZ)
    made = report.table("", "us", "ms per call and second")

    def row(name: str, us: float, seconds: float) -> None:
        made.add_row(name, f"{us:.2f}", f"{us / seconds / 1000:.3f}")

    session = Session(
        AudioSocketConfig(), cast(Calls, _NoCalls()), set(), time.monotonic, Metrics()
    )
    session.connection_made(_Nowhere())
    session.data_received(encode_uuid(UUID(int=1)))
    row("parse a message", cost_us(partial(MessageParser().feed, data)), FRAME_S)
    row("a frame to the leg", cost_us(partial(session.data_received, data)), FRAME_S)
    row("a frame of silence, unsent", cost_us(partial(session.tick, 0.0)), FRAME_S)
    async with running_calls() as calls:
        leg = calls.open(door="bench", call_id=CallId("bench"), peer="").open_leg(RATE_HZ)

        def five_windows() -> None:
            for count in (2, 2, 1, 2, 1):  # frames that come between the detector's ticks
                for _ in range(count):
                    leg.push(frame)
                leg.on_probabilities([0.0] * len(leg.take_windows()))

        row("in the leg, 8 frames of silence", cost_us(five_windows), 8 * FRAME_S)
    report.out.print(made)


def _window(speech: Samples, leg: int) -> Waveform:
    at = leg * WINDOW_SAMPLES
    scaled: Waveform = (speech[at : at + WINDOW_SAMPLES] / 32768).astype(np.float32)
    return scaled.reshape(1, WINDOW_SAMPLES)


class _NoLeg:
    """Takes frames and forgets them."""

    sample_rate_hz = RATE_HZ
    backlog_s = 0.0

    def push(self, samples: Samples) -> None:
        pass


class _NoCalls:
    """Opens a call that is nowhere."""

    def __contains__(self, call_id: CallId) -> bool:
        return False

    def open(self, **_given: object) -> "_NoCalls":
        return self

    def open_leg(self, sample_rate_hz: int) -> _NoLeg:
        return _NoLeg()


class _NoSocket:
    def setsockopt(self, *_option: int) -> None:
        pass


class _Nowhere(asyncio.Transport):
    """A connection to nobody."""

    def __init__(self) -> None:
        super().__init__({"socket": _NoSocket()})

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass
