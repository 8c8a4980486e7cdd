"""What happens in a call, as frozen values: doors answer with them, sinks write them down.

Times in seconds are call audio time: samples received on that leg before this point, divided by its
rate (exact to the sample, no wall clock). `at` is the wall clock, aware UTC.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from pydantic import JsonValue

from ruasr_tel.types import CallId, LegId


@dataclass(frozen=True, slots=True)
class Word:
    """One recognised word.

    Attributes:
        text: the word, as the model writes it.
        start_s: start in seconds of leg audio.
        end_s: true end: the next token's time or the model's blank, never the last token's start.
        confidence: 0..1, or None where the model gives no probabilities.
    """

    text: str
    start_s: float
    end_s: float
    confidence: float | None


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another reading of a segment.

    Attributes:
        text: the whole text.
        words: in seconds of leg audio; empty where the engine gives no times.
        confidence: mean of the words' confidence, or None.
        score: as in `Final`.
    """

    text: str
    words: tuple[Word, ...]
    confidence: float | None
    score: float | None


@dataclass(frozen=True, slots=True)
class Ledger:
    """Where every received sample of a leg went: received = decoded + silence + dropped.

    Attributes:
        sample_rate_hz: rate of the counts below.
        received: samples that came in.
        decoded: samples in segments that the engine answered.
        silence: samples that the voice activity detector left out.
        dropped: samples that were never decoded, by reason.
        concealed: of those received, samples that did not arrive and were filled in with silence,
            by reason; each of them is in one of the other counts, too.
    """

    sample_rate_hz: int
    received: int
    decoded: int
    silence: int
    dropped: dict[str, int]
    concealed: dict[str, int] = field(default_factory=dict)

    @property
    def difference(self) -> int:
        """Samples unaccounted for; anything but 0 is a bug of ours."""
        return self.received - self.decoded - self.silence - sum(self.dropped.values())


@dataclass(frozen=True, slots=True)
class CallStarted:
    """A door accepted a call; `details` is what the PBX announced of it, if it did."""

    call_id: CallId
    at: datetime
    door: str
    peer: str
    profile: str
    details: dict[str, JsonValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The voice activity detector heard speech begin."""

    call_id: CallId
    leg_id: LegId
    at: datetime
    start_s: float


@dataclass(frozen=True, slots=True)
class Partial:
    """Text of an open segment that two decodes agree on; may still change."""

    call_id: CallId
    leg_id: LegId
    at: datetime
    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Final:
    """Text of one closed segment; never changes. Every segment gets exactly one, possibly empty.

    Attributes:
        start_s: start of the segment (pre-roll included).
        end_s: end of the segment (hangover included, padding not).
        reason: why the segment was closed: endpoint, length or flush.
        confidence: mean of the words' confidence, or None.
        error: why there is no text although there was speech, or None.
        delay_s: wall-clock seconds from the arrival of the last speech to this final.
        alternatives: other readings, best first, none of them reading as `text` does; only if they
            were asked for and the engine has them.
        score: natural log probability of the text as the decoder ranks it, or None; only comparable
            with those of `alternatives`.
        match: 0..1, how well a closed list fits what was heard, 1 where nothing was; None without
            such a list.
    """

    call_id: CallId
    leg_id: LegId
    at: datetime
    segment: int
    text: str
    words: tuple[Word, ...]
    start_s: float
    end_s: float
    reason: str
    confidence: float | None = None
    error: str | None = None
    delay_s: float = 0.0
    alternatives: tuple[Alternative, ...] = ()
    score: float | None = None
    match: float | None = None


@dataclass(frozen=True, slots=True)
class Dtmf:
    """The PBX reported a key press."""

    call_id: CallId
    leg_id: LegId
    at: datetime
    digit: str
    at_s: float


class Progress(StrEnum):
    """What the network or a machine says instead of a person."""

    RINGBACK = "ringback"
    """One ring at the other end."""
    BUSY = "busy"
    """The line is busy: by tone, or as a message says."""
    CONGESTION = "congestion"
    """The network is busy: the fast busy tone."""
    SIT = "sit"
    """The special information tone; a message of the network follows."""
    BEEP = "beep"
    """A beep after speech: an answering machine records from here on."""
    FAX_CALLING = "fax_calling"
    """CNG: a fax calls."""
    FAX_ANSWERING = "fax_answering"
    """CED or ANSam: a fax or a modem answers."""
    MUSIC = "music"
    """Music: in the place of rings, or on hold."""
    UNAVAILABLE = "unavailable"
    """A message says that the subscriber cannot be reached now."""
    SWITCHED_OFF = "switched_off"
    """A message says that the telephone is off or out of coverage."""
    WRONG_NUMBER = "wrong_number"
    """A message says that there is no such number, or that it is not in service."""
    VOICEMAIL = "voicemail"
    """A message asks to leave a message."""
    QUEUE = "queue"
    """A message asks to wait for an operator."""


@dataclass(frozen=True, slots=True)
class CallProgress:
    """A tone of the network, the beep of a machine, music, or an operator's message.

    Attributes:
        detail: a tone's `hz`; of music the `share` of its power that is in notes; of a message the
            listed `phrase` and how well it fits, `score` 0..1.
    """

    call_id: CallId
    leg_id: LegId
    at: datetime
    kind: Progress
    start_s: float
    end_s: float
    detail: dict[str, JsonValue] = field(default_factory=dict)


class AnsweredBy(StrEnum):
    """Who was at the other end of a dialled call, as far as it was heard."""

    PERSON = "person"
    """Somebody spoke, and nothing says that it was a machine."""
    MACHINE = "machine"
    """A greeting asked for a message or to wait, or a beep followed it."""
    FAX = "fax"
    """A fax or a modem."""
    NETWORK = "network"
    """Nobody: a tone or a message of the network said so."""
    NOBODY = "nobody"
    """Nothing was said, and no tone or message told why."""


@dataclass(frozen=True, slots=True)
class DialOutcome:
    """What was heard on one leg of a dialled call.

    Attributes:
        answered_by: the rules are in docs/call-progress.md.
        before: tones, music and messages before the first words, how often each was told.
        first_text: the first final of who answered; messages of the network are none. None where
            nothing was said.
        first_start_s: its start.
        first_end_s: its end.
        beep_s: end of the last beep: a message may be left from here on.
    """

    answered_by: AnsweredBy
    before: dict[Progress, int]
    first_text: str | None
    first_start_s: float | None
    first_end_s: float | None
    beep_s: float | None


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The call is over, all its finals are out, and its audio is accounted for.

    Attributes:
        outcomes: of the legs on which call progress was followed.
    """

    call_id: CallId
    at: datetime
    reason: str
    duration_s: float
    finals: int
    ledgers: dict[LegId, Ledger]
    outcomes: dict[LegId, DialOutcome] = field(default_factory=dict)


Event: TypeAlias = CallStarted | SpeechStarted | Partial | Final | Dtmf | CallProgress | CallEnded
