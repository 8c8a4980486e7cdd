"""A transcript to a dialogue: turns on one time line, overlap, interruptions, figures. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from ruasr_tel.events import Word
from ruasr_tel.recordings.crosstalk import CrosstalkConfig, find_crosstalk
from ruasr_tel.recordings.model import Dialogue, Segment, Side, Transcript, Turn
from ruasr_tel.recordings.spans import Spans
from ruasr_tel.section import Section

AUDIBLE_PAUSE_S = 0.2
"""Shorter gaps between words are stop consonants and errors of word times, not pauses: the limit
usual in phonetics (Heldner and Edlund 2010, doi:10.1016/j.wocn.2010.08.002)."""
USUAL_PAUSE_S = 1.0
"""What ends a turn in a recording with too few pauses to have a rhythm: the longest silence that
people let stand in conversation (Jefferson 1989, in Roger and Bull, Conversation)."""
FEWEST_PAUSES = 5
"""A percentile of fewer says nothing."""
HANDOVER_S = 0.3
"""A pause of one side as long as this, in which the other side speaks, has handed over: a change
of speakers takes 0.2 s (Levinson and Torreira 2015, doi:10.3389/fpsyg.2015.00731) and whatever is
said takes at least as long as a short word."""
AT_ONCE_S = 0.1
"""Less speech at once is no overlap: the errors of two word ends, 60 ms each at 90 %
(docs/adr/0007)."""
INTERRUPTED_S = 0.3
"""Who speaks on for less than this after the other side began was just finishing: overlaps at an
ordinary change of speakers last 0.275 s in the mean (Levinson and Torreira 2015)."""
BACKCHANNEL_S = 1.0
"""A longer one is a turn of its own; «ну да конечно» takes 0.9 s."""

BACKCHANNELS = frozenset(
    {"угу", "ага", "мгм", "м", "мм", "хм", "э", "да", "так", "ну", "хорошо", "понятно"}
    | {"понял", "поняла", "ясно", "конечно", "точно", "верно"}
)
"""What a listener says without taking over."""


class DialogueConfig(Section):
    """How turns are told apart."""

    rhythm_percentile: float = Field(80.0, gt=0, lt=100)
    """A pause longer than this share of the recording's own pauses ends a turn (the seed's
    BETWEEN_WORDS_PERCENTILE)."""
    shortest_pause_s: float = Field(0.5, ge=0.2, le=10)
    """No shorter pause ends a turn, however fast the talk: the longest of the 132 gaps between
    words of the prompts in tests/data is 0.45 s."""
    longest_pause_s: float = Field(2.0, ge=0.2, le=60)
    """Any longer pause ends a turn, however slow the talk: twice what people let stand."""
    backchannels: frozenset[str] = BACKCHANNELS
    """Words that a listener says without taking over, in lower case."""
    crosstalk: CrosstalkConfig = CrosstalkConfig()
    """How the other side heard faintly is found."""

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.shortest_pause_s > self.longest_pause_s:
            raise ValueError(
                f"shortest_pause_s, {self.shortest_pause_s:g}, is above longest_pause_s, "
                f"{self.longest_pause_s:g}"
            )
        return self


@dataclass(frozen=True, slots=True)
class _Piece:
    """A word with its time, or a segment whose words have none."""

    channel: int
    start_s: float
    end_s: float
    text: str
    word: Word | None


def make_dialogue(transcript: Transcript, *, config: DialogueConfig | None = None) -> Dialogue:
    """Return who said what and when.

    Every word of the transcript is in exactly one turn; turns are ordered by start. Times come out
    in whole milliseconds and levels in tenths of a decibel, both far finer than they are known.

    Args:
        transcript: segments in any order.
        config: how turns are told apart.
    """
    config = config or DialogueConfig()
    transcript = _tidy(transcript)
    duration_s = transcript.duration_s
    voices, copies = _pieces(transcript.segments, config.crosstalk)
    pause_s = _turn_pause_s(voices, config)
    channels = max([transcript.channels, *(each.channel + 1 for each in transcript.segments)])
    talks = [_talk(_of(voices, channel)) for channel in range(channels)]
    floors = [_floor(_of(voices, channel), config) for channel in range(channels)]
    turns: list[Turn] = []
    sides: list[Side] = []
    for channel in range(channels):
        talk, floor = _union(talks, channel), _union(floors, channel)
        own = [
            _turn(group, talk, floor, config)
            for group in _grouped(_of(voices, channel), pause_s, floor)
        ]
        turns += own
        turns += [_copied(group) for group in _grouped(_of(copies, channel), pause_s)]
        sides.append(_side(channel, own, talks[channel], talk, duration_s))
    turns.sort(key=lambda turn: (turn.start_s, turn.channel, turn.end_s, turn.crosstalk))
    return Dialogue(duration_s, tuple(turns), tuple(sides), transcript)


def _tidy(transcript: Transcript) -> Transcript:
    """Return the transcript in one order, whatever order it came in, without false digits."""
    segments = [
        replace(
            segment,
            start_s=round(segment.start_s, 3),
            end_s=round(segment.end_s, 3),
            words=tuple(
                Word(w.text, round(w.start_s, 3), round(w.end_s, 3), _rounded(w.confidence, 4))
                for w in segment.words
            ),
            confidence=_rounded(segment.confidence, 4),
            level_db=_rounded(segment.level_db, 1),
            other_db=_rounded(segment.other_db, 1),
        )
        for segment in transcript.segments
    ]
    segments.sort(key=lambda each: (each.start_s, each.channel, each.end_s, repr(each)))
    return replace(transcript, duration_s=round(transcript.duration_s, 3), segments=tuple(segments))


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)


def _pieces(
    segments: Sequence[Segment], config: CrosstalkConfig
) -> tuple[list[_Piece], list[_Piece]]:
    """Return what was said and what was heard faintly from the other side, ordered by start."""
    said: tuple[list[_Piece], list[_Piece]] = ([], [])
    for segment, copied in zip(segments, find_crosstalk(segments, config), strict=True):
        if not segment.words and copied:
            whole = _Piece(segment.channel, segment.start_s, segment.end_s, segment.text, None)
            said[copied[0]].append(whole)
        for word, copy in zip(segment.words, copied, strict=False):
            piece = _Piece(segment.channel, word.start_s, word.end_s, word.text, word)
            said[copy].append(piece)
    for pieces in said:
        pieces.sort(key=lambda piece: piece.start_s)
    return said


def _turn_pause_s(voices: Sequence[_Piece], config: DialogueConfig) -> float:
    """Return which pause ends a turn, from the pauses of whoever goes on speaking."""
    gaps = [
        round(following.start_s - piece.end_s, 3)
        for piece, following in pairwise(voices)
        if piece.channel == following.channel
    ]
    pauses = [gap for gap in gaps if AUDIBLE_PAUSE_S <= gap <= config.longest_pause_s]
    usual_s = USUAL_PAUSE_S
    if len(pauses) >= FEWEST_PAUSES:
        usual_s = round(float(np.percentile(pauses, config.rhythm_percentile)), 3)
    return min(max(usual_s, config.shortest_pause_s), config.longest_pause_s)


def _grouped(
    pieces: Iterable[_Piece], pause_s: float, floor: Spans | None = None
) -> Iterator[list[_Piece]]:
    """Yield one side's pieces in groups that a pause or the other side's floor divides.

    A segment without word times is a group of its own.
    """
    group: list[_Piece] = []
    until_s = 0.0
    for piece in pieces:
        if group and (
            group[-1].word is None
            or piece.word is None
            or round(piece.start_s - until_s, 3) > pause_s
            or _handed_over(until_s, piece.start_s, floor)
        ):
            yield group
            group = []
        until_s = max(until_s, piece.end_s) if group else piece.end_s
        group.append(piece)
    if group:
        yield group


def _handed_over(start_s: float, end_s: float, floor: Spans | None) -> bool:
    """Return whether the other side speaks in a pause that is long enough for it."""
    if floor is None or end_s - start_s < HANDOVER_S:
        return False
    return floor.within(start_s, end_s) >= AT_ONCE_S


def _is_backchannel(group: Sequence[_Piece], config: DialogueConfig) -> bool:
    words = {word.strip(".,!?…-").lower() for piece in group for word in piece.text.split()}
    short = _end_s(group) - group[0].start_s <= BACKCHANNEL_S
    return short and words <= config.backchannels


def _floor(own: Iterable[_Piece], config: DialogueConfig) -> Spans:
    """Return where a side speaks without an audible pause and more than a backchannel."""
    return Spans(
        (group[0].start_s, _end_s(group))
        for group in _grouped(own, AUDIBLE_PAUSE_S)
        if not _is_backchannel(group, config)
    )


def _turn(group: Sequence[_Piece], talk: Spans, floor: Spans, config: DialogueConfig) -> Turn:
    """Return a turn.

    Args:
        group: its pieces.
        talk: when the other sides speak.
        floor: the same without backchannels and audible pauses.
        config: what a backchannel is.
    """
    start_s = group[0].start_s
    interrupted = any(
        before_s <= start_s - AT_ONCE_S and until_s >= start_s + INTERRUPTED_S
        for before_s, until_s in floor.touching(start_s, start_s + AT_ONCE_S)
    )
    return replace(
        _copied(group),
        crosstalk=False,
        overlaps=_talk(group).common_s(talk) >= AT_ONCE_S,
        interrupts=interrupted and not _is_backchannel(group, config),
    )


def _copied(group: Sequence[_Piece]) -> Turn:
    return Turn(
        group[0].channel,
        group[0].start_s,
        _end_s(group),
        " ".join(piece.text for piece in group),
        tuple(piece.word for piece in group if piece.word is not None),
        crosstalk=True,
    )


def _side(
    channel: int, turns: Sequence[Turn], own: Spans, others: Spans, duration_s: float
) -> Side:
    talk = own.clipped(duration_s)
    talk_s = round(talk.length_s, 3)
    return Side(
        channel,
        talk_s=talk_s,
        silence_s=round(duration_s - talk_s, 3),
        overlap_s=round(talk.common_s(others), 3),
        interruptions=sum(turn.interrupts for turn in turns),
        turns=len(turns),
        words=sum(len(turn.words) or len(turn.text.split()) for turn in turns),
    )


def _of(pieces: Iterable[_Piece], channel: int) -> list[_Piece]:
    return [piece for piece in pieces if piece.channel == channel]


def _talk(pieces: Iterable[_Piece]) -> Spans:
    return Spans((piece.start_s, piece.end_s) for piece in pieces)


def _union(sides: Sequence[Spans], without: int) -> Spans:
    """Return the stretches of all sides but one."""
    return Spans(span for side, each in enumerate(sides) if side != without for span in each.spans)


def _end_s(group: Sequence[_Piece]) -> float:
    return max(piece.end_s for piece in group)
