"""Which reply a message gets: finals in order, each once, one per reply. Pure; no clock."""

import math
from bisect import bisect_left
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from heapq import nlargest

from ruasr_tel.events import Event, Final, Partial, SpeechStarted, Word
from ruasr_tel.profile import MAX_ALTERNATIVES
from ruasr_tel_adapters.vosk_ws.options import Options
from ruasr_tel_adapters.vosk_ws.wire import (
    Reading,
    ReplyStyle,
    format_final,
    format_nothing,
    format_partial,
)

WORD_BYTES_MIN = 40
"""A word's times and key names in the shortest style, without the word."""


@dataclass(frozen=True, slots=True)
class Utterance:
    """Final text on its way to the client.

    Attributes:
        text: the text, words separated by single spaces.
        words: its words, or none if the engine gives no times.
        confidence: 0..1, or None where the model gives none.
        others: other readings, best first; `confidence` is how probable each is beside `text`.
    """

    text: str
    words: tuple[Word, ...] = ()
    confidence: float | None = None
    others: tuple[Reading, ...] = ()


class Session:
    """What one client is owed.

    vosk-server is an RPC: one reply per message, in order (vosk-server issue 81), and clients shift
    or hang on one more or one less. Finals come when they come, so they wait here for a later
    message; the last of them leave together with `eof`.

    Args:
        options: how this client wants its replies; may be replaced at any time.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self._finals: deque[Utterance] = deque()
        self._partial = ""
        self._partial_start_s = 0.0
        self._shown = ""  # last non-empty partial the client got since the last final
        self._quiet_replies = 0  # empty partials still owed after a final
        self._running = False  # Vosk's RECOGNIZER_RUNNING: audio came since the last final
        self._active_s = 0.0  # end of the last thing heard or said, in seconds of audio
        self._speech_s = -1.0  # when speech last began
        self._ended_s = 0.0  # end of the last segment that an endpoint closed

    @property
    def waiting(self) -> int:
        """Finals not delivered yet."""
        return len(self._finals)

    def on_event(self, event: Event) -> None:
        """Take what happened in the call."""
        match event:
            case SpeechStarted(start_s=start_s):
                self._speech_s = start_s
            case Partial(text=text, start_s=start_s):
                self._partial, self._partial_start_s = text, start_s
            case Final():
                self._take_final(event)

    def _take_final(self, final: Final) -> None:
        """Queue a final; an empty one only if it ends a partial that the client saw and wants it.

        Vosk's own empty finals mean 5 s of silence; ours would be noise the engine rejected, on
        which older mod_vosk ends the detection.
        """
        self._active_s = max(self._active_s, final.end_s)
        if final.reason != "length":  # speech goes on over a cut at the maximum length
            self._ended_s = final.end_s
        if self._partial_start_s < (final.start_s + final.end_s) / 2:  # not of a later segment
            self._partial = ""
        ends_shown = bool(self._shown) and not self._finals
        if not final.text and ends_shown and not self.options.empty_finals:
            self._shown = ""
        elif final.text or ends_shown:
            others = _others(final) if self.options.max_alternatives > 1 else ()
            self._finals.append(Utterance(final.text, final.words, final.confidence, others))

    def answer_audio(self, clock_s: float) -> str:
        """Return the reply to an audio message.

        Args:
            clock_s: seconds of audio received so far.
        """
        self._running = True
        if self._finals and (not self._quiet_replies or len(self._finals) > 1):
            return self._next_final()
        if self._quiet_replies:
            self._quiet_replies -= 1
            return self._format_partial("")
        if self._silence_is_long(clock_s):
            self._active_s = clock_s
            return self._deliver(format_final("", (), self.options.style))
        return self._current_partial()

    def answer_flush(self) -> str:
        """Return the reply to eof or reset: everything not delivered yet, as one final.

        Over the reply limit it first gives up other readings, then the line breaks, then the words,
        never text: the peer waits for exactly one reply.
        """
        most = max(min(self.options.max_alternatives, MAX_ALTERNATIVES) - 1, 0)
        merged = _merge(self._finals)
        if most and self._print(merged, self.options.style) is not None:
            merged = self._shorten(_merge(self._finals, most))
        self._finals.clear()
        self._partial = ""
        if not merged.text and not self._running:
            return self._deliver(format_nothing(self.options.style))
        style = self.options.style
        for smaller in (style, replace(style, compact=True)):
            reply = self._print(merged, smaller)
            if reply is not None:
                return self._deliver(reply)
        return self._deliver(_format(merged, replace(style, words=False)))

    def _next_final(self) -> str:
        """Deliver the oldest final, or as much of it as one reply holds."""
        first, *rest = self._split(self._shorten(self._finals.popleft()))
        self._finals.extendleft(reversed(rest))
        style = self.options.style
        endless = replace(style, words=False)  # for one word that is too long by itself
        return self._deliver(self._print(first, style) or _format(first, endless))

    def _deliver(self, reply: str) -> str:
        self._quiet_replies = self.options.empty_partials_after_final
        self._shown = ""
        self._running = False
        return reply

    def _current_partial(self) -> str:
        text = self._partial
        if text and text == self._shown and not self.options.repeat_partials:
            return self._format_partial("")
        self._shown = text or self._shown
        return self._format_partial(text)

    def _format_partial(self, text: str) -> str:
        reply = format_partial(text, compact=self.options.compact)
        while text and not self._fits(reply):  # the end of a long partial is what is news
            text = text.partition(" ")[2]
            reply = format_partial(text, compact=self.options.compact)
        return reply

    def _silence_is_long(self, clock_s: float) -> bool:
        limit_s = self.options.empty_final_after_s
        speaking = self._speech_s >= self._ended_s  # equal: a reset cut it
        return bool(limit_s) and not speaking and clock_s - self._active_s >= limit_s

    def _fits(self, reply: str) -> bool:
        return len(reply.encode()) <= self.options.max_reply_bytes

    def _print(self, utterance: Utterance, style: ReplyStyle) -> str | None:
        """Return the reply, None where it is too long; what cannot fit is not even printed."""
        readings: tuple[Utterance | Reading, ...] = (utterance, *utterance.others)
        least = sum(len(reading.text.encode()) for reading in readings)
        if style.words:
            least += sum(len(reading.words) for reading in readings) * WORD_BYTES_MIN
        if least > self.options.max_reply_bytes:
            return None
        reply = _format(utterance, style)
        return reply if self._fits(reply) else None

    def _shorten(self, utterance: Utterance) -> Utterance:
        """Give up the worst readings until the others fit into a reply."""

        def best(count: int) -> Utterance:
            return replace(utterance, others=utterance.others[:count])

        def is_too_long(count: int) -> bool:
            return self._print(best(count), self.options.style) is None

        counts = range(1, len(utterance.others) + 1)
        return best(bisect_left(counts, True, key=is_too_long))

    def _split(self, utterance: Utterance) -> list[Utterance]:
        """Cut an utterance between words into the fewest parts that fit, in order."""
        style = self.options.style
        if self._print(utterance, style) is not None:
            return [utterance]
        words = _words_apart(utterance, style)

        def is_too_long(count: int) -> bool:
            return self._print(_merge(words[:count]), style) is None

        parts = []
        while words:
            fitting = bisect_left(range(1, len(words) + 1), True, key=is_too_long)
            count = max(fitting, 1)  # one endless word goes alone
            parts.append(_merge(words[:count]))
            words = words[count:]
        return parts


def _words_apart(utterance: Utterance, style: ReplyStyle) -> list[Utterance]:
    """Return one utterance per word; the words' times are kept where they will be shown."""
    confidence = utterance.confidence
    if style.words and utterance.words:
        return [Utterance(word.text, (word,), confidence) for word in utterance.words]
    return [Utterance(text, (), confidence) for text in utterance.text.split(" ")]


