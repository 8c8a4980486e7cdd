"""Audio made and labelled without any model."""

import numpy as np

from ruasr_tel.types import Samples

_FRAME_S = 0.01
_PAUSE_S = 0.3
"""Shorter quiet belongs to the phrase around it."""
_BELOW_PEAK_DB = 35.0
"""A frame further below the loudest one is quiet; telephone prompts have 50 dB and more."""


def tone(
    seconds: float, sample_rate_hz: int = 8000, hz: float = 440.0, level: int = 8000
) -> Samples:
    """Return a sine of peak `level`, int16, shape (seconds * rate,)."""
    at = np.arange(round(seconds * sample_rate_hz)) / sample_rate_hz
    return (level * np.sin(2 * np.pi * hz * at)).astype(np.int16)


def speech_ends(samples: Samples, sample_rate_hz: int) -> list[float]:
    """Return where phrases end, in seconds, by energy alone: a label no detector has a part in.

    Args:
        samples: int16, shape (n,), a clean recording.
        sample_rate_hz: its rate.
    """
    frame = round(sample_rate_hz * _FRAME_S)
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame).astype(np.float64)
    power = (frames**2).mean(axis=1)
    if not len(power) or power.max() == 0:
        return []
    loud = np.flatnonzero(power > power.max() * 10 ** (-_BELOW_PEAK_DB / 10))
    last_of_phrase = np.append(np.diff(loud) > _PAUSE_S / _FRAME_S, True)
    return [float(end + 1) * _FRAME_S for end in loud[last_of_phrase]]


def silence(seconds: float, sample_rate_hz: int = 8000) -> Samples:
    """Return quiet line noise, int16, shape (seconds * rate,)."""
    noise = np.random.default_rng(1).normal(0, 3, round(seconds * sample_rate_hz))
    return noise.astype(np.int16)


def phrase(*parts: tuple[float, float], sample_rate_hz: int = 8000) -> Samples:
    """Return (seconds of sound, seconds of silence after it) parts in a row."""
    pieces = [
        piece
        for sound_s, quiet_s in parts
        for piece in (tone(sound_s, sample_rate_hz), silence(quiet_s, sample_rate_hz))
    ]
    return np.concatenate(pieces)
