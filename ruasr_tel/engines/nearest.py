"""A closed list for a decoder that has none: what was heard becomes the nearest phrases. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from ruasr_tel.engines import words
from ruasr_tel.engines.base import DecodeOptions, Hypothesis
from ruasr_tel.engines.phrases import clean, fold
from ruasr_tel.engines.prepare import UNKNOWN

UNKNOWN_COST = 0.5
"""What a letter costs that is taken for `[unk]`, in wrong letters: a word of the list may be half
wrong. 83 % of 126 real prompts are nearer to their list, 86 % of 545 farther from a wrong one
(embedded transducer, docs/adr/0015)."""
_MORE_WORDS = 1
"""Words that may be heard for a phrase beyond its own: a word falls apart."""


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some of the words heard, and what they are taken for.

    Attributes:
        phrase: of the list, folded, or `[unk]`.
        begin: first of the words.
        end: one past the last.
    """

    phrase: str
    begin: int
    end: int


def keep_to_list(hypothesis: Hypothesis, options: DecodeOptions) -> Hypothesis:
    """Return what was heard as phrases of a closed list, one after another, with `match`.

    Each word of a phrase has the time and the mean log probability of the word heard in its place.

    Args:
        hypothesis: heard freely.
        options: closed.
    """
    spelling = clean(options.phrases)
    heard = fold(hypothesis.text).split()
    if not heard:
        return replace(hypothesis, match=1.0)
    pieces = _split(heard, list(spelling))
    match = _similarity(heard, pieces)
    if UNKNOWN in map(str.strip, options.phrases):
        pieces = _split(heard, list(spelling), unknown=True)
    return replace(_retold(hypothesis, pieces, spelling), match=match)


def _split(heard: Sequence[str], phrases: Sequence[str], *, unknown: bool = False) -> list[_Piece]:
    """Return the cheapest way to take the words for phrases; fewer phrases where it is equal."""
    longest = max((phrase.count(" ") + 1 for phrase in phrases), default=0) + _MORE_WORDS
    best: list[tuple[float, list[_Piece]]] = [(0.0, [])]
    for end in range(1, len(heard) + 1):
        ways: list[tuple[float, list[_Piece]]] = []
        for begin in range(max(0, end - longest), end):
            cost, before = best[begin]
            text = " ".join(heard[begin:end])
            if unknown and end == begin + 1:
                ways.append(
                    (cost + UNKNOWN_COST * len(text), [*before, _Piece(UNKNOWN, begin, end)])
                )
            found = process.extractOne(text, phrases, scorer=Levenshtein.distance)
            if found is not None:
                ways.append((cost + found[1], [*before, _Piece(found[0], begin, end)]))
        if not ways:
            return []
        best.append(min(ways, key=lambda way: (way[0], len(way[1]))))
    return best[-1][1]


def _similarity(heard: Sequence[str], pieces: Sequence[_Piece]) -> float:
    """Return the share of letters that are right, 0..1."""
    return Levenshtein.normalized_similarity(" ".join(heard), " ".join(p.phrase for p in pieces))


def _retold(
    hypothesis: Hypothesis, pieces: Sequence[_Piece], spelling: dict[str, str]
) -> Hypothesis:
    spans = [span for _, span in words.folded(hypothesis.tokens)]
    said: list[tuple[str, list[int]]] = []
    for piece in pieces:
        for i, word in enumerate(spelling.get(piece.phrase, piece.phrase).split()):
            if word == UNKNOWN and said and said[-1][0] == UNKNOWN:
                continue
            at = min(piece.begin + i, piece.end - 1)
            said.append((word, spans[at] if at < len(spans) else []))
    timed = all(span for _, span in said)
    has_log_probs = hypothesis.log_probs is not None
    return replace(
        hypothesis,
        text=" ".join(word for word, _ in said),
        tokens=tuple(f" {word}" for word, _ in said) if timed else (),
        starts_s=tuple(hypothesis.starts_s[span[0]] for _, span in said) if timed else (),
        log_probs=tuple(words.mean_log_prob(hypothesis, span) for _, span in said)
        if timed and has_log_probs
        else None,
    )
