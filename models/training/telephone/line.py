"""Bands, tilts, microphones, rooms, noise, other talkers, levels. Pure.

Sounds are float32, shape (n,), at 8 kHz; what comes back has the same shape.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ruasr_tel.types import Waveform

RATE_HZ = 8000
Response: TypeAlias = npt.NDArray[np.complexfloating]
"""Of a filter, on the bins of an FFT."""

_TAIL_SAMPLES = 2400  # 300 ms: the longest echo kept
_T60_DECAY = 6.9  # ln(1000): a room's echo falls by 60 dB in its reverberation time


def fft_length(samples: int) -> int:
    """Return an FFT length that holds a sound and its echo, a multiple of 4096: quick to do."""
    return -(-(samples + _TAIL_SAMPLES) // 4096) * 4096


@dataclass(frozen=True, slots=True)
class Bump:
    """A peak or a dip of a microphone or a loudspeaker."""

    centre_hz: float
    width_hz: float
    gain_db: float


@dataclass(frozen=True, slots=True)
class Band:
    """What a line or a telephone lets through.

    Attributes:
        low_hz: 3 dB down, or 0.
        low_order: of its slope.
        high_hz: 6 dB down.
        high_order: of its slope.
        tilt_db: between 1 and 4 kHz.
        bumps: of the microphone.
    """

    low_hz: float = 0.0
    low_order: int = 2
    high_hz: float = 4000.0
    high_order: int = 16
    tilt_db: float = 0.0
    bumps: Sequence[Bump] = ()

    def response(self, length: int) -> Response:
        """Return its gain on the bins of an FFT of `length`, real."""
        hz = np.linspace(0, RATE_HZ / 2, length // 2 + 1, dtype=np.float32)
        gain_db = self.tilt_db * (hz - 1000) / 3000
        for bump in self.bumps:
            gain_db = gain_db + bump.gain_db * np.exp(
                -(((hz - bump.centre_hz) / bump.width_hz) ** 2)
            )
        gain = 10 ** (gain_db / 20)
        gain = gain / (1 + (self.low_hz / np.maximum(hz, 1)) ** self.low_order)
        if self.high_hz < RATE_HZ / 2:
            gain = gain / (1 + (hz / self.high_hz) ** self.high_order)
        return gain.astype(np.complex64)


def echo(length: int, t60_s: float, share: float, rng: np.random.Generator) -> Response:
    """Return the response of a room: the sound itself and a decaying noise after it.

    Args:
        length: of the FFT.
        t60_s: reverberation time.
        share: of the first echo against the sound.
        rng: of the echo.
    """
    samples = min(_TAIL_SAMPLES, int(t60_s * RATE_HZ))
    decay = np.exp(-_T60_DECAY * np.arange(samples) / (t60_s * RATE_HZ))
    impulse = share * decay * rng.standard_normal(samples)
    impulse[0] = 1.0
    return np.fft.rfft(impulse.astype(np.float32), length).astype(np.complex64)


def filtered(sound: Waveform, responses: Sequence[Response]) -> Waveform:
    """Return a sound through filters, in one transform.

    Args:
        sound: float32, shape (n,).
        responses: for an FFT of `fft_length(n)`.
    """
    length = fft_length(len(sound))
    spectrum = np.fft.rfft(sound, length)
    for response in responses:
        spectrum = spectrum * response
    return np.fft.irfft(spectrum, length)[: len(sound)].astype(np.float32)


def noise(samples: int, colour: float, rng: np.random.Generator) -> Waveform:
    """Return noise of power 1 whose amplitude falls with frequency to the power of `colour`.

    Args:
        samples: how many.
        colour: 0 is white, 0.5 pink, 1 brown.
        rng: of the noise.
    """
    length = fft_length(samples)
    hz = np.linspace(0, RATE_HZ / 2, length // 2 + 1, dtype=np.float32)
    white = np.fft.rfft(rng.standard_normal(length, np.float32))
    coloured = np.fft.irfft(white * (np.maximum(hz, 60) / 1000) ** -colour, length)[:samples]
    return (coloured / (rms(coloured) + 1e-9)).astype(np.float32)


def babble(samples: int, talkers: Sequence[Waveform], rng: np.random.Generator) -> Waveform:
    """Return other talkers at once, at power 1, each from a place of its own.

    Args:
        samples: how many.
        talkers: one or more sounds, not empty.
        rng: of the places.
    """
    mixed = np.zeros(samples, np.float32)
    for talker in talkers:
        turned = np.roll(talker, int(rng.integers(len(talker)))) / (rms(talker) + 1e-5)
        mixed += np.resize(turned, samples).astype(np.float32)
    heard: Waveform = mixed * np.float32(1 / (rms(mixed) + 1e-9))
    return heard


def rms(sound: npt.NDArray[np.floating]) -> float:
    """Return the root of the mean power; 0 of nothing."""
    return float(np.sqrt(np.mean(np.square(sound)))) if len(sound) else 0.0


def mixed(sound: Waveform, other: Waveform, snr_db: float) -> Waveform:
    """Return a sound with another of power 1 so many decibels below it."""
    return sound + other * np.float32((rms(sound) + 1e-5) * 10 ** (-snr_db / 20))


def at_level(sound: Waveform, peak_db: float, clipped_db: float = 0.0) -> Waveform:
    """Return a sound at a level, driven into its limits before.

    Args:
        sound: float32, shape (n,).
        peak_db: of the result, 0 or below; clipping included.
        clipped_db: by how much the peaks are above the limit, 0 or more.
    """
    peak = float(np.abs(sound).max(initial=0.0)) + 1e-6
    driven = np.clip(sound * np.float32(10 ** (clipped_db / 20) / peak), -1, 1)
    heard: Waveform = driven * np.float32(10 ** (peak_db / 20))
    return heard


def faster(sound: Waveform, factor: float) -> Waveform:
    """Return a sound played faster: pitch, formants and tempo together.

    Args:
        sound: float32, shape (n,).
        factor: above 1 is faster and higher.

    Returns:
        float32, shape (about n / factor,).
    """
    if len(sound) < 2:
        return sound
    at = np.arange(0, len(sound) - 1, factor)
    played: Waveform = np.interp(at, np.arange(len(sound)), sound).astype(np.float32)
    return played
