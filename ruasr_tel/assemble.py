"""Hypotheses to text in call time: in order, each exactly once, doubled words merged. Pure."""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from ruasr_tel.boundary import SegmentReady
from ruasr_tel.engines.base import Hypothesis
from ruasr_tel.engines.words import letters, spans
from ruasr_tel.events import Alternative, Word

TOKEN_BEGINS_S, LETTER_LASTS_S = 0.03, 0.08
"""A word's last token is taken to sound for their sum per letter, 0.11 s for one letter: the median
of 298 words before silence, error 30 ms median and 60 ms at 90 % (docs/adr/0007)."""
SAME_WORD_S = 0.3
"""Two equal words whose starts differ by less, in the doubled audio, are one word said once."""


@dataclass(frozen=True, slots=True)
class Line:
    """The text of one closed segment, ready to become a final.

    Attributes:
        segment: the segment's index.
        text: all words, separated by single spaces.
        words: with times in seconds of leg audio; empty where the engine gives no times.
        start_s: start of the segment.
        end_s: end of the segment.
        reason: why the segment was closed.
        confidence: mean confidence of the words, or None.
        error: why there is no text although there was speech, or None.
        fresh_samples: samples of the segment that no earlier segment held.
        alternatives: other readings, best first, of the same audio as `text`.
        score: the hypothesis's.
        match: the hypothesis's.
    """

    segment: int
    text: str
    words: tuple[Word, ...]
    start_s: float
    end_s: float
    reason: str
    confidence: float | None
    error: str | None
    fresh_samples: int
    alternatives: tuple[Alternative, ...] = ()
    score: float | None = None
    match: float | None = None


def words_of(hypothesis: Hypothesis, start_s: float, end_s: float) -> list[Word]:
    """Return the words of a hypothesis in call time.

    A token's time is where it begins to sound, so a word ends after its last token has sounded, at
    the latest where the next word begins. (The space token of letter vocabularies says nothing: it
    falls into the middle of a pause.) Confidence is the geometric mean of its tokens' values.

    Args:
        hypothesis: tokens with times from the segment's first sample.
        start_s: start of the segment in seconds of leg audio.
        end_s: end of the segment; no word ends later.
    """
    spelled = spans(hypothesis.tokens)
    begin_s = [hypothesis.starts_s[tokens[0]] for tokens in spelled] + [math.inf]
    return [
        _word(hypothesis, tokens, begin_s[i + 1], start_s, end_s)
        for i, tokens in enumerate(spelled)
    ]


def _word(
    hypothesis: Hypothesis, tokens: Sequence[int], next_s: float, start_s: float, end_s: float
) -> Word:
    last = letters(hypothesis.tokens[tokens[-1]])
    last_s = hypothesis.starts_s[tokens[-1]]
    word_end_s = min(last_s + TOKEN_BEGINS_S + LETTER_LASTS_S * len(last), max(next_s, last_s))
    confidence = None
    if hypothesis.log_probs is not None:
        mean = sum(hypothesis.log_probs[i] for i in tokens) / len(tokens)
        confidence = min(1.0, math.exp(mean)) if math.isfinite(mean) else 0.0
    return Word(
        "".join(letters(hypothesis.tokens[i]) for i in tokens),
        min(start_s + hypothesis.starts_s[tokens[0]], end_s),
        min(start_s + word_end_s, end_s),
        confidence,
    )


