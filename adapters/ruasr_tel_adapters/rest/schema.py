"""Requests and answers of the recordings and calls, as pydantic models."""

import json
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    StringConstraints,
    TypeAdapter,
    WithJsonSchema,
)
from pydantic_core import from_json

from ruasr_tel.profile import MAX_PHRASES
from ruasr_tel.recordings.model import Channels, Dialogue, Recording, State
from ruasr_tel.recordings.render import Form
from ruasr_tel.store import CallRow
from ruasr_tel_adapters.rest.reading import NO_NUL, Text

METADATA_MAX = 65_536
"""Longest metadata of an order as JSON, in characters: it comes back with every answer."""
URL_MAX = 8_192
"""Longest URL; a signed one of a cloud store has some 2 000 characters."""

_HTTP_URL = TypeAdapter(AnyHttpUrl)


def _http_url(text: str) -> str:
    """Return a URL as it was written, if it is one."""
    _HTTP_URL.validate_python(text)
    return text


def storable(value: dict[str, JsonValue]) -> dict[str, JsonValue]:
    """Return JSON that every database and every client can take.

    Raises:
        ValueError: it is not; says why.
    """
    written = json.dumps(value, allow_nan=False)
    if "\\u0000" in written:
        raise ValueError("holds the character U+0000")
    if len(written) > METADATA_MAX:
        raise ValueError(f"{len(written)} characters of JSON, at most {METADATA_MAX}")
    return value


def _utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("too close to the end of time") from None


def _parsed(value: object) -> object:
    """Return JSON that came as a form's text as what it says."""
    return from_json(value) if isinstance(value, str) else value


def _listed(value: object) -> object:
    """Return a list that came as a form's text as what it says."""
    if not isinstance(value, str):
        return value
    return from_json(value) if value.lstrip().startswith("[") else value.split(",")


def _folded(phrases: tuple[str, ...]) -> tuple[str, ...]:
    """Return phrases as engines take them, the empty ones left out."""
    words = (phrase.lower().split() for phrase in phrases)
    return tuple(" ".join(each) for each in words if each)


Phrase = Annotated[str, StringConstraints(max_length=200, pattern=NO_NUL)]
Phrases = Annotated[tuple[Phrase, ...], Field(max_length=MAX_PHRASES), AfterValidator(_folded)]
Url = Annotated[
    str,
    StringConstraints(max_length=URL_MAX, pattern=r"^[Hh][Tt][Tt][Pp][Ss]?://[^\x00-\x1f]+$"),
    AfterValidator(_http_url),
]
Metadata = Annotated[dict[str, JsonValue], AfterValidator(storable)]
Moment = Annotated[AwareDatetime, AfterValidator(_utc)]
Secret = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=NO_NUL)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Wishes(_Model):
    """What is to be done with a recording."""

    channels: Channels = Channels.AUTO
    """auto: two channels that differ are two parties, anything else is mixed."""
    profile: Text | None = None
    """How to listen: a profile of the server's configuration."""
    model: Text | None = None
    """Which model; absent: the server's."""
    phrases: Phrases | None = None
    """Words and phrases to prefer; absent: the profile's."""
    closed: bool | None = None
    """Whether nothing but phrases can be heard; `[unk]` among them stands for anything else.
    Absent: no, or as the profile says where `phrases` is absent, too. Ignored without phrases."""
    boost: float | None = Field(None, ge=0, le=100)
    """Natural log added per token of a preferred phrase; absent: the profile's."""
    callback_url: Url | None = None
    """Where the result is posted (docs/webhooks.md)."""
    callback_secret: Secret | None = None
    """Signs what is posted there; never shown again."""
    idempotency_key: Secret | None = None
    """A second order with it is the first one; the header Idempotency-Key does the same."""


class RecordingOrder(Wishes):
    """A recording to be fetched."""

    url: Url
    """Where it is, http or https."""
    name: Text = ""
    """What to call it; absent: the last part of the URL."""
    metadata: Metadata = Field(default_factory=dict)
    """Any JSON object; comes back with the result."""


class RecordingForm(Wishes):
    """A recording that is sent along."""

    upload: Annotated[
        str, Field(json_schema_extra={"contentMediaType": "application/octet-stream"})
    ]
    """The file, in any format that FFmpeg reads; the part's file name is shown to people."""
    metadata: Annotated[Metadata, BeforeValidator(_parsed)] = Field(default_factory=dict)
    """Any JSON object, written as text; comes back with the result."""
    phrases: Annotated[
        Phrases | None, BeforeValidator(_listed), WithJsonSchema({"type": ["string", "null"]})
    ] = None
    """Words and phrases to prefer, with commas between them or as a JSON list; absent: the
    profile's."""


class ShownAs(_Model):
    """How a recording is shown."""

    format: Form | None = None
    """How the result is written; absent: what Accept says, else JSON."""
    leave_out_crosstalk: bool = False
    """Whether turns that are the other side heard faintly are left out of text, SRT and VTT."""


