"""Speech on disk: many utterances in one file, with their texts and where they come from.

A shard `NAME` is three files: `NAME.npy` (int16 at 8 kHz, one after another), `NAME.tsv` (first
sample, samples, voice, text) and `NAME.json` (its source), written last: without it there is no
shard. So training may run while others are still being made.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.training.sources import Source
from ruasr_tel.errors import ConfigError
from ruasr_tel.types import Samples

RATE_HZ = 8000
_FASTEST_LETTERS_PER_S = 22  # CTC needs a frame (40 ms) a letter and one between equal ones


@dataclass(frozen=True, slots=True)
class Utterance:
    """Something said.

    Attributes:
        samples: int16, shape (n,), at RATE_HZ.
        text: clean.
        voice: who said it; free text.
    """

    samples: Samples
    text: str
    voice: str


@dataclass(frozen=True, slots=True)
class Summary:
    """What a shard holds.

    Attributes:
        utterances: how many.
        hours: of speech.
    """

    utterances: int
    hours: float


def write_shard(path: Path, source: Source, utterances: Iterable[Utterance]) -> Summary:
    """Write a shard.

    Args:
        path: without an ending.
        source: of all utterances.
        utterances: those too fast to be learnt are left out.

    Raises:
        ConfigError: the source's terms are not permissive, or there is no utterance.
    """
    source.check()
    kept = [one for one in utterances if learnable(one)]
    if not kept:
        raise ConfigError(f"{path}: there is nothing to write")
    path.parent.mkdir(parents=True, exist_ok=True)
    starts = np.cumsum([0, *(len(one.samples) for one in kept)])
    np.save(path.with_suffix(".npy"), np.concatenate([one.samples for one in kept]))
    rows = [
        f"{start}\t{len(one.samples)}\t{one.voice}\t{one.text}\n"
        for start, one in zip(starts, kept, strict=False)
    ]
    path.with_suffix(".tsv").write_text("".join(rows), "utf-8")
    return adopt(path, source)


def adopt(path: Path, source: Source) -> Summary:
    """Write the description of a shard that has none yet, and check that it can be read.

    Args:
        path: without an ending; `NAME.npy` and `NAME.tsv` are there.
        source: of all its utterances.

    Raises:
        ConfigError: the source's terms are not permissive, or the shard is broken.
    """
    source.check()
    described = path.with_suffix(".json")
    described.write_text(json.dumps(source.to_json(), ensure_ascii=False), "utf-8")
    try:
        return Shard(path).summary()
    except ConfigError:
        described.unlink()
        raise


def learnable(utterance: Utterance) -> bool:
    """Return whether an utterance has a text, and not more letters than its frames can say."""
    seconds = len(utterance.samples) / RATE_HZ
    return 0 < len(utterance.text) <= seconds * _FASTEST_LETTERS_PER_S


class Shard:
    """A shard for reading; its audio stays on disk.

    Args:
        path: without an ending.

    Attributes:
        path: the same.
        source: of all utterances.

    Raises:
        ConfigError: a file is missing or wrong, or the terms are not permissive.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.source = Source.from_json(json.loads(path.with_suffix(".json").read_text("utf-8")))
            rows = path.with_suffix(".tsv").read_text("utf-8").splitlines()
            self._audio = np.load(path.with_suffix(".npy"), mmap_mode="r")
        except (OSError, ValueError) as exc:
            raise ConfigError(f"shard {path} cannot be read: {exc}") from exc
        self._rows = [_parse(row, f"{path}.tsv, line {n}") for n, row in enumerate(rows, 1)]
        if self._rows and self._rows[-1][0] + self._rows[-1][1] > len(self._audio):
            raise ConfigError(f"shard {path} has less audio than its table says: make it again")

    def __len__(self) -> int:
        """Return the number of utterances."""
        return len(self._rows)

    def __iter__(self) -> Iterator[Utterance]:
        return (self[at] for at in range(len(self)))

    def __getitem__(self, at: int) -> Utterance:
        """Return an utterance; its audio is a copy."""
        start, samples, voice, text = self._rows[at]
        return Utterance(np.array(self._audio[start : start + samples]), text, voice)

    def summary(self) -> Summary:
        """Return what it holds."""
        samples = sum(row[1] for row in self._rows)
        return Summary(len(self), samples / RATE_HZ / 3600)

    def length_samples(self, at: int) -> int:
        """Return how long an utterance is."""
        return self._rows[at][1]


def _parse(row: str, where: str) -> tuple[int, int, str, str]:
    cells = row.split("\t")
    if len(cells) < 4 or not (cells[0].isdecimal() and cells[1].isdecimal()):
        raise ConfigError(f"{where}: expected first sample, samples, voice and text")
    return int(cells[0]), int(cells[1]), cells[2], cells[-1]


def shards_in(folder: Path) -> list[Path]:
    """Return the finished shards of a folder, by name, without an ending."""
    return sorted(path.with_suffix("") for path in folder.glob("*.json"))
