"""What the simulated callers say and when: the phones play it, the verdict is measured against it.

Both make it from the same numbers, so nothing but a seed passes between the processes.
"""

import random
import wave
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from uuid import UUID

import numpy as np

from ruasr_tel.testing import silence, speech_ends
from ruasr_tel.types import Samples
from ruasr_tel_adapters.wires.audiosocket import encode_audio

PROMPTS = Path(__file__).resolve().parent.parent / "data" / "wav"
RATE_HZ = 8000
FRAME_S = 0.02
FRAME = round(RATE_HZ * FRAME_S)
PAUSE_S = (1.0, 3.0)
"""Silence between two prompts: shortest and longest."""
RAMP_S = 3.0
"""The calls begin and end spread over so many seconds, unless a plan says otherwise."""
LEAST_SPEECH_S = 0.5
"""Less of a phrase before a hang-up is not counted on: a click, not a word."""


@dataclass(frozen=True, slots=True)
class Phrase:
    """Speech between two pauses, labelled by energy alone; seconds of call audio."""

    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Script:
    """One simulated call.

    Attributes:
        uuid: its name in the server's events.
        begins_s: when it dials, counted from the first call.
        frames: AudioSocket messages of 20 ms each, shared between the calls.
        phrases: what is said.
    """

    uuid: UUID
    begins_s: float
    frames: tuple[bytes, ...]
    phrases: tuple[Phrase, ...]

    @property
    def samples(self) -> int:
        """Samples it sends."""
        return len(self.frames) * FRAME

    @property
    def speech_s(self) -> float:
        """Seconds of phrases in it."""
        return sum(phrase.end_s - phrase.start_s for phrase in self.phrases)


@dataclass(frozen=True, slots=True)
class Prompt:
    """One recording: its messages and its labels."""

    frames: tuple[bytes, ...]
    phrases: tuple[Phrase, ...]


def scripts(calls: int, seconds: float, seed: int, ramp_s: float = RAMP_S) -> list[Script]:
    """Return so many calls, of which all are there at once for `seconds`.

    Args:
        calls: how many.
        seconds: how long all of them talk at the same time.
        seed: of the order of the prompts and the length of the pauses.
        ramp_s: over how many seconds they begin.
    """
    ramp_s = ramp_s if calls > 1 else 0.0
    return [
        _script(
            number, ramp_s * number / calls, seconds + ramp_s, random.Random(f"{seed}/{number}")
        )
        for number in range(calls)
    ]


def prompt_samples() -> list[Samples]:
    """Return every prompt, int16, shape (n,), 8 kHz, whole frames."""
    return [_read(path) for path in sorted(PROMPTS.glob("*.wav"))]


def _script(number: int, begins_s: float, seconds: float, rng: random.Random) -> Script:
    count = round(seconds / FRAME_S)
    quiet = _messages(silence(PAUSE_S[1]))
    order: list[Prompt] = []
    frames: list[bytes] = []
    phrases: list[Phrase] = []
    while True:
        frames += quiet[: round(rng.uniform(*PAUSE_S) / FRAME_S)]
        if len(frames) >= count:
            break
        if not order:
            order = rng.sample(_prompts(), len(_prompts()))
        prompt = order.pop()
        phrases += _said(prompt, len(frames) * FRAME_S, count * FRAME_S)
        frames += prompt.frames
    return Script(UUID(int=number + 1), begins_s, tuple(frames[:count]), tuple(phrases))


def _said(prompt: Prompt, at_s: float, end_s: float) -> list[Phrase]:
    """Return the phrases of a prompt that begins at `at_s`, cut short by a hang-up at `end_s`."""
    moved = [Phrase(at_s + each.start_s, min(at_s + each.end_s, end_s)) for each in prompt.phrases]
    return [each for each in moved if each.end_s - each.start_s >= LEAST_SPEECH_S]


@cache
def _prompts() -> tuple[Prompt, ...]:
    return tuple(Prompt(_messages(samples), _phrases(samples)) for samples in prompt_samples())


def _phrases(samples: Samples) -> tuple[Phrase, ...]:
    """Label starts as the ends of the same audio played backwards."""
    total_s = len(samples) / RATE_HZ
    starts = sorted(total_s - end_s for end_s in speech_ends(samples[::-1], RATE_HZ))
    return tuple(map(Phrase, starts, speech_ends(samples, RATE_HZ)))


def _read(path: Path) -> Samples:
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.int16)
    return np.pad(samples, (0, -len(samples) % FRAME))


def _messages(samples: Samples) -> tuple[bytes, ...]:
    audio = samples[: len(samples) // FRAME * FRAME].astype("<i2")
    return tuple(encode_audio(frame.tobytes(), RATE_HZ) for frame in audio.reshape(-1, FRAME))
