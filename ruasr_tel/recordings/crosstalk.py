"""Words of one channel that are the other side heard faintly: found by level and by text. Pure.

A copy is quieter than its original, says nearly the same words, and says them at nearly the same
time: it leaked between the wires or came back as an echo. Both must hold, the level and the text.
The same word said by the other party, even right afterwards, is no copy: it is as loud as that
party speaks, and it is said later than an echo returns.
"""

import math
import statistics
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import permutations
from typing import TypeAlias

from pydantic import Field

from ruasr_tel.events import Word
from ruasr_tel.recordings.model import Segment
from ruasr_tel.recordings.spans import Spans
from ruasr_tel.recordings.words import timed_words
from ruasr_tel.section import Section

LAG_SPREAD_S = 0.15
"""One path has one delay, so the lags of neighbouring words differ by no more than the errors of
two word times, 60 ms each at 90 % (docs/adr/0007)."""
SIMILAR = 0.6
"""Share of letters that two words of a run have in common; a faint copy is recognised worse."""
FEW_WORDS = 3
"""Fewer different words in a row than this are said by two people at once («алло», «да да да», «до
свидания») often enough that text and time prove nothing: then the rules below hold as well."""
FEW_SIMILAR = 0.8
FEW_QUIETER_DB = 12.0
"""Twice the least loss of an echo path in dB (see `CrosstalkConfig.quieter_db`)."""
FEW_BELOW_VOICE_DB = 6.0
"""How much fainter than the channel's own party speaks elsewhere."""
FEW_SHARED = 0.5
"""Share of the shorter word's time in which both sound: an answer comes after the word."""
MOSTLY = 2 / 3
"""A segment of which so many words are copies is copied as a whole: without word times always,
else with those misheard words that sound while a far louder side speaks."""

WordAt: TypeAlias = tuple[int, int]
"""Index of a segment, and of a word in it."""


class CrosstalkConfig(Section):
    """When a word on one channel is the other side heard faintly."""

    enabled: bool = True
    """Look for it at all. What is found is marked, never deleted."""
    max_lag_s: float = Field(0.4, ge=0, le=2)
    """Longest time between a word and its copy: an echo over the 150 ms one way that ITU-T G.114
    recommends at most, there and back, and the error of two word times."""
    quieter_db: float = Field(6.0, ge=0, le=60)
    """How much quieter the copy is at least: the least loss of an echo path, ITU-T G.168."""


@dataclass(frozen=True, slots=True)
class _Match:
    """What one word resembles on the other channel: one word there or two in a row."""

    likeness: float
    lag_s: float
    shared: float
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class _Copy:
    """Words of one segment that repeat words of another channel."""

    words: tuple[WordAt, ...]
    sources: tuple[WordAt, ...]
    quieter_db: float


def find_crosstalk(
    segments: Sequence[Segment], config: CrosstalkConfig | None = None
) -> list[tuple[bool, ...]]:
    """Return for each segment, for each word of `timed_words`, whether it is a copy.

    A segment without word times is a copy as a whole or not at all. The original of a copy is
    never marked, so of two alike words at most one is. Segments without levels have no copies.

    Args:
        segments: of all channels, ordered by start.
        config: limits.
    """
    config = config or CrosstalkConfig()
    said = [timed_words(segment) for segment in segments]
    marked: set[WordAt] = set()
    originals: set[WordAt] = set()
    if config.enabled:
        for copy in sorted(_copies(segments, said, config), key=_quietest_first):
            if originals.isdisjoint(copy.words) and marked.isdisjoint(copy.sources):
                marked.update(copy.words)
                originals.update(copy.sources)
    return [tuple((s, w) in marked for w in range(len(words))) for s, words in enumerate(said)]


def _quietest_first(copy: _Copy) -> tuple[float, WordAt]:
    return -copy.quieter_db, copy.words[0]


def _copies(
    segments: Sequence[Segment], said: Sequence[Sequence[Word]], config: CrosstalkConfig
) -> Iterator[_Copy]:
    channels = sorted({segment.channel for segment in segments})
    sides = {
        c: _Side([s for s, each in enumerate(segments) if each.channel == c], said)
        for c in channels
    }
    for one, other in permutations(channels, 2):
        voice_db = _voice_db(segments, one)
        for s in sides[one].segments:
            for run in _runs(said[s], sides[other], config.max_lag_s):
                if copy := _judged(segments, said, s, run, sides[other], voice_db, config):
                    yield copy


class _Side:
    """All words of one channel, by their starts."""

    def __init__(self, segments: list[int], said: Sequence[Sequence[Word]]) -> None:
        self.segments = segments
        at = [(said[s][w].start_s, (s, w)) for s in segments for w in range(len(said[s]))]
        at.sort()
        self.at = [where for _, where in at]
        self.starts = [start_s for start_s, _ in at]
        self.words = [said[s][w] for s, w in self.at]

    def like(self, word: Word, max_lag_s: float) -> _Match | None:
        """Return what resembles a word most within the lag, the nearest of equals, or None."""
        found: list[_Match] = []
        first = bisect_left(self.starts, word.start_s - max_lag_s)
        for i in range(first, len(self.words)):
            if self.starts[i] > word.start_s + max_lag_s:
                break
            for last in range(i, min(i + 2, len(self.words))):
                if match := self._match(word, i, last):
                    found.append(match)
        return max(found, key=lambda match: (match.likeness, -abs(match.lag_s)), default=None)

    def _match(self, word: Word, first: int, last: int) -> _Match | None:
        text = "".join(each.text for each in self.words[first : last + 1])
        likeness = _likeness(word.text, text)
        if likeness < SIMILAR:
            return None
        start_s, end_s = self.starts[first], self.words[last].end_s
        shared_s = min(word.end_s, end_s) - max(word.start_s, start_s)
        shorter_s = min(word.end_s - word.start_s, end_s - start_s)
        shared = shared_s / shorter_s if shorter_s > 0 else 0.0
        return _Match(likeness, word.start_s - start_s, shared, first, last)


