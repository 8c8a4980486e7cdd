"""A dialogue as text, JSON, SubRip or WebVTT; and back from JSON. Pure.

JSON has one schema, that of `model.Dialogue`: REST answers with it, the store keeps it, webhooks
carry it.
"""

import html
import json
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from typing import cast

from pydantic import JsonValue, TypeAdapter

from ruasr_tel.events import Word
from ruasr_tel.recordings.model import Dialogue, Turn
from ruasr_tel.recordings.words import spread

LINE_LETTERS = 42
LINES = 2
"""Letters of a line, lines of a cue, and the durations below: Netflix' Timed Text Style Guide,
General Requirements."""
SHORTEST_CUE_S = 5 / 6
LONGEST_CUE_S = 7.0
CUE_PAUSE_S = 1.0
"""After such a pause a new cue begins, so that no word is shown much before it is said."""
MIDDLE = 0.25
"""A cue that is too long is cut at its longest pause, but leaves each half this share at least."""


class Form(StrEnum):
    """What a dialogue is written as."""

    TEXT = "text"
    JSON = "json"
    SRT = "srt"
    VTT = "vtt"

    @property
    def media_type(self) -> str:
        """What HTTP calls it; text/vtt is W3C's, application/x-subrip is what players expect."""
        return _MEDIA_TYPES[self]


_MEDIA_TYPES = {
    Form.TEXT: "text/plain",
    Form.JSON: "application/json",
    Form.SRT: "application/x-subrip",
    Form.VTT: "text/vtt",
}

DIALOGUE: TypeAdapter[Dialogue] = TypeAdapter(Dialogue)
"""The schema of a dialogue, for OpenAPI."""


def to_json(dialogue: Dialogue) -> dict[str, JsonValue]:
    """Return a dialogue as JSON has it; the keys are the names of the fields."""
    return cast("dict[str, JsonValue]", DIALOGUE.dump_python(dialogue, mode="json"))


def from_json(data: Mapping[str, JsonValue]) -> Dialogue:
    """Return the dialogue that `to_json` was given, equal in every field.

    Raises:
        ValueError: it is not one.
    """
    return DIALOGUE.validate_python(dict(data))


def render(dialogue: Dialogue, form: Form, *, leave_out_crosstalk: bool = False) -> str:
    """Return a dialogue in one of the forms, with its last line end; empty text for silence.

    Args:
        dialogue: what to write.
        form: how.
        leave_out_crosstalk: leave out the turns that are the other side heard faintly.
    """
    if leave_out_crosstalk:
        dialogue = without_crosstalk(dialogue)
    if form is Form.JSON:
        return json.dumps(to_json(dialogue), ensure_ascii=False) + "\n"
    if form is Form.TEXT:
        return "".join(_prefix(dialogue, turn) + turn.text + "\n" for turn in dialogue.turns)
    cues = _cues(dialogue)
    if form is Form.SRT:
        return "".join(_srt(number, cue, dialogue) for number, cue in enumerate(cues, 1))
    return "WEBVTT\n\n" + "".join(_vtt(cue, dialogue) for cue in cues)


def without_crosstalk(dialogue: Dialogue) -> Dialogue:
    """Return the dialogue without the turns that are crosstalk; its transcript stays whole."""
    return replace(dialogue, turns=tuple(turn for turn in dialogue.turns if not turn.crosstalk))


def _prefix(dialogue: Dialogue, turn: Turn) -> str:
    """Return who speaks, by channel index, where there are several."""
    if len(dialogue.sides) < 2:
        return ""
    return f"{turn.channel}{' (crosstalk)' if turn.crosstalk else ''}: "


@dataclass(frozen=True, slots=True)
class _Cue:
    turn: Turn
    start_s: float
    end_s: float
    text: str


def _cues(dialogue: Dialogue) -> list[_Cue]:
    """Return all turns as cues, ordered by start, each shown long enough to be read.

    A cue is held on until the next one begins; two are shown at once only while both sides speak.
    """
    cues = [
        _Cue(turn, part[0].start_s, part[-1].end_s, " ".join(word.text for word in part))
        for turn in dialogue.turns
        for part in _parts(turn, LINE_LETTERS - len(_prefix(dialogue, turn)))
    ]
    cues.sort(key=lambda cue: (cue.start_s, cue.turn.channel))
    next_s = [cue.start_s for cue in cues[1:]] + [dialogue.duration_s]
    return [
        replace(cue, end_s=max(cue.end_s, min(cue.start_s + SHORTEST_CUE_S, limit_s)))
        for cue, limit_s in zip(cues, next_s, strict=False)
    ]


def _parts(turn: Turn, letters: int) -> Iterator[list[Word]]:
    """Yield a turn's words in cues."""
    words = list(turn.words or spread(turn.text, turn.start_s, turn.end_s))
    first = 0
    for i, (word, following) in enumerate(pairwise(words), 1):
        if following.start_s - word.end_s >= CUE_PAUSE_S:
            yield from _fitting(words[first:i], letters)
            first = i
    if words:
        yield from _fitting(words[first:], letters)


def _fitting(words: list[Word], letters: int) -> Iterator[list[Word]]:
    """Yield the words in cues that fit, cut at the longest pause near the middle."""
    text = " ".join(word.text for word in words)
    fits = (
        words[-1].end_s - words[0].start_s <= LONGEST_CUE_S and len(_lines(text, letters)) <= LINES
    )
    if fits or len(words) == 1:
        yield words
        return
    cut = _cut(words, len(text))
    yield from _fitting(words[:cut], letters)
    yield from _fitting(words[cut:], letters)


def _cut(words: Sequence[Word], letters: int) -> int:
    """Return where to cut: the longest pause of the middle, the most central of equals."""
    said = 0
    best, best_key = 1, (False, -1.0, 0.0)
    for i, (word, following) in enumerate(pairwise(words), 1):
        said += len(word.text) + 1
        off_middle = abs(said / letters - 0.5)
        pause_s = round(following.start_s - word.end_s, 2)
        key = (off_middle <= 0.5 - MIDDLE, pause_s, -off_middle)
        if key > best_key:
            best, best_key = i, key
    return best


def _lines(text: str, letters: int) -> list[str]:
    return textwrap.wrap(text, letters, break_long_words=False, break_on_hyphens=False)


def _srt(number: int, cue: _Cue, dialogue: Dialogue) -> str:
    prefix = _prefix(dialogue, cue.turn)
    text = prefix + "\n".join(_lines(cue.text, LINE_LETTERS - len(prefix)))
    return f"{number}\n{_times(cue, ',')}\n{text}\n\n"


def _vtt(cue: _Cue, dialogue: Dialogue) -> str:
    """Return a cue with its speaker as a voice span (W3C WebVTT, 4.2.2)."""
    prefix = _prefix(dialogue, cue.turn)
    text = html.escape("\n".join(_lines(cue.text, LINE_LETTERS - len(prefix))), quote=False)
    if prefix:
        kind = ".crosstalk" if cue.turn.crosstalk else ""
        text = f"<v{kind} Speaker {cue.turn.channel}>{text}"
    return f"{_times(cue, '.')}\n{text}\n\n"


def _times(cue: _Cue, point: str) -> str:
    """Return a cue's start and end; it lasts a millisecond at least."""
    start_ms = round(cue.start_s * 1000)
    end_ms = max(round(cue.end_s * 1000), start_ms + 1)
    return f"{_clock(start_ms, point)} --> {_clock(end_ms, point)}"


def _clock(ms: int, point: str) -> str:
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}{point}{ms % 1000:03}"
