"""What a recording is asked to become, and what it became; plain values that cross rooms."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TypeAlias

from pydantic import JsonValue

from ruasr_tel.engines.base import DecodeOptions
from ruasr_tel.events import Word

Metadata: TypeAlias = Mapping[str, JsonValue]


class Channels(StrEnum):
    """What to do with the channels of a recording."""

    AUTO = "auto"
    """Two channels that differ are two parties, anything else is mixed to one."""
    MIX = "mix"
    SPLIT = "split"


class State(StrEnum):
    """Where a recording is; the last three are ends."""

    QUEUED = "queued"
    FETCHING = "fetching"
    RECOGNISING = "recognising"
    DELIVERING = "delivering"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen."""
        return self in (State.DONE, State.FAILED, State.CANCELLED)


@dataclass(frozen=True, slots=True)
class Order:
    """What a client asked for. Exactly one of `url` and `upload` is set.

    Attributes:
        url: where the recording is, http or https.
        upload: the file it was uploaded to.
        name: the file name shown to people.
        channels: what to do with its channels.
        profile: how to listen, or None for the default.
        model: which of the running models, or None for the profile's.
        phrases: to prefer, or with `closed` the only ones possible; lower case, words separated by
            single spaces; None: the profile's.
        closed: whether nothing else can be heard; None: not with phrases of its own, else as the
            profile says.
        boost: natural log added per token of a preferred phrase; None: the profile's.
        callback_url: where to deliver the result, or None.
        callback_secret: signs deliveries; never shown again.
        idempotency_key: a second order with it is the first one.
        metadata: comes back with the result.
    """

    url: str | None = None
    upload: Path | None = None
    name: str = ""
    channels: Channels = Channels.AUTO
    profile: str | None = None
    model: str | None = None
    callback_url: str | None = None
    callback_secret: str | None = None
    idempotency_key: str | None = None
    metadata: Metadata = field(default_factory=dict)
    phrases: tuple[str, ...] | None = None
    closed: bool | None = None
    boost: float | None = None

    def asks(self, profile: DecodeOptions) -> DecodeOptions:
        """Return what to ask of every decode.

        Args:
            profile: what the profile asks.
        """
        options = profile
        if self.phrases is not None:
            options = replace(options, phrases=self.phrases, closed=False)
        if self.closed is not None:
            options = replace(options, closed=self.closed)
        return options if self.boost is None else replace(options, boost=self.boost)


@dataclass(frozen=True, slots=True)
class Segment:
    """One recognised segment of one channel.

    Attributes:
        channel: audio channel index, 0-based.
        start_s: start in seconds of the recording.
        end_s: its end.
        text: what was said; may be empty.
        words: with times in seconds of the recording.
        confidence: mean of the words', or None.
        level_db: mean level of the segment's speech on its own channel, dBFS, or None.
        other_db: mean level of the other channel over the same time, dBFS, or None (mono).
        error: why there is no text although there was speech, or None.
    """

    channel: int
    start_s: float
    end_s: float
    text: str
    words: tuple[Word, ...] = ()
    confidence: float | None = None
    level_db: float | None = None
    other_db: float | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Transcript:
    """What recognition gave: all segments of all channels, ordered by start.

    Attributes:
        duration_s: length of the audio that was read.
        channels: legs that were recognised: 1 after mixing.
        segments: ordered by start.
        fault: what of the file could not be read, or None.
    """

    duration_s: float
    channels: int
    segments: tuple[Segment, ...]
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """What one side says before it pauses or the other side takes over.

    Attributes:
        channel: the side.
        start_s: start of its first word.
        end_s: end of its last word.
        text: what was said.
        words: with times.
        overlaps: whether the other side speaks during it.
        interrupts: whether it begins while the other side is speaking.
        crosstalk: whether it is the other side heard faintly, said once already.
    """

    channel: int
    start_s: float
    end_s: float
    text: str
    words: tuple[Word, ...] = ()
    overlaps: bool = False
    interrupts: bool = False
    crosstalk: bool = False


@dataclass(frozen=True, slots=True)
class Side:
    """Figures of one side of a dialogue, in seconds of the recording.

    Attributes:
        channel: the side.
        talk_s: time in its words (crosstalk not counted).
        silence_s: the rest of the recording.
        overlap_s: time in which both sides spoke.
        interruptions: how often it began while the other side was speaking.
        turns: number of its turns.
        words: number of its words.
    """

    channel: int
    talk_s: float
    silence_s: float
    overlap_s: float
    interruptions: int
    turns: int
    words: int


@dataclass(frozen=True, slots=True)
class Dialogue:
    """The result of a recording.

    Attributes:
        duration_s: length of the recording.
        turns: on one time line.
        sides: figures, one per channel.
        transcript: what the turns were made from.
    """

    duration_s: float
    turns: tuple[Turn, ...]
    sides: tuple[Side, ...]
    transcript: Transcript


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording's order, how far it is, and what it became.

    Attributes:
        id: a UUID in text form, given by us.
        order: what was asked (without the secret).
        state: where it is.
        progress: 0..1.
        created_at: when it was accepted, aware UTC.
        updated_at: when it last changed.
        reason: why it failed, for people, or None.
        result: when it is done, or None.
    """

    id: str
    order: Order
    state: State
    progress: float
    created_at: datetime
    updated_at: datetime
    reason: str | None = None
    result: Dialogue | None = None
