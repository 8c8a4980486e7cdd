"""How loud each channel of a recording is, and whether two channels are two parties."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ruasr_tel.audio.level import level_db
from ruasr_tel.types import Block, Samples

GRAIN_S = 0.02
"""One level per 20 ms and channel: the frame of telephony. Three hours of stereo are 4.3 MB."""

_HEARD_DB = -50.0
"""A portion whose louder channel is below this tells nothing about who is on it: line noise."""
_SAME_R2 = 0.9
"""Squared correlation of a portion above which two channels are one. Of our telephone prompts, one
voice on both channels, at any levels, had 0.993 or more as WAV, MP3 and Opus; another voice, noise
or an echo 25 ms late had 0.044 or less (our measurement)."""


class Levels:
    """The power of every 20 ms of every channel.

    Args:
        channels: how many.
        sample_rate_hz: their rate.
    """

    def __init__(self, channels: int, sample_rate_hz: int) -> None:
        self.channels = channels
        self._rate_hz = sample_rate_hz
        self._grain = max(1, round(sample_rate_hz * GRAIN_S))
        self._powers: list[list[npt.NDArray[np.float32]]] = [[] for _ in range(channels)]
        self._rest: list[Samples] = [np.zeros(0, np.int16) for _ in range(channels)]
        self._samples = 0

    @property
    def duration_s(self) -> float:
        """Seconds heard so far."""
        return self._samples / self._rate_hz

    def push(self, parties: Sequence[Samples]) -> None:
        """Add audio of all channels, the same number of samples of each.

        Args:
            parties: one int16 array of shape (n,) per channel; any n >= 0.
        """
        for channel, samples in enumerate(parties):
            audio = np.concatenate([self._rest[channel], samples])
            whole = len(audio) // self._grain * self._grain
            grains = audio[:whole].astype(np.float32).reshape(-1, self._grain)
            self._powers[channel].append((grains**2).mean(axis=1))
            self._rest[channel] = audio[whole:].copy()
        self._samples += len(parties[0])

    def mean_db(self, channel: int, spans: Sequence[tuple[float, float]]) -> float | None:
        """Return the mean level of a channel over stretches of the recording, in dBFS.

        Args:
            channel: which.
            spans: [start, end) in seconds; what lies past the end does not count.

        Returns:
            The level, at least QUIETEST_DB, or None where nothing lies in the stretches.
        """
        powers = self._joined(channel)
        edges = [self._grains(start_s, end_s) for start_s, end_s in spans]
        parts = [powers[first:last] for first, last in edges]
        heard = np.concatenate(parts) if parts else powers[:0]
        if not len(heard):
            return None
        return level_db(float(heard.mean(dtype=np.float64)))

    def _grains(self, start_s: float, end_s: float) -> tuple[int, int]:
        """Return the grains of a stretch, at least one."""
        per_s = self._rate_hz / self._grain
        first = int(start_s * per_s)
        return first, max(int(end_s * per_s), first + 1)

    def _joined(self, channel: int) -> npt.NDArray[np.float32]:
        """Return a channel's powers in one array, joined once after the last push."""
        parts = self._powers[channel]
        if len(parts) != 1:
            parts = [np.concatenate(parts) if parts else np.zeros(0, np.float32)]
            self._powers[channel] = parts
        return parts[0]


def same_party(block: Block) -> bool:
    """Return whether two channels sound like one, or nothing is heard that could tell.

    Args:
        block: int16, shape (2, n): a portion long enough to hold a word.
    """
    left, right = block.astype(np.float64)
    powers = float((left**2).mean()), float((right**2).mean())
    if level_db(max(powers)) < _HEARD_DB:
        return True
    if min(powers) == 0.0:
        return False
    r2 = float((left * right).mean()) ** 2 / (powers[0] * powers[1])
    return r2 >= _SAME_R2
