"""Music in audio at 8 kHz, told from speech, noise and tones by notes that hold their pitch. Pure.

A voice glides: over half a second its harmonics above 700 Hz smear over many lines of a spectrum.
A note of an instrument stays one narrow line, then gives way to another. So every 128 ms the share
of the power that lies in narrow lines is taken from a spectrum of 512 ms, without the lines that
stand still (hum, a tone of the network); music is where that share stays high for three seconds.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ruasr_tel.progress.tones import RATE_HZ
from ruasr_tel.types import Waveform

FRAME_SAMPLES = 4096
"""512 ms: lines of a Hann window are 8 Hz wide; of 256 ms speech has as much as quiet music."""
HOP_SAMPLES = 1024
"""128 ms."""
STEP_FRAMES = 4
"""The question is asked every 512 ms: four frames at once cost little more than one."""
WINDOW_FRAMES = 24
"""It is asked of 3 s of frames."""
LOWEST_HZ, HIGHEST_HZ = 700.0, 3400.0
"""Where lines are looked for: below, the first harmonics of a voice smear too little."""
PROMINENCE = 10 ** (13 / 10)
"""How much a line's mean power is over that beside it."""
TIP = 0.3
"""Share of a line's power in its highest bin, 0.49 to 0.67 by the window; side lobes have less."""
QUIET = 10 ** (-65 / 10)
"""Mean power in that band below which a frame has no lines: -65 dBFS, 7 dB over that of PCMA's
smallest step (16 of 32768 either way)."""
STANDING = 0.7
"""A line that is in so many of the window's frames that have lines is no note."""
NOTES = 9
"""Different lines of music in three seconds; keys pressed in a row (DTMF) have 7, SIT has 3."""
SHARE = 0.05
"""Median share of the power in notes, above which it is music."""
EPISODE_FRAMES = 80
"""Music that was silent for 10 s is told anew."""

_LOBE = 2  # bins on either side of a Hann window's peak
_GAP = 4  # bins on either side that are not its surroundings
_BESIDE = 24  # bins on either side that are: 47 Hz, less than half of any voice's pitch
_BIN_HZ = RATE_HZ / FRAME_SAMPLES
_FIRST, _LAST = round(LOWEST_HZ / _BIN_HZ), round(HIGHEST_HZ / _BIN_HZ)
_BINS = _LAST - _FIRST
_TINY = 1e-30  # below any power here
_WINDOW = np.hanning(FRAME_SAMPLES + 1)[:-1].astype(np.float32)
_SCALE = 2 / float(np.square(_WINDOW).sum()) / FRAME_SAMPLES  # power of bins to mean power

_Rows = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Music:
    """Music over samples [start, end) at 8 kHz, and the share of its power that is in notes."""

    start: int
    end: int
    share: float


class MusicFinder:
    """Finds the music of one leg; the same however the audio was cut."""

    def __init__(self) -> None:
        self._held: list[Waveform] = []
        self._held_samples = 0
        self._frames = 0  # that were looked at
        self._lines: _Rows = np.zeros((WINDOW_FRAMES, _BINS), np.float32)  # the window's
        self._last: int | None = None  # frame in which there was music

    def push(self, audio: Waveform) -> list[Music]:
        """Return the music that became certain by `audio`, once per episode.

        Args:
            audio: float32 in [-1, 1], shape (n,), at 8 kHz; any n >= 0.
        """
        self._held.append(audio)
        self._held_samples += len(audio)
        needed = FRAME_SAMPLES + (STEP_FRAMES - 1) * HOP_SAMPLES
        if self._held_samples < needed:
            return []
        held = np.concatenate(self._held)
        found: list[Music] = []
        while len(held) >= needed:
            frames = np.lib.stride_tricks.sliding_window_view(held[:needed], FRAME_SAMPLES)
            found += self._take(lines(frames[::HOP_SAMPLES]))
            held = held[STEP_FRAMES * HOP_SAMPLES :]
        self._held, self._held_samples = [held], len(held)
        return found

    def _take(self, fresh: _Rows) -> list[Music]:
        """Take the lines of a step's frames and ask."""
        self._lines = np.concatenate((self._lines[STEP_FRAMES:], fresh))
        self._frames += STEP_FRAMES
        share = share_of_notes(self._lines)
        if share < SHARE:
            return []
        last, self._last = self._last, self._frames
        if last is not None and self._frames - last < EPISODE_FRAMES:
            return []
        end = (self._frames - 1) * HOP_SAMPLES + FRAME_SAMPLES
        start = max(0, (self._frames - WINDOW_FRAMES) * HOP_SAMPLES)
        return [Music(start, end, share)]


def share_of_notes(lines: _Rows) -> float:
    """Return the median share of the power in notes; 0 where there are fewer than `NOTES`.

    Args:
        lines: of frames in a row, as `lines` returns them, shape (k, bins).
    """
    there = lines > 0
    if not there.any():
        return 0.0
    frames = _beside_too(there.sum(axis=0))
    standing = frames >= STANDING * there.any(axis=1).sum()
    notes = (frames >= 2) & ~standing
    if np.count_nonzero(np.diff(notes.astype(np.int8), prepend=0) == 1) < NOTES:
        return 0.0
    return float(np.median(np.where(standing, 0, lines).sum(axis=1)))


def lines(frames: Waveform) -> _Rows:
    """Return the share of each frame's power that each narrow line has, 0 where there is no line.

    Args:
        frames: in [-1, 1], shape (k, FRAME_SAMPLES).

    Returns:
        float32, shape (k, bins); bins from `LOWEST_HZ` to `HIGHEST_HZ`.
    """
    shares = np.zeros((len(frames), _BINS), np.float32)
    loud = np.flatnonzero(np.einsum("ij,ij->i", frames, frames) > QUIET * FRAME_SAMPLES)
    if not len(loud):
        return shares
    spectra = np.fft.rfft(frames[loud] * _WINDOW)
    power = spectra.real**2 + spectra.imag**2
    total = power[:, _FIRST:_LAST].sum(axis=1, dtype=np.float64)[:, None]
    summed = np.cumsum(power[:, _FIRST - _BESIDE - 1 : _LAST + _BESIDE], axis=1, dtype=np.float64)
    lobes = _around(summed, _LOBE)
    beside = (_around(summed, _BESIDE) - _around(summed, _GAP)) / (2 * (_BESIDE - _GAP))
    core = power[:, _FIRST:_LAST]
    peaks = core > power[:, _FIRST - 1 : _LAST - 1]
    peaks &= core >= power[:, _FIRST + 1 : _LAST + 1]
    peaks &= lobes > PROMINENCE * (2 * _LOBE + 1) * beside
    peaks &= core > TIP * lobes
    peaks &= total * _SCALE > QUIET
    shares[loud] = np.where(peaks, lobes / np.maximum(total, _TINY), 0)
    return shares


def _beside_too(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the counts of each bin and its neighbours: a line may lie on an edge."""
    both = np.pad(counts, 1)
    near: npt.NDArray[np.int64] = both[:-2] + counts + both[2:]
    return near


def _around(summed: npt.NDArray[np.float64], bins: int) -> npt.NDArray[np.float64]:
    """Return the power of so many bins on either side of each, itself included, shape (k, bins)."""
    at = _BESIDE + 1
    upper = summed[:, at + bins : at + bins + _BINS]
    lower = summed[:, at - bins - 1 : at - bins - 1 + _BINS]
    return upper - lower
