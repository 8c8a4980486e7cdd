"""Segments as recognition would give them, for the tests of this folder."""

from collections.abc import Iterable

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from ruasr_tel.events import Word
from ruasr_tel.recordings.model import Segment, Transcript, Turn

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For properties: a busy machine is not a fault."""
VOICE_DB = -25.0
QUIET_DB = -65.0
"""The line while nobody speaks on it."""
FAINT_DB = -50.0


def said(
    channel: int,
    start_s: float,
    text: str,
    *,
    word_s: float = 0.3,
    level_db: float | None = VOICE_DB,
    other_db: float | None = QUIET_DB,
    confidence: float | None = None,
) -> Segment:
    """A segment whose words last `word_s` each, nine tenths of it sounding."""
    words = tuple(
        Word(
            word,
            round(start_s + i * word_s, 3),
            round(start_s + (i + 0.9) * word_s, 3),
            confidence,
        )
        for i, word in enumerate(text.split())
    )
    end_s = words[-1].end_s if words else start_s
    return Segment(channel, start_s, end_s, text, words, confidence, level_db, other_db)


def leaked(channel: int, start_s: float, text: str, word_s: float = 0.3) -> Segment:
    """The other side, heard faintly on this channel."""
    return said(channel, start_s, text, word_s=word_s, level_db=FAINT_DB, other_db=VOICE_DB)


def untimed(channel: int, start_s: float, end_s: float, text: str) -> Segment:
    """A segment of an engine that gives no times of words."""
    return Segment(channel, start_s, end_s, text, (), None, VOICE_DB, QUIET_DB)


def transcript(*segments: Segment, duration_s: float = 60.0, channels: int = 2) -> Transcript:
    return Transcript(duration_s, channels, segments)


WORDS = st.sampled_from(
    ["да", "нет", "алло", "угу", "здравствуйте", "номер", "оператора", "заказ", "пять"]
)
LEVELS = st.one_of(st.none(), st.sampled_from([-60.0, -45.0, -37.0, -31.0, -25.0, -20.0]))


@st.composite
def segments(draw: st.DrawFn, channels: int = 2) -> Segment:
    """Any segment of a minute; words in order, with times or without."""
    channel = draw(st.integers(0, channels - 1))
    at_s = start_s = draw(st.integers(0, 600)) / 10
    words: list[Word] = []
    for text in draw(st.lists(WORDS, max_size=8)):
        length_s = draw(st.integers(0, 8)) / 10
        words.append(Word(text, round(at_s, 3), round(at_s + length_s, 3), draw(_confidence)))
        at_s += length_s + draw(st.sampled_from([0.0, 0.05, 0.25, 0.6, 1.5]))
    text = " ".join(word.text for word in words)
    timed = draw(st.booleans())
    end_s = words[-1].end_s if words else start_s + 0.5
    levels = draw(LEVELS), draw(LEVELS)
    return Segment(channel, start_s, end_s, text, tuple(words) if timed else (), None, *levels)


_confidence = st.one_of(st.none(), st.sampled_from([0.25, 0.5, 1.0]))


def transcripts(channels: int = 2) -> st.SearchStrategy[Transcript]:
    return st.lists(segments(channels), max_size=8).map(
        lambda found: Transcript(75.0, channels, tuple(found))
    )


def texts(turns: Iterable[Turn]) -> list[str]:
    """`channel: text` of each turn."""
    return [f"{turn.channel}: {turn.text}" for turn in turns]
