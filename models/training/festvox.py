"""The real recordings of Debian's festvox-ru, cut at their pauses into phrases.

The voice's own labels give phones and pauses; the letters are aligned to the phones to find which
words lie between two pauses.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from models.training import guard
from models.training.alignment import WORST, align
from models.training.audio import read_wav, to_8k
from models.training.russian import clean
from models.training.shards import RATE_HZ, Utterance
from ruasr_tel.errors import ConfigError
from ruasr_tel.types import Samples

VOICE = Path("/usr/share/festival/voices/russian/msu_ru_nsh_clunits")

_PAUSE = "pau"
_SHORTEST_PAUSE_S = 0.07
_JOINED_S = (0.0, 3.0, 6.0, 10.0)
"""Phrases come alone and joined to pieces of up to so many seconds."""
_TOO_SHORT_S = 0.9  # a phrase below is joined to the next in any case
_SHORTEST_S, _LONGEST_S = 0.5, 12.0
_PEAK = 0.7 * 32767
_LOUDEST = 3.0  # times louder at most


@dataclass(frozen=True, slots=True)
class Phone:
    """A labelled stretch of a recording, in seconds."""

    start_s: float
    end_s: float
    name: str


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a phrase begins: letter of the text and sample of the audio."""

    letter: int
    sample: int


def sentences(voice: Path = VOICE) -> dict[str, str]:
    """Return recording -> clean text of a festvox voice.

    Raises:
        ConfigError: the package is not installed.
    """
    path = voice / "etc/txt.done.data"
    try:
        listed = path.read_text("utf-8", errors="replace")
    except OSError as exc:
        raise ConfigError(f"no voice: install Debian's festvox-ru ({exc})") from exc
    rows = re.findall(r'\(\s*(\S+)\s+"(.*?)"\s*\)', listed)
    return {name: clean(text.replace("+", "")) for name, text in rows}  # + marks a stress


def read_labels(path: Path) -> list[Phone]:
    """Return the phones of an EST label file: end in seconds, a colour, a name."""
    phones: list[Phone] = []
    for line in path.read_text("utf-8").splitlines():
        cells = line.split()
        if len(cells) == 3:
            start_s = phones[-1].end_s if phones else 0.0
            phones.append(Phone(start_s, float(cells[0]), cells[2]))
    return phones


def utterances(voice: Path = VOICE) -> Iterator[Utterance]:
    """Yield the phrases that may be trained on, alone and joined.

    Raises:
        ConfigError: the package is not installed.
    """
    held_out = guard.recordings(guard.FESTVOX)
    for name, text in sentences(voice).items():
        if name in held_out:
            continue
        samples = _louder(to_8k(*read_wav(voice / f"wav/{name}.wav")))
        cuts = find_cuts(text, read_labels(voice / f"lab/{name}.lab"), len(samples))
        yield from phrases(samples, text, cuts)


def _louder(samples: Samples) -> Samples:
    peak = np.abs(samples.astype(np.int32)).max(initial=1)
    louder: Samples = (samples * min(_LOUDEST, _PEAK / peak)).astype(np.int16)
    return louder


def find_cuts(text: str, phones: Sequence[Phone], samples: int) -> list[Cut]:
    """Return the phrases' beginnings and the end; a doubtful alignment gives one phrase.

    Args:
        text: clean.
        phones: labels of the recording.
        samples: its length.
    """
    said = [phone for phone in phones if phone.name != _PAUSE]
    alignment = align(text, [phone.name for phone in said])
    cuts = [Cut(0, 0)]
    if alignment.cost <= WORST:
        for start_s, end_s, before in _pauses(phones):
            space = _space_at(text, alignment.ends, before)
            if end_s - start_s >= _SHORTEST_PAUSE_S and 0 < before < len(said) and space:
                cuts.append(Cut(space + 1, int((start_s + end_s) / 2 * RATE_HZ)))
    return [*cuts, Cut(len(text) + 1, samples)]


def _pauses(phones: Sequence[Phone]) -> Iterator[tuple[float, float, int]]:
    """Yield start, end and the number of phones before each stretch of pauses."""
    before, start_s = 0, None
    for phone, following in zip(phones, [*phones[1:], None], strict=True):
        if phone.name != _PAUSE:
            before += 1
            continue
        start_s = phone.start_s if start_s is None else start_s
        if following is None or following.name != _PAUSE:
            yield start_s, phone.end_s, before
            start_s = None


def _space_at(text: str, ends: Mapping[int, int], before: int) -> int:
    """Return the space between words that a number of phones falls on, or 0."""
    return next(
        (
            at
            for at, letter in enumerate(text)
            if letter == " " and ends[at - 1] == before < ends[at + 1]
        ),
        0,
    )


def phrases(samples: Samples, text: str, cuts: Sequence[Cut]) -> Iterator[Utterance]:
    """Yield the phrases between cuts, then neighbours joined, each stretch once.

    Args:
        samples: int16, shape (n,), at RATE_HZ.
        text: clean.
        cuts: as from `find_cuts`.
    """
    seen: set[tuple[int, int]] = set()
    for limit_s in _JOINED_S:
        first = 0
        while first < len(cuts) - 1:
            last = _join(cuts, first, limit_s)
            start, end = cuts[first], cuts[last]
            said = text[start.letter : end.letter - 1].strip()
            seconds = (end.sample - start.sample) / RATE_HZ
            stretch = (start.sample, end.sample)
            if said and stretch not in seen and _SHORTEST_S < seconds < _LONGEST_S:
                seen.add(stretch)
                yield Utterance(samples[start.sample : end.sample], said, "festvox")
            first = last


def _join(cuts: Sequence[Cut], first: int, limit_s: float) -> int:
    """Return the cut that ends the piece which begins at `first`."""
    last = first + 1
    while last + 1 < len(cuts):
        now_s = (cuts[last].sample - cuts[first].sample) / RATE_HZ
        then_s = (cuts[last + 1].sample - cuts[first].sample) / RATE_HZ
        if then_s > limit_s and now_s >= _TOO_SHORT_S:
            break
        last += 1
    return last
