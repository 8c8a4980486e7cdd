"""Recordings to utterances: reading WAV, 8 kHz, a common level, silence cut at both ends."""

import wave
from pathlib import Path

import numpy as np

from models.training.shards import RATE_HZ
from ruasr_tel.audio.resample import resample
from ruasr_tel.errors import ConfigError
from ruasr_tel.types import Samples

_SILENT = 50  # a peak below is no speech
_QUIET_SHARE = 0.02  # of the peak: quieter sound at the ends is silence
_BEFORE_SAMPLES, _AFTER_SAMPLES = 800, 1200  # 100 and 150 ms of it stay
_RMS = 2500  # 22 dB below full scale
_PEAK = 30000


def read_wav(path: Path) -> tuple[Samples, int]:
    """Return the samples of a WAV file with 16 bits and one channel, and its rate.

    Raises:
        ConfigError: it cannot be read or is of another kind.
    """
    try:
        with wave.open(str(path), "rb") as file:
            if (file.getsampwidth(), file.getnchannels()) != (2, 1):
                raise ConfigError(f"{path}: expected 16 bits and one channel")
            raw = file.readframes(file.getnframes())
            return np.frombuffer(raw, "<i2").astype(np.int16), file.getframerate()
    except (OSError, EOFError, wave.Error) as exc:
        raise ConfigError(f"{path} cannot be read: {exc}") from exc


def to_8k(samples: Samples, from_hz: int) -> Samples:
    """Return audio at 8 kHz.

    Args:
        samples: int16, shape (n,).
        from_hz: rate of `samples`.
    """
    if from_hz == RATE_HZ:
        return samples
    scaled = np.round(resample(samples, from_hz, RATE_HZ) * 32768)
    return np.clip(scaled, -32768, 32767).astype(np.int16)


def levelled(samples: Samples) -> Samples:
    """Return audio with its peak at most at 0 dB and its mean power at a common level.

    Args:
        samples: int16, shape (n,), not silent.
    """
    sound = samples.astype(np.float32)
    rms = float(np.sqrt((sound**2).mean())) + 1e-6
    peak = float(np.abs(sound).max()) + 1e-6
    return (sound * min(_RMS / rms, _PEAK / peak)).astype(np.int16)


def trimmed(samples: Samples) -> Samples:
    """Return audio without the silence at both ends; nothing if there is no sound in it.

    Args:
        samples: int16, shape (n,), at RATE_HZ.
    """
    loudness = np.abs(samples.astype(np.int32))
    if loudness.max(initial=0) < _SILENT:
        return samples[:0]
    (heard,) = np.nonzero(loudness > _QUIET_SHARE * loudness.max())
    return samples[max(0, heard[0] - _BEFORE_SAMPLES) : heard[-1] + 1 + _AFTER_SAMPLES]
