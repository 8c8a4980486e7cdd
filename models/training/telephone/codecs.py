"""Telephone codecs, there and back. Pure.

Sounds are float32 in [-1, 1], shape (n,), at 8 kHz; what comes back has the same shape.
"""

import numpy as np
import numpy.typing as npt

from ruasr_tel.accuracy import conditions
from ruasr_tel.audio.codec import Decoder, Encoding, encode
from ruasr_tel.types import Samples, Waveform

_WINDOW = 160  # 20 ms: a frame of AMR (3GPP TS 26.090, 4.1), here with half of it overlapping
_HOP = _WINDOW // 2
_SUBFRAME = 40  # 5 ms: an excitation of its own (TS 26.090, 4.1)
_ENVELOPE_LAGS = 12  # of the cepstrum; AMR's linear prediction has order 10
AMR_PULSES = {12.2: 10, 10.2: 8, 7.4: 4, 5.9: 2}
"""Bit rate in kbit/s -> pulses of the algebraic code in a subframe (TS 26.090, table 1)."""


def to_int16(sound: Waveform) -> Samples:
    """Return a sound as integers, clipped."""
    return (np.clip(sound, -1, 1) * 32767).astype(np.int16)


def to_float(samples: Samples) -> Waveform:
    """Return integers as a sound."""
    return samples.astype(np.float32) * np.float32(1 / 32768)


def g711(sound: Waveform, encoding: Encoding) -> Waveform:
    """Return a sound after G.711.

    Args:
        sound: float32, shape (n,).
        encoding: PCMU or PCMA.
    """
    return to_float(Decoder(encoding).decode(encode(to_int16(sound), encoding)))


def gsm(sound: Waveform) -> Waveform:
    """Return a sound after GSM 06.10 full rate.

    Raises:
        ConfigError: libgsm is not installed.
    """
    return to_float(conditions.apply("gsm", to_int16(sound)))


def amr_like(sound: Waveform, bit_rate: float = 12.2) -> Waveform:
    """Return a sound much as a CELP codec leaves it: its envelope over a few equal pulses.

    This is no AMR: no free library in the package registries encodes it. It keeps what makes CELP
    sound as it does: in each 5 ms the excitation is a handful of pulses of one height, and the
    noise that this makes has the shape of the speech's own spectrum.

    Args:
        sound: float32, shape (n,).
        bit_rate: one of AMR_PULSES.
    """
    if not len(sound):
        return sound
    padded = np.pad(sound, (_HOP, _HOP + -len(sound) % _HOP)).astype(np.float32)
    window = np.sin(np.pi * (np.arange(_WINDOW) + 0.5) / _WINDOW).astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP] * window
    spectrum = np.fft.rfft(frames)
    envelope = _envelope(np.abs(spectrum))
    excitation = np.fft.irfft(spectrum / envelope, _WINDOW)
    pulses = _pulses(excitation.reshape(len(frames), -1, _SUBFRAME), AMR_PULSES[bit_rate])
    coded = np.fft.irfft(np.fft.rfft(pulses.reshape(len(frames), -1)) * envelope, _WINDOW) * window
    return _overlapped(coded.astype(np.float32))[_HOP : _HOP + len(sound)]


def _envelope(magnitudes: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    """Return each frame's smooth spectrum, by its low cepstral lags."""
    cepstrum = np.fft.irfft(np.log(magnitudes + 1e-4), _WINDOW)
    cepstrum[:, _ENVELOPE_LAGS + 1 : -_ENVELOPE_LAGS] = 0
    smooth: npt.NDArray[np.floating] = np.exp(np.fft.rfft(cepstrum).real)
    return smooth


def _pulses(excitation: npt.NDArray[np.floating], count: int) -> npt.NDArray[np.floating]:
    """Return the largest samples of each subframe at one height, the others 0.

    Args:
        excitation: shape (frames, subframes, samples).
        count: pulses to keep in each.
    """
    sizes = np.abs(excitation)
    least = np.partition(sizes, -count, axis=-1)[..., -count, None]
    kept = np.where(sizes >= least, np.sign(excitation), 0.0)
    energy = (excitation**2).sum(-1, keepdims=True)
    height = np.sqrt(energy / np.maximum((kept**2).sum(-1, keepdims=True), 1.0))
    return np.asarray(kept * height)


def _overlapped(frames: Waveform) -> Waveform:
    """Return frames of two hops added up, shape (frames, 2 hops) to ((frames + 1) hops,)."""
    out = np.zeros((len(frames) + 1, _HOP), np.float32)
    out[:-1] += frames[:, :_HOP]
    out[1:] += frames[:, _HOP:]
    return out.reshape(-1)


LAWS = (Encoding.PCMU, Encoding.PCMA)