class CallShownAs(_Model):
    """How a call is shown."""

    format: Literal["text", "json"] | None = None
    """How what was said is written; absent: what Accept says, else JSON."""
    keys: bool = True
    """Whether the text has the keys that were pressed, in square brackets: `алло [12#] да`."""


class SubmitQuery(ShownAs):
    """What may be asked while posting a recording."""

    wait: float = Field(0, ge=0, le=3600)
    """Seconds to wait for the result; the server's `max_wait_s` is the limit."""


class PageQuery(_Model):
    """A part of a list."""

    since: Moment | None = None
    """Leave out what came before."""
    limit: int = Field(50, ge=1, le=200)
    """Items of the page."""
    cursor: Text | None = None
    """`next_cursor` of the page before."""
    text: Text | None = None
    """Only what this was said in; case and ё do not matter."""


class RecordingsQuery(PageQuery):
    """A part of the list of recordings."""

    state: State | None = None
    """Only those in this state."""


class RecordingDocument(_Model):
    """A recording: what was asked, how far it is, and what it became."""

    id: str
    """A UUID."""
    state: State
    """Where it is; done, failed and cancelled are ends."""
    progress: float = Field(ge=0, le=1)
    """How far it is."""
    created_at: datetime
    """When it was accepted."""
    updated_at: datetime
    """When it last changed."""
    reason: str | None
    """Why it failed."""
    url: str | None
    """Where it came from, or null if it was uploaded."""
    name: str
    """What to call it."""
    channels: Channels
    """What is done with its channels."""
    profile: str | None
    """How it is listened to."""
    model: str | None
    """Which model recognises it."""
    phrases: tuple[str, ...] | None
    """What is preferred in it; null: what the profile says."""
    closed: bool | None
    """Whether nothing else can be heard; null: as without it."""
    boost: float | None
    """Natural log added per token of a phrase; null: what the profile says."""
    callback_url: str | None
    """Where the result is posted."""
    metadata: dict[str, JsonValue]
    """As it came with the order."""
    result: Dialogue | None = None
    """What was said, once it is done; lists leave it out."""


def show(recording: Recording) -> RecordingDocument:
    """Return a recording for its client."""
    order = recording.order
    return RecordingDocument(
        id=recording.id,
        state=recording.state,
        progress=recording.progress,
        created_at=recording.created_at,
        updated_at=recording.updated_at,
        reason=recording.reason,
        url=order.url,
        name=order.name,
        channels=order.channels,
        profile=order.profile,
        model=order.model,
        phrases=order.phrases,
        closed=order.closed,
        boost=order.boost,
        callback_url=order.callback_url,
        metadata=dict(order.metadata),
        result=recording.result,
    )


class RecordingPage(_Model):
    """A part of the list of recordings, the newest first."""

    items: list[RecordingDocument]
    """At most `limit`, without their results."""
    next_cursor: str | None
    """Gives the next page; null on the last one."""


class CallPage(_Model):
    """A part of the list of calls, the newest first."""

    items: list[CallRow]
    """At most `limit`, without their text."""
    next_cursor: str | None
    """Gives the next page; null on the last one."""


class Announce(BaseModel):
    """What is known of a call before it comes. Any other fields are shown with the call, too."""

    model_config = ConfigDict(extra="allow", use_attribute_docstrings=True)
    __pydantic_extra__: dict[str, JsonValue] = Field(init=False)

    profile: Text | None = None
    """How to listen: a profile of the server's configuration."""
    caller: Text | None = None
    """Number of the calling party."""
    leg: Text | None = None
    """Which party of the conversation this call's audio is."""
    linkedid: Text | None = None
    """The PBX's name of the whole conversation (Asterisk: LINKEDID)."""
    callback_url: Url | None = None
    """Where somebody wants to be told of this call; shown with it like the other fields."""


class Announced(_Model):
    """A call that is waited for."""

    call_id: str
    """Its UUID, in the usual form."""
    profile: str | None
    """How it will be listened to."""
    details: dict[str, JsonValue]
    """What will be shown with it."""


class LiveLeg(_Model):
    """One party of a running call."""

    leg_id: str
    """Its name."""
    channel: int
    """Its audio channel, 0-based."""
    clock_s: float
    """Seconds of its audio so far."""
    level_db: float | None
    """Mean level of its newest audio, dBFS; null: none came for a second."""


class LiveCall(_Model):
    """A running call."""

    call_id: str
    """As the PBX knows it."""
    door: str
    """Through which it came."""
    profile: str | None
    """How it is listened to."""
    since: datetime | None
    """When it came."""
    details: dict[str, JsonValue]
    """What the PBX announced of it."""
    text: str
    """The last thing said."""
    partial: str
    """What is being said now; may still change."""
    legs: list[LiveLeg]
    """Its parties."""


class LiveCalls(_Model):
    """The running calls."""

    items: list[LiveCall]
    """The oldest first."""
