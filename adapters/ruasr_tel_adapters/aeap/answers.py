"""What a dialplan may have of what was heard: of every utterance one answer. Pure.

At a timeout of SpeechBackground with option `p` Asterisk asks, and gets the partial. The final of
the same utterance comes half a second later, in the next SpeechBackground: it would answer that.
"""

import math
from typing import Final

from ruasr_tel.events import Final as FinalEvent
from ruasr_tel.events import Partial as PartialEvent
from ruasr_tel_adapters.aeap.wire import Result

SCORE_OF_UNKNOWN: Final = 100
"""Where the model gives no probabilities; res_speech_vosk gives it always, too."""


class Answers:
    """The newest answer of one leg that the peer has not taken yet."""

    def __init__(self) -> None:
        self._results: tuple[Result, ...] = ()
        self._is_partial = False
        self._answered_s = 0.0  # what was said before is answered; inf: until speech begins

    def begin(self, start_s: float) -> None:
        """Speech begins: what was heard before is no answer any more.

        Args:
            start_s: seconds of leg audio.
        """
        self._answered_s = min(self._answered_s, start_s)
        self._results = ()

    def hear(self, event: PartialEvent | FinalEvent) -> tuple[Result, ...]:
        """Take the newest text; return what it answers, nothing where that was answered before."""
        if event.end_s <= self._answered_s:
            return ()
        self._is_partial = isinstance(event, PartialEvent)
        self._results = readings(event)
        return self._results

    def ask(self) -> tuple[Result, ...]:
        """Return the answer so far; a partial is the only one that its utterance gives."""
        results = self._results
        if results and self._is_partial:
            self._answered_s = math.inf
            self._results = ()
        return results

    def taken(self) -> None:
        """Forget the answer: the peer has it."""
        self._results = ()


def readings(event: PartialEvent | FinalEvent) -> tuple[Result, ...]:
    """Return what was said, the best reading first; nothing where nothing was."""
    if not event.text:
        return ()
    if isinstance(event, PartialEvent):
        return (Result(event.text, SCORE_OF_UNKNOWN),)
    others = enumerate(event.alternatives, 1)
    return (
        Result(event.text, score(event.confidence)),
        *(Result(other.text, score(other.confidence), best) for best, other in others),
    )


def score(confidence: float | None) -> int:
    """Return Asterisk's 0..100."""
    return SCORE_OF_UNKNOWN if confidence is None else round(100 * min(max(confidence, 0.0), 1.0))
