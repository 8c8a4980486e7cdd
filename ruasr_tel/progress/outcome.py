"""What became of a dialled call, from what was heard on its leg. Pure."""

from collections import Counter
from collections.abc import Collection
from typing import Final as Constant

from ruasr_tel.events import AnsweredBy, CallProgress, DialOutcome, Final, Progress

NOBODY_SAYS: Constant = frozenset(
    {Progress.UNAVAILABLE, Progress.SWITCHED_OFF, Progress.WRONG_NUMBER, Progress.BUSY}
)
"""Messages of the network: who says them has not answered."""
NETWORK_TONES: Constant = frozenset({Progress.BUSY, Progress.CONGESTION, Progress.SIT})
"""Tones that end a try; after an answer they only mean that the other end hung up."""
MACHINES: Constant = frozenset({Progress.VOICEMAIL, Progress.BEEP, Progress.QUEUE})
FAXES: Constant = frozenset({Progress.FAX_CALLING, Progress.FAX_ANSWERING})
GREETING_S: Constant = 60.0
"""What is heard later after the first words is no greeting any more (our choice)."""


class OutcomeKeeper:
    """Gathers what is heard on one leg."""

    def __init__(self) -> None:
        self._told: list[CallProgress] = []  # until the end of the greeting
        self._first: Final | None = None
        self._beep_s: float | None = None

    def take(self, event: CallProgress) -> None:
        """Count a tone, music, or a message."""
        if self._first is None or event.start_s <= self._first.start_s + GREETING_S:
            self._told.append(event)
        if event.kind is Progress.BEEP:
            self._beep_s = event.end_s

    def read(self, final: Final, messages: Collection[Progress]) -> None:
        """Look at a final with text, in which these messages were found."""
        if self._first is None and not NOBODY_SAYS & set(messages):
            self._first = final

    def outcome(self) -> DialOutcome:
        """Return what is known by now."""
        first = self._first
        before = [e.kind for e in self._told if first is None or e.start_s < first.start_s]
        return DialOutcome(
            self._answered_by(set(before)),
            dict(Counter(before)),
            None if first is None else first.text,
            None if first is None else first.start_s,
            None if first is None else first.end_s,
            self._beep_s,
        )

    def _answered_by(self, before: set[Progress]) -> AnsweredBy:
        greeting = {event.kind for event in self._told}
        messages = {event.kind for event in self._told if "phrase" in event.detail}
        if greeting & FAXES:
            return AnsweredBy.FAX
        if greeting & MACHINES:
            return AnsweredBy.MACHINE
        if before & NETWORK_TONES or messages & NOBODY_SAYS:
            return AnsweredBy.NETWORK
        return AnsweredBy.NOBODY if self._first is None else AnsweredBy.PERSON
