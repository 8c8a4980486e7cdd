"""Batches for training, without end, from a folder of shards that may grow meanwhile."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from models.training import views
from models.training.russian import LETTERS
from models.training.shards import RATE_HZ, Shard, shards_in
from models.training.telephone import codecs
from models.training.telephone.chain import paced, through_a_line
from ruasr_tel.engines.features import MEL_BINS, Features
from ruasr_tel.types import Waveform

TOKENS = (" ", *LETTERS, "<blk>")
BLANK = len(TOKENS) - 1
SUBSAMPLING = 4
_NUMBER_OF = {letter: number for number, letter in enumerate(TOKENS)}
_SILENT_FEATURE = -15.9  # log of float32's epsilon: what no sound gives
_ROUND = 2000  # utterances before the folder is looked at again
_SORTED_TOGETHER = 400  # of them: batches of like length, in an order that still varies
_BACKGROUND_TALKERS = 3
_BACKGROUND_SHARE = 0.15
_PAUSE_S = 0.1, 0.9  # between utterances that are joined


@dataclass(frozen=True, slots=True)
class Batch:
    """Utterances of like length; of two views, the second ones of all come after the first ones.

    Attributes:
        features: float32, shape (utterances, 64, frames).
        frames: of each, int64, shape (utterances,).
        labels: of all, one after another, int64.
        lengths: labels of each, int64, shape (utterances,).
    """

    features: npt.NDArray[np.float32]
    frames: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Wish:
    """What the batches shall be like; it may change while they are made.

    Attributes:
        strength: of the changes, 0 to 1.
        longest_s: longer utterances stay out.
        batch_s: seconds of audio in a batch, padding and all views included.
        views: of each utterance, through lines of their own.
        joined: share of the utterances that others follow: longer than any alone.
    """

    strength: float
    longest_s: float
    batch_s: float
    views: int = 1
    joined: float = 0.0


def labels_of(text: str) -> list[int]:
    """Return a clean text as numbers of TOKENS."""
    return [_NUMBER_OF[letter] for letter in text]


def output_frames(frames: int) -> int:
    """Return the network's output frames for frames of features: twice halved, rounded up."""
    return ((frames + 1) // 2 + 1) // 2


def plan(lengths: Sequence[int], most: int, rng: np.random.Generator) -> list[list[int]]:
    """Return utterances in batches of like length, the batches in random order.

    Args:
        lengths: of the utterances, in samples.
        most: samples in a batch, each utterance as long as its longest; an utterance above it
            comes alone.
        rng: of the order.
    """
    batches: list[list[int]] = []
    current: list[int] = []
    for one in sorted(range(len(lengths)), key=lambda at: lengths[at]):
        if current and lengths[one] * (len(current) + 1) > most:
            batches.append(current)
            current = []
        current.append(one)
    if current:
        batches.append(current)
    return [batches[at] for at in rng.permutation(len(batches))]


@dataclass(frozen=True, slots=True)
class Said:
    """Utterances of a shard that come one after another.

    Attributes:
        shard: where they are.
        numbers: of the utterances.
    """

    shard: Shard
    numbers: tuple[int, ...]

    def length_samples(self) -> int:
        """Return how long they are, with a pause of the mean length after each but the last."""
        pauses = int(sum(_PAUSE_S) / 2 * RATE_HZ) * (len(self.numbers) - 1)
        return sum(map(self.shard.length_samples, self.numbers)) + pauses

    def sound(self, rng: np.random.Generator) -> tuple[Waveform, str]:
        """Return the sound with pauses of random lengths, and what is said."""
        parts: list[Waveform] = []
        texts = []
        for number in self.numbers:
            if parts:
                parts.append(np.zeros(int(rng.uniform(*_PAUSE_S) * RATE_HZ), np.float32))
            one = self.shard[number]
            parts.append(codecs.to_float(one.samples))
            texts.append(one.text)
        return np.concatenate(parts), " ".join(texts)


def _followed(one: Said, rng: np.random.Generator, longest_s: float) -> Said:
    """Return an utterance with as many others after it as there is room for, or fewer."""
    most = rng.uniform(0, longest_s) * RATE_HZ
    while True:
        more = Said(one.shard, (*one.numbers, int(rng.integers(len(one.shard)))))
        if more.length_samples() > most:
            return one
        one = more


class Stock:
    """The utterances of a folder's shards.

    Args:
        folder: with the shards.
        weights: source -> how often an utterance of it comes in a pass; 1 where none is given.
    """

    def __init__(self, folder: Path, weights: Mapping[str, float]) -> None:
        self._folder = folder
        self._weights = weights
        self._shards: dict[Path, Shard] = {}

    def __len__(self) -> int:
        """Return the number of utterances."""
        return sum(len(shard) for shard in self._shards.values())

    def look(self) -> None:
        """Take in the shards that have come.

        Raises:
            ConfigError: one is broken, or its terms are not permissive.
        """
        for path in shards_in(self._folder):
            if path not in self._shards:
                self._shards[path] = Shard(path)

    def draw(self, rng: np.random.Generator, longest_s: float, joined: float = 0.0) -> list[Said]:
        """Return some utterances at random, by the weights of their sources.

        Args:
            rng: of the choices.
            longest_s: longer ones stay out.
            joined: share of those that others of their shard follow.
        """
        found = []
        for shard in self._shards.values():
            weight = self._weights.get(shard.source.name, 1.0)
            for at in range(len(shard)):
                if shard.length_samples(at) <= longest_s * RATE_HZ:
                    found += [Said(shard, (at,))] * int(weight + rng.random())
        some = [found[at] for at in rng.permutation(len(found))[:_ROUND]]
        return [_followed(one, rng, longest_s) if rng.random() < joined else one for one in some]

    def talkers(self, rng: np.random.Generator) -> list[Waveform]:
        """Return one to three utterances for the background."""
        shards = list(self._shards.values())
        talkers = []
        for _ in range(rng.integers(1, _BACKGROUND_TALKERS + 1)):
            shard = shards[int(rng.integers(len(shards)))]
            talkers.append(codecs.to_float(shard[int(rng.integers(len(shard)))].samples))
        return talkers


def batches(stock: Stock, wish: Callable[[], Wish], seed: int) -> Iterator[Batch]:
    """Yield batches without end.

    Args:
        stock: of utterances, not empty.
        wish: asked before every batch.
        seed: of all choices.
    """
    rng = np.random.default_rng(seed)
    while True:
        stock.look()
        drawn = stock.draw(rng, wish().longest_s, wish().joined)
        for first in range(0, len(drawn), _SORTED_TOGETHER):
            some = drawn[first : first + _SORTED_TOGETHER]
            lengths = [one.length_samples() for one in some]
            for numbers in plan(lengths, int(wish().batch_s / wish().views * RATE_HZ), rng):
                wished = wish()
                heard = [_hear(stock, some[number], rng, wished) for number in numbers]
                usable = [pairs for pairs in heard if _can_be_aligned(*pairs[0])]
                batch = collate([pair for view in zip(*usable, strict=True) for pair in view])
                if batch is not None:
                    yield batch


def _hear(
    stock: Stock, said: Said, rng: np.random.Generator, wish: Wish
) -> list[tuple[Features, list[int]]]:
    """Return the views of an utterance: at one pace, so that their frames are of one time."""
    sound, text = said.sound(rng)
    sound = paced(sound, rng, wish.strength)
    tempo = views.tempo(rng)
    names, shares = list(views.FRONT_ENDS), list(views.FRONT_ENDS.values())
    front_end = names[int(rng.choice(len(names), p=shares))]
    labels = labels_of(text)
    found = []
    for _ in range(wish.views):
        others = stock.talkers(rng) if rng.random() < _BACKGROUND_SHARE * wish.strength else []
        heard = through_a_line(sound, rng, wish.strength, others)
        seen = views.stretched(views.compute(codecs.to_int16(heard), front_end), tempo)
        found.append((views.changed(seen, rng, wish.strength), labels))
    return found


def _can_be_aligned(seen: Features, labels: Sequence[int]) -> bool:
    repeats = sum(one == other for one, other in pairwise(labels))
    return output_frames(seen.shape[1]) >= len(labels) + repeats


def collate(pairs: Sequence[tuple[Features, Sequence[int]]]) -> Batch | None:
    """Return a batch of features and labels, or None for none."""
    if not pairs:
        return None
    frames = np.array([seen.shape[1] for seen, _ in pairs], np.int64)
    features = np.full((len(pairs), MEL_BINS, frames.max()), _SILENT_FEATURE, np.float32)
    for row, (seen, _) in zip(features, pairs, strict=True):
        row[:, : seen.shape[1]] = seen
    return Batch(
        features=features,
        frames=frames,
        labels=np.array([label for _, labels in pairs for label in labels], np.int64),
        lengths=np.array([len(labels) for _, labels in pairs], np.int64),
    )