def _merge(utterances: Iterable[Utterance], others_max: int = 0) -> Utterance:
    """Return one utterance that says what several said.

    Its other readings differ from it in one of the utterances each.

    Args:
        utterances: in order.
        others_max: other readings at most.
    """
    parts = [utterance for utterance in utterances if utterance.text or utterance.others]
    known = [part.confidence for part in parts if part.confidence is not None]
    best = [Reading(part.text, part.words) for part in parts]
    swaps = [(i, other) for i, part in enumerate(parts) for other in part.others]
    likeliest = nlargest(others_max, swaps, key=lambda swap: swap[1].confidence or 0.0)
    whole = _join(best)
    return Utterance(
        text=whole.text,
        words=whole.words,
        confidence=sum(known) / len(known) if known else None,
        others=tuple(
            replace(_join([*best[:i], other, *best[i + 1 :]]), confidence=other.confidence)
            for i, other in likeliest
        ),
    )


def _join(readings: Iterable[Reading]) -> Reading:
    parts = list(readings)
    return Reading(
        text=" ".join(part.text for part in parts if part.text),
        words=tuple(word for part in parts for word in part.words),
    )


def _others(final: Final) -> tuple[Reading, ...]:
    """Return a final's other readings with how probable each is beside the best one, 0..1."""
    if final.score is None:
        return tuple(Reading(one.text, one.words, one.confidence) for one in final.alternatives)
    return tuple(
        Reading(one.text, one.words, math.exp(min(0.0, one.score - final.score)))
        for one in final.alternatives
        if one.score is not None
    )


def _format(utterance: Utterance, style: ReplyStyle) -> str:
    """Return the reply; several readings share a confidence of 1 by how probable they are."""
    if not utterance.others or not style.alternatives:
        return format_final(utterance.text, utterance.words, style, utterance.confidence)
    total = 1.0 + sum(one.confidence or 0.0 for one in utterance.others)
    others = [replace(one, confidence=(one.confidence or 0.0) / total) for one in utterance.others]
    return format_final(utterance.text, utterance.words, style, 1.0 / total, others)
