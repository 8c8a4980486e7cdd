"""What the network sees of a sound: features of three front ends, and their random changes. Pure.

The front ends are those of the engines (`ruasr_tel.engines.features`), so that a model is trained
on what it will be given. Changes on features cost far less than on sound: the length of the vocal
tract is a warp of the mel axis, tempo a stretch of the time axis.
"""

from collections.abc import Callable
from functools import cache

import numpy as np

from models.training.shards import RATE_HZ
from ruasr_tel.audio.resample import resample
from ruasr_tel.engines import features
from ruasr_tel.engines.features import MEL_BINS, Features
from ruasr_tel.types import Samples

MASKED_FROM = 0.3
"""Strength above which parts are hidden. Held-out words need it: of 40 prompts' 53 % were wrong
after a run without it, and 33 % after 54 hours more, most of them with it (docs/models.md)."""
FRONT_ENDS = {features.SHERPA: 0.6, features.GIGAAM_V2: 0.2, features.GIGAAM_V3: 0.2}
"""Front end -> share of the training's utterances; the first is what the catalogue asks for."""

_HEARD_BINS = 46  # below 4 kHz; the network reads no others
_LAST_HEARD = 47
_SHORTEST_FRAMES = 4
_TEMPO = 0.16  # log of the factor, at most
_MASKED_BINS, _MASKED_FRAMES = 10, 25  # at most, each mask (SpecAugment's F and T, scaled to us)
_MASK_EVERY_FRAMES = 100
_MASKED_SHARE = 8  # a mask covers at most an eighth of the time


@cache
def _front_end(name: str) -> Callable[[np.ndarray], Features]:
    return features.front_end(name)


def compute(samples: Samples, name: str = features.SHERPA) -> Features:
    """Return the features of 8 kHz audio, float32, shape (64, frames).

    Args:
        samples: int16, shape (n,), at 8 kHz, at least 0.1 s.
        name: a front end.
    """
    return _front_end(name)(resample(samples, RATE_HZ, features.RATE_HZ))


def tempo(rng: np.random.Generator) -> float:
    """Return a factor for `stretched`: the views of an utterance share it."""
    return float(np.exp(rng.uniform(-_TEMPO, _TEMPO))) if rng.random() < 0.6 else 1.0


def changed(seen: Features, rng: np.random.Generator, strength: float) -> Features:
    """Return features of another speaker, above MASKED_FROM with parts hidden; as many frames.

    Args:
        seen: shape (64, frames).
        rng: of the choices.
        strength: 0 to 1.
    """
    if rng.random() < 0.2 + 0.6 * strength:
        widest = 0.04 + 0.09 * strength
        seen = warped(seen, float(rng.uniform(1 - widest, 1 + widest)))
    return masked(seen, rng) if strength > MASKED_FROM else seen


def warped(seen: Features, factor: float) -> Features:
    """Return features with the mel axis stretched, as by a vocal tract of another length.

    Args:
        seen: shape (64, frames).
        factor: above 1 moves the formants down.
    """
    last = _LAST_HEARD if factor > 1 else MEL_BINS - 1
    at = np.clip(np.arange(MEL_BINS) * factor, 0, last)
    return _between(seen, at)


def stretched(seen: Features, factor: float) -> Features:
    """Return features at another tempo: above 1 is faster; too short ones as they are.

    Args:
        seen: shape (64, frames).
        factor: above 1 is faster.
    """
    frames = seen.shape[1]
    if frames < _SHORTEST_FRAMES:
        return seen
    at = np.arange(0, frames - 1, factor)
    return np.ascontiguousarray(_between(seen.T, at).T)


def _between(rows: Features, at: np.ndarray) -> Features:
    """Return rows at places that are no whole numbers."""
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, len(rows) - 1)
    share = (at - low).astype(np.float32)[:, None]
    found: Features = rows[low] * (1 - share) + rows[high] * share
    return found


def masked(seen: Features, rng: np.random.Generator) -> Features:
    """Return features with two bands and a stretch every second hidden (Park et al. 2019).

    Args:
        seen: shape (64, frames).
        rng: of the places.
    """
    hidden, mean, frames = seen.copy(), seen.mean(), seen.shape[1]
    for _ in range(2):
        width = int(rng.integers(0, _MASKED_BINS + 1))
        start = int(rng.integers(0, _HEARD_BINS - width))
        hidden[start : start + width] = mean
    for _ in range(1 + frames // _MASK_EVERY_FRAMES):
        width = int(rng.integers(0, min(_MASKED_FRAMES, frames // _MASKED_SHARE) + 1))
        start = int(rng.integers(0, frames - width))
        hidden[:, start : start + width] = mean
    return hidden
