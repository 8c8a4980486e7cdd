"""The words of a segment: with the engine's times, or its text spread over its length. Pure."""

from ruasr_tel.events import Word
from ruasr_tel.recordings.model import Segment


def timed_words(segment: Segment) -> tuple[Word, ...]:
    """Return a segment's words; where the engine gave none, those of its text, evenly spread."""
    return segment.words or spread(segment.text, segment.start_s, segment.end_s)


def spread(text: str, start_s: float, end_s: float) -> tuple[Word, ...]:
    """Return the words of a text, each as long as its share of the letters, without confidence.

    Args:
        text: words separated by spaces.
        start_s: start of the first word in seconds.
        end_s: end of the last one.
    """
    spelled = text.split()
    per_letter_s = (end_s - start_s) / max(1, sum(map(len, spelled)))
    words: list[Word] = []
    letters = 0
    for word in spelled:
        begin_s = start_s + letters * per_letter_s
        letters += len(word)
        words.append(Word(word, begin_s, start_s + letters * per_letter_s, None))
    return tuple(words)
