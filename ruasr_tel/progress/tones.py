"""Single tones in audio at 8 kHz: where each began and ended, and its frequency. Pure.

Every 20 ms one spectrum of 32 ms is looked at; a tone is a stretch of spectra with nearly all
their power in one narrow peak that stays where it is. Positions are sample counts.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ruasr_tel.types import Waveform

RATE_HZ = 8000
"""Rate of the audio."""
HOP_SAMPLES = 160
"""20 ms: a tenth of the shortest cadence."""
FRAME_SAMPLES = 256
"""32 ms: the main lobe of its Hann window is 125 Hz wide, a phone line's tone and no harmonics."""
QUIET = 10 ** (-48 / 10)
"""Mean power below which a frame is not looked at: -48 dBFS, 5 dB below a sine of -40 dBFS peak."""
PURITY = 0.85
"""Share of the power in the peak: a tone 15 dB above white noise has 0.97. In 25 minutes of
Russian prompts nothing that lasts like a tone of the network has so much (our measurement)."""
LOWEST_HZ, HIGHEST_HZ = 350.0, 2200.0
"""Peaks outside are no tone of any telephone network that we look for."""
DRIFT_HZ = 20.0
"""How far a frame's frequency may be from the mean of its tone; a voice glides more."""
MISSES = 2
"""Frames in a row that a tone may miss: a click, or a phase reversal of ANSam (ITU-T V.8)."""
SHORTEST = 5
"""Frames of the shortest tone: 100 ms, the shortest of Asterisk's `ru` zone (indications.conf)."""

_LOBE = 2  # bins on either side of a Hann window's peak
_BIN_HZ = RATE_HZ / FRAME_SAMPLES
_WINDOW = np.hanning(FRAME_SAMPLES + 1)[:-1]
_WINDOW_ENERGY = float(np.square(_WINDOW).sum())
_OFFSETS = np.arange(-_LOBE, _LOBE + 1)
_TINY = 1e-12  # below any power here
_BEFORE = (FRAME_SAMPLES - HOP_SAMPLES) // 2  # a frame speaks for the hop in its middle


@dataclass(frozen=True, slots=True)
class Tone:
    """A tone over samples [start, end), and its mean frequency."""

    start: int
    end: int
    hz: float


@dataclass(frozen=True, slots=True)
class Moment:
    """How things stand after one more frame.

    Attributes:
        now: one past the samples that were judged.
        sounding: the tone that goes on, if any; young ones may still turn out to be none.
        ended: the tone that was found to be over, if any.
    """

    now: int
    sounding: Tone | None
    ended: Tone | None


class ToneFinder:
    """Finds the single tones of one leg; the same however the audio was cut."""

    def __init__(self) -> None:
        self._rest: Waveform = np.zeros(0, np.float32)
        self._position = 0  # of the next frame
        self._start = 0  # first frame's position of the present tone
        self._end = 0  # its last good frame's
        self._frames = 0  # its good frames; 0: there is no tone
        self._hz = 0.0  # their mean
        self._missed = 0  # frames since

    def push(self, audio: Waveform) -> Iterator[Moment]:
        """Yield how things stand after each frame that `audio` completes.

        Args:
            audio: float32 in [-1, 1], shape (n,), at `RATE_HZ`; any n >= 0.
        """
        held = np.concatenate((self._rest, audio))
        frames = max(0, (len(held) - FRAME_SAMPLES) // HOP_SAMPLES + 1)
        self._rest = held[frames * HOP_SAMPLES :]
        if not frames:
            return
        windows = np.lib.stride_tricks.sliding_window_view(held, FRAME_SAMPLES)
        for hz in pitches(windows[: frames * HOP_SAMPLES : HOP_SAMPLES]).tolist():
            ended = self._take(hz)
            self._position += HOP_SAMPLES
            yield Moment(self._position + _BEFORE, self._tone(), ended)

    def _take(self, hz: float) -> Tone | None:
        """Take one frame's frequency, 0 for none; return the tone that is over by it."""
        if self._frames and hz and abs(hz - self._hz) <= DRIFT_HZ:
            self._frames += 1
            self._hz += (hz - self._hz) / self._frames
            self._end, self._missed = self._position, 0
            return None
        self._missed += 1
        if self._frames > 1 and self._missed <= MISSES:
            return None
        ended = self._tone() if self._frames >= SHORTEST else None
        self._frames = 1 if hz else 0
        self._start = self._end = self._position
        self._hz, self._missed = hz, 0
        return ended

    def _tone(self) -> Tone | None:
        if not self._frames:
            return None
        return Tone(self._start + _BEFORE, self._end + _BEFORE + HOP_SAMPLES, self._hz)


def is_real(tone: Tone) -> bool:
    """Whether a tone is long enough to be one."""
    return tone.end - tone.start >= SHORTEST * HOP_SAMPLES


def pitches(frames: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the frequency of the single tone in each frame, 0 where there is none.

    Args:
        frames: in [-1, 1], shape (k, FRAME_SAMPLES).

    Returns:
        Hz, shape (k,).
    """
    found = np.zeros(len(frames))
    windowed = frames * _WINDOW
    energy = np.einsum("ij,ij->i", windowed, windowed)
    loud = np.flatnonzero(energy > QUIET * _WINDOW_ENERGY)
    if not len(loud):
        return found
    spectra = np.fft.rfft(windowed[loud])
    power = spectra.real**2 + spectra.imag**2
    total = power[:, 1:].sum(axis=1)
    peaks = _LOBE + power[:, _LOBE:-_LOBE].argmax(axis=1)
    lobes = power[np.arange(len(loud))[:, None], peaks[:, None] + _OFFSETS]
    hz = (peaks + _between_bins(lobes)) * _BIN_HZ
    pure = (lobes.sum(axis=1) > PURITY * total) & (hz > LOWEST_HZ) & (hz < HIGHEST_HZ)
    found[loud] = np.where(pure, hz, 0)
    return found


def _between_bins(lobes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return how far each peak is from its bin, -0.5..0.5: a parabola through three levels."""
    left, middle, right = np.log(lobes[:, _LOBE - 1 : _LOBE + 2] + _TINY).T
    curve = left - 2 * middle + right
    offsets: npt.NDArray[np.float64] = (left - right) / np.minimum(2 * curve, -_TINY)
    return offsets.clip(-0.5, 0.5)
