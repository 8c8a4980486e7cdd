"""New sequences of words from real recordings, cut where a network hears their letters.

Few recordings are learnt by heart, sentence by sentence; in pieces of other order only their sound
tells what is said (aligned data augmentation: Lam et al. 2021).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from models.training import checkpoint, views
from models.training.batches import BLANK, labels_of, output_frames
from models.training.guard import Guard
from models.training.network import Network
from models.training.shards import RATE_HZ, Utterance
from ruasr_tel.types import Samples

_OUTPUT_SAMPLES = RATE_HZ // 25  # between two outputs of the network
_STEP_SAMPLES = 80  # in which the quietest place is looked for
_FADE_SAMPLES = 40
_LONGEST_GAP_S = 0.15
_SHORTEST_S, _LONGEST_S = 1.5, 6.0
_MOST_WORDS = 3  # of a recording, one after another
_BROKEN_SHARE = 0.3  # pieces that begin or end inside a word
_LEAST_LETTERS = 2  # of a broken word


@dataclass(frozen=True, slots=True)
class Aligned:
    """A recording with the places of its letters.

    Attributes:
        utterance: what is said.
        at: sample at which each letter of the text is heard, spaces included, rising.
    """

    utterance: Utterance
    at: npt.NDArray[np.int64]


def align(scores: npt.NDArray[np.float32], labels: Sequence[int]) -> npt.NDArray[np.float64] | None:
    """Return the frame in which each label is heard, or None if there are too few frames.

    Args:
        scores: log probabilities, shape (frames, tokens).
        labels: of what is said, at least one.
    """
    states = np.full(2 * len(labels) + 1, BLANK)
    states[1::2] = labels
    may_skip = np.zeros(len(states), bool)  # over the blank between different labels
    may_skip[3::2] = states[3::2] != states[1:-2:2]
    best = np.full(len(states), -np.inf)
    best[:2] = scores[0, states[:2]]
    came = np.zeros((len(scores), len(states)), np.int8)
    for frame in range(1, len(scores)):
        ways = np.full((3, len(states)), -np.inf)
        ways[0] = best
        ways[1, 1:] = best[:-1]
        ways[2, 2:] = np.where(may_skip[2:], best[:-2], -np.inf)
        came[frame] = ways.argmax(0)
        best = ways.max(0) + scores[frame, states]
    state = len(states) - (1 if best[-1] >= best[-2] else 2)
    if not np.isfinite(best[state]):
        return None
    heard: list[list[int]] = [[] for _ in labels]
    for frame in range(len(scores) - 1, -1, -1):
        if state % 2:
            heard[state // 2].append(frame)
        state -= int(came[frame, state])
    return np.array([np.mean(frames) for frames in heard])


def aligned(network: Network, utterances: Iterable[Utterance]) -> Iterator[Aligned]:
    """Yield recordings with the places of their letters; those that cannot be aligned are left out.

    Args:
        network: in evaluation mode, on the CPU; one that has learnt these recordings.
        utterances: with their texts.
    """
    for one in utterances:
        seen = torch.from_numpy(views.compute(one.samples))[None]
        frames = output_frames(seen.shape[2])
        with torch.no_grad():
            scores = network(seen, torch.tensor([seen.shape[2]]))[0, :frames].numpy()
        at = align(scores, labels_of(one.text))
        if at is not None:
            places = np.rint((at + 0.5) * _OUTPUT_SAMPLES).astype(np.int64)
            yield Aligned(one, np.minimum(places, len(one.samples)))


def spliced(recordings: Sequence[Aligned], kept_out: Guard, seed: int) -> Iterator[Utterance]:
    """Yield utterances of pieces at random, without end.

    Args:
        recordings: of one speaker, at least one.
        kept_out: what must not come about.
        seed: of all choices.
    """
    rng = np.random.default_rng(seed)
    while True:
        most = rng.uniform(_SHORTEST_S, _LONGEST_S) * RATE_HZ
        sounds: list[Samples] = []
        texts: list[str] = []
        while sum(map(len, sounds)) < most:
            sound, text = piece(recordings[int(rng.integers(len(recordings)))], rng)
            gap = int(rng.uniform(0, _LONGEST_GAP_S) * RATE_HZ)
            sounds += [_faded(sound), np.zeros(gap, np.int16)]
            texts.append(text)
        text = " ".join(texts)
        if not kept_out.forbids(text):
            yield Utterance(np.concatenate(sounds), text, recordings[0].utterance.voice)


def piece(one: Aligned, rng: np.random.Generator) -> tuple[Samples, str]:
    """Return some neighbouring words of a recording, now and then without a part of the last."""
    text = one.utterance.text
    begins = [0, *(at + 1 for at, letter in enumerate(text) if letter == " ")]
    first = int(rng.integers(len(begins)))
    words = int(rng.integers(1, _MOST_WORDS + 1))
    begin = begins[first]
    end = begins[first + words] - 1 if first + words < len(begins) else len(text)
    if rng.random() < _BROKEN_SHARE:
        begin, end = _broken(text, begin, end, rng)
    return one.utterance.samples[_cut(one, begin) : _cut(one, end)], text[begin:end]


def _broken(text: str, begin: int, end: int, rng: np.random.Generator) -> tuple[int, int]:
    """Return a range of letters without the end of its last word, or the begin of its first."""
    last = text.rfind(" ", begin, end) + 1 or begin
    if end - last > 2 * _LEAST_LETTERS and rng.random() < 0.5:
        return begin, int(rng.integers(last + _LEAST_LETTERS, end - _LEAST_LETTERS + 1))
    space = text.find(" ", begin, end)
    over = end if space < 0 else space
    if over - begin > 2 * _LEAST_LETTERS:
        return int(rng.integers(begin + _LEAST_LETTERS, over - _LEAST_LETTERS + 1)), end
    return begin, end


def _cut(one: Aligned, letter: int) -> int:
    """Return the quietest sample between the letters before a place in the text and behind it."""
    text, samples = one.utterance.text, one.utterance.samples
    if letter == 0:
        return 0
    if letter == len(text):
        return len(samples)
    before = letter - 2 if text[letter - 1] == " " else letter - 1
    behind = letter + 1 if text[letter] == " " else letter
    low, high = int(one.at[before]), int(one.at[behind])
    steps = (high - low) // _STEP_SAMPLES
    if steps < 2:
        return (low + high) // 2
    between = samples[low : low + steps * _STEP_SAMPLES].astype(np.float64)
    energy = (between.reshape(steps, _STEP_SAMPLES) ** 2).sum(1)
    return low + int(energy.argmin()) * _STEP_SAMPLES + _STEP_SAMPLES // 2


def _faded(sound: Samples) -> Samples:
    """Return a piece that begins and ends without a click."""
    ramp = np.minimum(1, np.arange(1, len(sound) + 1) / _FADE_SAMPLES)
    faded: Samples = (sound * ramp * ramp[::-1]).astype(np.int16)
    return faded


def from_checkpoint(path: Path, utterances: Iterable[Utterance]) -> list[Aligned]:
    """Return recordings with the places of their letters, heard by a checkpoint.

    Raises:
        ConfigError: the checkpoint cannot be read.
    """
    return list(aligned(checkpoint.load(path).network(), utterances))