@lru_cache(maxsize=1 << 16)
def _likeness(one: str, other: str) -> float:
    """Return the share of letters two texts have in common, 0 where it cannot reach SIMILAR."""
    one, other = one.lower(), other.lower()
    if one == other:
        return 1.0
    longest_common = min(len(one), len(other))
    if 2 * longest_common < SIMILAR * (len(one) + len(other)):
        return 0.0
    return SequenceMatcher(None, one, other, autojunk=False).ratio()


_Run: TypeAlias = list[tuple[int, _Match]]
"""Indices of words with what they match, both in order."""


def _runs(words: Sequence[Word], other: _Side, max_lag_s: float) -> Iterator[_Run]:
    """Yield the longest rows of words that match in order with one delay.

    One word between two that match may be misheard.
    """
    run: _Run = []
    for w, word in enumerate(words):
        match = other.like(word, max_lag_s)
        if match is None:
            continue
        if run and not _goes_on(run[-1], w, match):
            yield run
            run = []
        run.append((w, match))
    if run:
        yield run


def _goes_on(before: tuple[int, _Match], w: int, match: _Match) -> bool:
    last_w, last = before
    return (
        w - last_w <= 2
        and match.first > last.last
        and abs(match.lag_s - last.lag_s) <= LAG_SPREAD_S
    )


def _judged(
    segments: Sequence[Segment],
    said: Sequence[Sequence[Word]],
    s: int,
    run: _Run,
    other: _Side,
    voice_db: float | None,
    config: CrosstalkConfig,
) -> _Copy | None:
    """Return a run as a copy, or None where level, time or text do not bear it out."""
    sources = tuple(other.at[i] for _, match in run for i in range(match.first, match.last + 1))
    quieter_db = _quieter_db(segments[s])
    louder = [_quieter_db(segments[source]) for source, _ in sources]
    if quieter_db is None or None in louder:
        return None
    louder_db = min(-db for db in louder if db is not None)
    if quieter_db + louder_db <= 0:  # then the other one is the copy
        return None
    if len({said[s][w].text.lower() for w, _ in run}) < FEW_WORDS:
        if not _few_but_sure(segments[s], quieter_db, run, voice_db):
            return None
    elif max(quieter_db, louder_db) < config.quieter_db:
        return None
    talk = Spans((w.start_s, w.end_s) for source in {s for s, _ in sources} for w in said[source])
    words = _carried(segments[s], said[s], run, talk, max(quieter_db, louder_db))
    return _Copy(tuple((s, w) for w in words), sources, quieter_db) if words else None


def _few_but_sure(segment: Segment, quieter_db: float, run: _Run, voice_db: float | None) -> bool:
    faint = voice_db is None or _level(segment) <= voice_db - FEW_BELOW_VOICE_DB
    alike = all(m.likeness >= FEW_SIMILAR and m.shared >= FEW_SHARED for _, m in run)
    return faint and alike and quieter_db >= FEW_QUIETER_DB


def _carried(
    segment: Segment, words: Sequence[Word], run: _Run, talk: Spans, apart_db: float
) -> Sequence[int]:
    """Return which words the run takes with it: those between its ends, at least.

    Where the segment is mostly copied, they are all that sound during the talk of the originals, if
    the sides are so far apart that none of them can be true: levels are means over words, and one
    true word among n, no more than FEW_QUIETER_DB below the other side, would bring the means
    within FEW_QUIETER_DB + 10 lg n.
    """
    inside = range(run[0][0], run[-1][0] + 1)
    mostly = len(inside) >= MOSTLY * len(words)
    if not segment.words:
        return range(len(words)) if mostly else ()
    if not mostly or apart_db < FEW_QUIETER_DB + 10 * math.log10(len(words)):
        return inside
    spoken_over = {
        w
        for w, word in enumerate(words)
        if talk.within(word.start_s, word.end_s) > FEW_SHARED * (word.end_s - word.start_s)
    }
    return sorted(spoken_over.union(inside))


def _quieter_db(segment: Segment) -> float | None:
    if segment.level_db is None or segment.other_db is None:
        return None
    return segment.other_db - segment.level_db


def _level(segment: Segment) -> float:
    return 0.0 if segment.level_db is None else segment.level_db


def _voice_db(segments: Sequence[Segment], channel: int) -> float | None:
    """Return how loud a channel's own party speaks, or None where it was not heard alone."""
    levels = [
        each.level_db
        for each in segments
        if each.channel == channel
        and each.text
        and each.level_db is not None
        and (each.other_db is None or each.level_db > each.other_db)
    ]
    return statistics.median(levels) if levels else None
