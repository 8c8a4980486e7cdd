"""Which segments go through a network together, and at what length. Pure but for `run`.

A GPU gains from batches, a CPU loses (2.3 times slower with mixed lengths, our measurement). New
shapes cost a GPU time and memory, so lengths are rounded up to a few; the network masks what is
padding, which `masks_padding` makes sure of when a model is loaded.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from ruasr_tel.engines.features import MEL_BINS, Features

Outputs: TypeAlias = list[npt.NDArray[Any]]

BUCKETS = (100, 150, 200, 300, 400, 600, 800, 1200, 1600, 2000)
"""Lengths in feature frames of 10 ms that batches are padded to; beyond them every 500."""
FIRST_FRAMES = 4000
"""What one run may hold until its speed is known: 40 s of audio."""
_BEYOND = 500
_NEW_SHARE = 0.2  # of the newest run in the estimate of the speed


def bucket(frames: int) -> int:
    """Return the length that `frames` are padded to."""
    fitting = [each for each in BUCKETS if each >= frames]
    return fitting[0] if fitting else -(-frames // _BEYOND) * _BEYOND


def plan(lengths: Sequence[int], most: int, most_frames: int) -> list[list[int]]:
    """Return which segments run together, as indices; every segment once, the longest first.

    Args:
        lengths: feature frames of each segment.
        most: segments in one run.
        most_frames: frames in one run, padding included; a longer segment runs alone.
    """
    groups: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda each: -lengths[each]):
        if groups and _joins(lengths, groups[-1], index, most, most_frames):
            groups[-1].append(index)
        else:
            groups.append([index])
    return groups


def _joins(
    lengths: Sequence[int], group: Sequence[int], index: int, most: int, most_frames: int
) -> bool:
    """Return whether a segment goes with a group: no row is more than half padding."""
    length = bucket(lengths[group[0]])
    fits = len(group) < most and (len(group) + 1) * length <= most_frames
    return fits and 2 * lengths[index] >= length


class BatchLimit:
    """How much a run may hold so that it takes no longer than a goal; learnt from the runs before.

    While one batch runs, what arrives waits and goes together; what arrives at an idle GPU goes at
    once. So nobody waits for a batch to fill, and the goal bounds the wait for the one before.

    Args:
        goal_s: how long a run may take.
    """

    def __init__(self, goal_s: float) -> None:
        self._goal_s = goal_s
        self._frame_s = 0.0

    @property
    def most_frames(self) -> int:
        """Frames in one run, padding included."""
        return int(self._goal_s / self._frame_s) if self._frame_s else FIRST_FRAMES

    def ran(self, frames: int, took_s: float) -> None:
        """Take note of a run.

        Args:
            frames: it held, padding included; more than 0.
            took_s: seconds.
        """
        newest_s = took_s / frames
        known = self._frame_s or newest_s
        self._frame_s = known + _NEW_SHARE * (newest_s - known)


def run(session: Any, heard: Sequence[Features], *, bucketed: bool = False) -> Outputs:
    """Run a network that takes features and their lengths; shorter ones are padded.

    Args:
        session: its onnxruntime session.
        heard: at least one, each of at least one frame.
        bucketed: whether to pad to one of a few lengths.

    Raises:
        ValueError: a segment has no frame.
    """
    lengths = np.array([each.shape[1] for each in heard], dtype=np.int64)
    if not lengths.all():
        raise ValueError("a segment is shorter than one frame of features")
    longest = int(lengths.max())
    size = bucket(longest) if bucketed else longest
    batch = np.zeros((len(heard), MEL_BINS, size), dtype=np.float32)
    for row, each in zip(batch, heard, strict=True):
        row[:, : each.shape[1]] = each
    names = [port.name for port in session.get_inputs()]
    outputs: Outputs = session.run(None, dict(zip(names, (batch, lengths), strict=True)))
    return outputs


def masks_padding(session: Any) -> bool:
    """Return whether a network hears a segment the same alone and padded, in a batch.

    A conformer that was exported from a batch of one may have lost its masks.
    """
    # int8 scales are per batch, which changes a little of everything, and sometimes a whole token
    # (in one of three with one of our models); attention to padding changes a lot of each.
    return float(np.median([_changed(session, seed) for seed in range(3)])) < 0.1


def _changed(session: Any, seed: int) -> float:
    """Return how much of what is heard in noise padding changes, as a share of all of it."""
    random = np.random.default_rng(seed)
    short, long = (random.normal(-6, 3, (MEL_BINS, count)).astype(np.float32) for count in (80, 99))
    alone = run(session, [short])[0]
    together = run(session, [short, long], bucketed=True)[0][:1]
    cut = together[tuple(slice(0, size) for size in alone.shape)]
    return float(np.abs(cut - alone).mean() / np.abs(alone).mean())
