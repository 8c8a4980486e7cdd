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


def letter_errors(heard: str, said: str) -> int:
    """Return the Levenshtein distance."""
    row = list(range(len(said) + 1))
    for i, a in enumerate(heard, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(said, 1):
            previous, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, previous + (a != b))
    return row[-1]