class Assembler:
    """Puts one leg's answers in order and in call time.

    The words of a hard cut's doubled audio are held back until the next segment tells what they
    were, so that no final is ever taken back. Alternatives are cut and joined as the best reading
    is, after what the best reading of the segment before held back.

    Args:
        sample_rate_hz: the leg's rate.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self._rate_hz = sample_rate_hz
        self._waiting: deque[_Pending] = deque()
        self.pending_samples = 0
        """Samples of segments that have no line yet."""
        self._held: list[Word] = []  # words of the last segment inside its repeated end
        self._said_until_s = -math.inf  # end of the last word before them
        self._last_text = ""

    @property
    def pending(self) -> int:
        """Segments that have no line yet."""
        return len(self._waiting)

    def expect(self, segment: SegmentReady, offset_s: float = 0.0) -> None:
        """Announce a segment that goes to recognition; segments come in order.

        Args:
            segment: the segment.
            offset_s: seconds of leg audio before the buffer's sample 0.
        """
        start_s = offset_s + segment.start / self._rate_hz
        self._waiting.append(_Pending(segment, start_s, offset_s + segment.end / self._rate_hz))
        self.pending_samples += segment.end - segment.start

    def answer(self, index: int, answer: Hypothesis | str) -> list[Line]:
        """Take the answer for one segment; return the lines that are complete now, in order.

        Args:
            index: `SegmentReady.index`.
            answer: the engine's hypothesis, or the reason why there is none.
        """
        for pending in self._waiting:
            if pending.segment.index == index:
                pending.answer = answer
        lines: list[Line] = []
        while self._waiting and (ready := self._waiting[0].answer) is not None:
            lines.append(self._line(self._waiting.popleft(), ready))
        return lines

    def _line(self, pending: "_Pending", answer: Hypothesis | str) -> Line:
        segment = pending.segment
        self.pending_samples -= segment.end - segment.start
        hypothesis = answer if isinstance(answer, Hypothesis) else Hypothesis("")
        said, held = self._words(pending, hypothesis)
        best = self._reading(pending, hypothesis, said)
        alternatives = self._alternatives(pending, hypothesis, best.text)
        self._remember(pending, best, held)
        return Line(
            segment.index,
            best.text,
            best.words,
            pending.start_s,
            pending.end_s,
            segment.reason.value,
            best.confidence,
            answer if isinstance(answer, str) else None,
            segment.end - segment.start - segment.overlap,
            alternatives,
            best.score,
            hypothesis.match,
        )

    def _alternatives(
        self, pending: "_Pending", hypothesis: Hypothesis, best: str
    ) -> tuple[Alternative, ...]:
        """Return the other readings as the final shows them; trimming may have made some equal."""
        readings: dict[str, Alternative] = {}
        for other in hypothesis.alternatives:
            words, _ = self._words(pending, other)
            reading = self._reading(pending, other, words)
            if reading.text != best:
                readings.setdefault(reading.text, reading)
        return tuple(readings.values())

    def _reading(
        self, pending: "_Pending", hypothesis: Hypothesis, words: Sequence[Word]
    ) -> Alternative:
        text = " ".join(w.text for w in words)
        if not hypothesis.tokens and hypothesis.text:
            text = hypothesis.text
            if pending.segment.overlap:
                text = without_repeated(self._last_text, text)
        known = [w.confidence for w in words if w.confidence is not None]
        confidence = sum(known) / len(known) if known else None
        return Alternative(text, tuple(words), confidence, hypothesis.score)

    def _words(self, pending: "_Pending", hypothesis: Hypothesis) -> tuple[list[Word], list[Word]]:
        """Return the words to show and those to hold back for the next segment."""
        segment = pending.segment
        words = words_of(hypothesis, pending.start_s, pending.end_s)
        if segment.overlap:
            words = [w for w in words if (w.start_s + w.end_s) / 2 >= self._said_until_s]
            middle_s = pending.start_s + segment.overlap / self._rate_hz / 2
            words = merge(self._held, words, middle_s)
        if not segment.repeated:
            return words, []
        zone_s = pending.end_s - segment.repeated / self._rate_hz
        said = [w for w in words if w.start_s < zone_s]
        return said, words[len(said) :]

    def _remember(self, pending: "_Pending", best: Alternative, held: list[Word]) -> None:
        """Keep of the best reading what the next segment needs."""
        self._last_text = best.text
        if pending.segment.overlap or pending.segment.repeated:
            self._held = held
        if pending.segment.repeated:
            self._said_until_s = best.words[-1].end_s if best.words else -math.inf


@dataclass(slots=True)
class _Pending:
    segment: SegmentReady
    start_s: float
    end_s: float
    answer: Hypothesis | str | None = None


def merge(before: Sequence[Word], after: Sequence[Word], middle_s: float) -> list[Word]:
    """Merge two readings of the same doubled audio, by token and by time.

    A word that both have at about the same time is the seam; if one of them heard only a part of
    it, the longer reading is kept. Without a seam, the earlier reading is believed up to the middle
    of the doubled audio and the later one from there, and of two words that lie on each other
    there, one is kept.

    Args:
        before: words of the earlier segment inside the doubled audio.
        after: words of the later segment, to its end.
        middle_s: the middle of the doubled audio.
    """
    seams = [
        (abs(b.start_s - a.start_s), i, j)
        for i, b in enumerate(before)
        for j, a in enumerate(after)
        if _are_one_word(b, a)
    ]
    if seams:
        _, i, j = min(seams)
        return [*before[:i], _longer(before[i], after[j]), *after[j + 1 :]]
    first = [w for w in before if (w.start_s + w.end_s) / 2 < middle_s or not after]
    second = [w for w in after if (w.start_s + w.end_s) / 2 >= middle_s]
    if first and second and _lie_on_each_other(first[-1], second[0]):
        return [*first[:-1], _longer(first[-1], second[0]), *second[1:]]
    return first + second


def _are_one_word(a: Word, b: Word) -> bool:
    if a.text == b.text:
        return abs(a.start_s - b.start_s) <= SAME_WORD_S
    return (a.text in b.text or b.text in a.text) and _lie_on_each_other(a, b)


def _longer(before: Word, after: Word) -> Word:
    return before if len(before.text) >= len(after.text) else after


def _lie_on_each_other(a: Word, b: Word) -> bool:
    shared = min(a.end_s, b.end_s) - max(a.start_s, b.start_s)
    return shared > min(a.end_s - a.start_s, b.end_s - b.start_s) / 2


def without_repeated(before: str, after: str) -> str:
    """Return `after` without the words that `before` ends with (engines without word times)."""
    said, words = before.split(), after.split()
    longest = next(
        (n for n in range(min(len(said), len(words)), 0, -1) if said[-n:] == words[:n]), 0
    )
    return " ".join(words[longest:])


class Agreement:
    """What two decodes in a row of a growing segment agree on: the text of a partial.

    Whole words only, except that the first word may show before it is complete: barge-in and
    keyword spotting want something within a second. What was shown is not taken back word by word.
    """

    def __init__(self) -> None:
        self._last = ""
        self._shown = ""

    def push(self, text: str) -> str | None:
        """Add the newest decode; return the agreed text if it changed and is not empty."""
        last, self._last = self._last, text
        common = _common_prefix(last, text)
        mid_word = any(len(t) > len(common) and t[len(common)] != " " for t in (last, text))
        if mid_word and " " in common:
            common = common.rpartition(" ")[0]
        agreed = common.strip()
        if self._shown.startswith(agreed):
            return None
        self._shown = agreed
        return agreed


def _common_prefix(a: str, b: str) -> str:
    same = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None)
    return a[: min(len(a), len(b)) if same is None else same]
