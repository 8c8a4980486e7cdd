"""One server for all simulators; Russian prompts."""

import wave
from collections.abc import Iterator

import numpy as np
import pytest

from ruasr_tel.audio.resample import resample
from tests.conformance.bench import DATA, Server

SHORT = "agent-loggedoff"
"""One phrase of 2.3 s: its text is final only at the end of the audio."""
PHRASES = "queue-periodic-announce"
"""Three phrases in 7.5 s."""
LONG = "vm-options"
"""20 s, more than one segment may have."""


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    server = Server()
    server.start()
    yield server
    server.stop()


def prompt(name: str, rate_hz: int = 8000, silence_s: float = 0.0) -> bytes:
    """Return a prompt as s16le mono at a rate, followed by silence."""
    with wave.open(str(DATA / "wav" / f"{name}.wav")) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    if rate_hz != 8000:
        loud = resample(samples, 8000, rate_hz) * 32767
        samples = np.clip(np.rint(loud), -32768, 32767).astype("<i2")
    return samples.tobytes() + bytes(2 * round(silence_s * rate_hz))


def wav_file(name: str) -> bytes:
    """Return a prompt's file, header included."""
    return (DATA / "wav" / f"{name}.wav").read_bytes()


def transcript(name: str) -> str:
    """Return what is said in a prompt."""
    lines = (DATA / "transcripts.tsv").read_text(encoding="utf-8").splitlines()
    rows = (line.split("\t") for line in lines)
    return {file: text for file, _, text in rows}[f"{name}.wav"]
