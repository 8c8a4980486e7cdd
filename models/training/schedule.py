"""How a training run goes over its time: learning rate, strength of the changes, lengths. Pure.

Everything follows the wall time, so that a run takes as long as it may and still ends well.
"""

import math
from dataclasses import dataclass

from models.training.batches import Wish

_SHORT_UNTIL = 0.15  # share of the run in which only short utterances come: CTC aligns them first
_STRONGER_FROM, _STRONGER_FOR = 0.12, 0.3
_LAST_RATE = 0.005  # of the highest learning rate: the last steps still count


@dataclass(frozen=True, slots=True)
class Schedule:
    """What changes while a run goes on.

    Attributes:
        highest_rate: of learning.
        warm_steps: it rises over so many.
        flat: share of the run before it falls by a cosine.
        first_strength: of the changes to speech, 0 to 1.
        last_strength: reached before the middle of the run.
        short_s: longest utterance at first.
        longest_s: longest one afterwards.
        batch_s: seconds of audio in a batch.
        views: of each utterance.
        joined: share of the utterances that others follow, once the longest may come.
    """

    highest_rate: float = 2e-3
    warm_steps: int = 100
    flat: float = 0.35
    first_strength: float = 0.05
    last_strength: float = 0.45
    short_s: float = 3.2
    longest_s: float = 20.0
    batch_s: float = 40.0
    views: int = 1
    joined: float = 0.3

    def rate(self, progress: float, step: int) -> float:
        """Return the learning rate.

        Args:
            progress: share of the run that is over, 0 to 1.
            step: that comes, from 0.
        """
        warm = min(1.0, (step + 1) / self.warm_steps)
        if progress < self.flat:
            return self.highest_rate * warm
        angle = math.pi * (min(progress, 1.0) - self.flat) / (1.0 - self.flat)
        return self.highest_rate * warm * (0.5 * (1 + math.cos(angle)) + _LAST_RATE)

    def wish(self, progress: float) -> Wish:
        """Return what the batches shall be like.

        Args:
            progress: share of the run that is over, 0 to 1.
        """
        grown = min(1.0, max(0.0, (progress - _STRONGER_FROM) / _STRONGER_FOR))
        return Wish(
            strength=self.first_strength + (self.last_strength - self.first_strength) * grown,
            longest_s=self.short_s if progress < _SHORT_UNTIL else self.longest_s,
            joined=0.0 if progress < _SHORT_UNTIL else self.joined,
            batch_s=self.batch_s,
            views=self.views,
        )


def decay(step: int, most: float) -> float:
    """Return how much of the moving average stays at a step: less at first, while all moves.

    Args:
        step: from 0.
        most: in the long run.
    """
    return min(most, (1 + step) / (10 + step))
