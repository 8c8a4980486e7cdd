"""What a run must have brought about, and how soon it did."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.bench.load import Run
from tests.bench.script import FRAME_S, Phrase, Script

Event = dict[str, Any]


NEAR_S = 0.3
"""A start of speech this near to where a phrase begins by its energy is that phrase's."""


@dataclass
class Verdict:
    """What was found in the events of one run.

    Attributes:
        faults: what must not be: empty when nothing was lost.
        phrases: phrases that were said.
        finals: finals that came.
        empty: those without text.
        delays_s: from the end of speech to its final, where the speaker paused (reason endpoint).
        hang_up_delays_s: the same from the hang-up (reason flush).
        starts_s: from the start of an utterance's first phrase to its SpeechStarted.
        first_partials_s: from the start of speech to the first text of it.
        partials: partials that were shown.
        speech_s: seconds of phrases.
    """

    faults: list[str] = field(default_factory=list)
    phrases: int = 0
    finals: int = 0
    empty: int = 0
    delays_s: list[float] = field(default_factory=list)
    hang_up_delays_s: list[float] = field(default_factory=list)
    starts_s: list[float] = field(default_factory=list)
    first_partials_s: list[float] = field(default_factory=list)
    partials: int = 0
    speech_s: float = 0.0


def judge(run: Run, calls: Sequence[Script]) -> Verdict:
    """Compare the events of a run with its script."""
    verdict = Verdict(faults=list(run.sent.faults))
    by_call: dict[str, list[Event]] = defaultdict(list)
    for event in run.events:
        by_call[event["call_id"]].append(event)
    if strangers := set(by_call) - {str(script.uuid) for script in calls}:
        verdict.faults.append(f"events of calls that nobody made: {sorted(strangers)}")
    for script, sent_at in zip(calls, run.sent.sent_at, strict=True):
        _Call(script, sent_at, by_call[str(script.uuid)], verdict).judge()
    return verdict


class _Call:
    """One call's events."""

    def __init__(
        self, script: Script, sent_at: Sequence[float], events: Sequence[Event], verdict: Verdict
    ) -> None:
        self._script = script
        self._sent_at = sent_at
        self._verdict = verdict
        self._finals = [event for event in events if event["event"] == "Final"]
        self._partials = [event for event in events if event["event"] == "Partial"]
        self._starts = [event for event in events if event["event"] == "SpeechStarted"]
        self._ends = [event for event in events if event["event"] == "CallEnded"]

    def judge(self) -> None:
        verdict = self._verdict
        verdict.phrases += len(self._script.phrases)
        verdict.speech_s += self._script.speech_s
        verdict.finals += len(self._finals)
        verdict.empty += sum(not final["text"] for final in self._finals)
        verdict.partials += len(self._partials)
        self._account()
        for final in self._finals:
            if final["error"] is not None:
                self._fault(f"final {final['segment']} has the error {final['error']!r}")
            self._time(final)
        for phrase in self._script.phrases:
            self._find(phrase)
        verdict.first_partials_s += self._first_partials_s()
        verdict.starts_s += self._starts_s()

    def _account(self) -> None:
        if len(self._ends) != 1:
            self._fault(f"{len(self._ends)} ends")
            return
        ledgers = self._ends[0]["ledgers"].values()
        received = sum(ledger["received"] for ledger in ledgers)
        if received != self._script.samples:
            self._fault(f"sent {self._script.samples} samples, received {received}")
        for ledger in ledgers:
            if ledger["difference"] or ledger["dropped"]:
                self._fault(f"ledger {ledger}")
        if self._ends[0]["finals"] != len(self._finals):
            self._fault(f"{len(self._finals)} finals, {self._ends[0]['finals']} by its end")

    def _find(self, phrase: Phrase) -> None:
        if not any(final["start_s"] < phrase.end_s <= final["end_s"] for final in self._finals):
            self._fault(f"no final for the speech from {phrase.start_s:.2f} to {phrase.end_s:.2f}")

    def _time(self, final: Event) -> None:
        """Take the delay of a final from the end of the last phrase in it."""
        ends = [
            phrase.end_s
            for phrase in self._script.phrases
            if final["start_s"] < phrase.end_s <= final["end_s"]
        ]
        if not ends:
            return
        delay_s = _at_s(final) - self._sent_s(ends[-1])
        if final["reason"] == "endpoint":
            self._verdict.delays_s.append(delay_s)
        elif final["reason"] == "flush":
            self._verdict.hang_up_delays_s.append(_at_s(final) - self._sent_at[-1])

    def _first_partials_s(self) -> list[float]:
        """Of each utterance with a partial: from the start of its first phrase to the partial."""
        delays_s = []
        for final in self._finals:
            begun = [start for start in self._starts if _is_in(final, start["start_s"])]
            said = [phrase for phrase in self._script.phrases if _is_in(final, phrase.start_s)]
            shown = [partial for partial in self._partials if _is_in(final, partial["start_s"])]
            if begun and said and shown:  # a segment after a cut begins no utterance
                delays_s.append(_at_s(shown[0]) - self._sent_s(said[0].start_s))
        return delays_s

    def _starts_s(self) -> list[float]:
        """Of each phrase after a pause: from its first frame to the start of speech it made."""
        delays_s = []
        for phrase in self._script.phrases:
            made = [at for at in self._starts if abs(at["start_s"] - phrase.start_s) < NEAR_S]
            delays_s += [_at_s(at) - self._sent_s(phrase.start_s) for at in made]
        return delays_s

    def _sent_s(self, at_s: float) -> float:
        """Wall-clock second at which the sample at `at_s` was sent."""
        return self._sent_at[min(int(at_s / FRAME_S), len(self._sent_at) - 1)]

    def _fault(self, what: str) -> None:
        self._verdict.faults.append(f"{self._script.uuid}: {what}")


def _is_in(final: Event, at_s: float) -> bool:
    return bool(final["start_s"] <= at_s < final["end_s"])


def _at_s(event: Event) -> float:
    return datetime.fromisoformat(event["at"]).timestamp()
