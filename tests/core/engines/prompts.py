"""The recorded prompts, and how far a text is from what is said in them."""

import wave
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ruasr_tel.audio.resample import resample
from ruasr_tel.types import Waveform

WAV = Path(__file__).parents[2] / "data" / "wav"
RATE_HZ = 16000


@dataclass(frozen=True)
class Prompt:
    """One recording at 16 kHz with what is said in it."""

    name: str
    samples: Waveform
    text: str


def spoken_prompts() -> list[Prompt]:
    """Return the twelve prompts of tests/data/wav."""
    found = []
    for line in (WAV.parent / "transcripts.tsv").read_text("utf-8").splitlines():
        name, _, text = line.split("\t")
        with wave.open(str(WAV / name)) as stream:
            samples = np.frombuffer(stream.readframes(stream.getnframes()), dtype=np.int16)
            found.append(Prompt(name, resample(samples, stream.getframerate(), RATE_HZ), text))
    return found


def noisy(prompt: Prompt, snr_db: float = 3.0) -> Waveform:
    """Return a prompt in white noise, always the same, so that it is heard with mistakes."""
    power = float(np.mean(prompt.samples**2))
    noise = np.random.default_rng(1).standard_normal(len(prompt.samples), np.float32)
    return prompt.samples + noise * np.float32(np.sqrt(power / 10 ** (snr_db / 10)))


def lost_words(heard: str, said: str) -> list[str]:
    """Return the words that were said and not heard."""
    words = heard.split()
    return [word for word in said.split() if word not in words]


def letter_errors(heard: str, said: str) -> int:
    """Return the Levenshtein distance."""
    row = list(range(len(said) + 1))
    for i, a in enumerate(heard, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(said, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]
