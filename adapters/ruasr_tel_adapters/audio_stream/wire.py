"""What mod_audio_stream and mod_audio_fork send and take, without I/O.

amigniter/mod_audio_stream and drachtio/drachtio-freeswitch-modules, mod_audio_fork: metadata as one
text message if there are any, then L16 little-endian as binary ones, interleaved when stereo.
Neither says rate or channels in the stream: the URL or the metadata must.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import numpy as np

from ruasr_tel.errors import ProtocolError
from ruasr_tel.events import Event, Partial
from ruasr_tel.events import Final as FinalEvent
from ruasr_tel.types import CallId, Samples
from ruasr_tel_adapters.audio_stream.config import CHANNELS_MAX, RATES_HZ

CALL_ID: Final = re.compile(r"[\w.:@+-]{1,128}", re.ASCII)

CALL_ID_KEYS: Final = ("call_id", "uuid", "callId", "callSid")
"""Names under which URLs and metadata in use carry the call's id."""

FIELDS_MAX: Final = 64

DTMF_DIGITS: Final = frozenset("0123456789*#ABCD")

RATE_NAMES: Final = {"8k": "8000", "16k": "16000"}
"""As the modules' commands spell them."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What one stream is.

    Attributes:
        sample_rate_hz: of the audio.
        channels: 1, or 2 interleaved, caller first.
        profile: how to listen, or None.
        call_id: the PBX's name of the call, or None.
        told: names of those that the peer said, of `sample_rate_hz` and `channels`.
    """

    sample_rate_hz: int
    channels: int
    profile: str | None = None
    call_id: CallId | None = None
    told: frozenset[str] = field(default=frozenset(), compare=False)

    @property
    def is_whole(self) -> bool:
        """Whether the peer has said how its audio is to be read."""
        return self.told >= {"sample_rate_hz", "channels"}


def parse_url(target: str, defaults: Settings) -> Settings:
    """Return what a request target such as `/?sample_rate=16k&channels=2&call_id=…` sets.

    A path segment that is a rate sets it; other segments mean nothing.

    Raises:
        ProtocolError: a value that cannot be, or too many.
    """
    try:
        parts = urlsplit(target)
    except ValueError as error:  # `//[` begins as a host does
        raise ProtocolError(f"the URL cannot be read: {error}") from None
    values: dict[str, object] = {}
    for segment in unquote(parts.path).split("/"):
        if RATE_NAMES.get(segment, segment) in map(str, RATES_HZ):
            values["sample_rate"] = segment
    try:
        query = parts.query.replace("=+", "=%2B")  # a telephone number's plus, no space
        values.update(parse_qsl(query, max_num_fields=FIELDS_MAX))
    except ValueError:
        raise ProtocolError(f"more than {FIELDS_MAX} fields in the URL") from None
    return change(defaults, values)


def change(settings: Settings, values: Mapping[str, object]) -> Settings:
    """Return settings with those of a URL or of metadata; unknown keys change nothing.

    Metadata may have them in `start` and its `mediaFormat`, as Twilio's streams do.

    Raises:
        ProtocolError: a known key with a value that it cannot have.
    """
    for key in ("start", "mediaFormat"):
        if isinstance(inner := values.get(key), Mapping):
            values = {**values, **inner}
    changes: dict[str, Any] = {}
    if (rate := values.get("sample_rate", values.get("sampleRate"))) is not None:
        changes["sample_rate_hz"] = _one_of("sample_rate", rate, RATES_HZ)
    if (channels := values.get("channels")) is not None:
        names = {"mono": "1", "mixed": "1", "stereo": "2"}
        said = names.get(str(channels), channels)
        changes["channels"] = _one_of("channels", said, range(1, CHANNELS_MAX + 1))
    told = settings.told | changes.keys()
    if values.get("profile"):
        changes["profile"] = str(values["profile"])
    for key in CALL_ID_KEYS:
        if values.get(key):
            changes["call_id"] = _call_id(key, str(values[key]))
            break
    return replace(settings, told=told, **changes)


def _one_of(key: str, value: object, allowed: "tuple[int, ...] | range") -> int:
    text = RATE_NAMES.get(str(value), str(value))
    for each in allowed:
        if text == str(each):
            return each
    listed = ", ".join(map(str, allowed))
    raise ProtocolError(f"{key}: {str(value)[:40]!a} is not one of {listed}")


def _call_id(key: str, value: str) -> CallId:
    if not CALL_ID.fullmatch(value):
        raise ProtocolError(f"{key}: {value[:40]!a} is not 1 to 128 of A-Z a-z 0-9 _ . : @ + -")
    return CallId(value)


def parse_text(text: str) -> dict[str, Any]:
    """Return the JSON object in a text message, an empty one for any other text.

    Metadata and `send_text` are whatever the dialplan wrote, so nothing in them is an error.
    """
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return parsed if isinstance(parsed, dict) else {}


def digit_in(values: Mapping[str, Any]) -> str | None:
    """Return the key that a text message tells of: `{"dtmf": "5"}`, or None."""
    digit = values.get("dtmf", values.get("digit"))
    return digit.upper() if isinstance(digit, str) and digit.upper() in DTMF_DIGITS else None


class Deinterleaver:
    """Turns binary messages into the samples of each channel, however they were cut.

    Args:
        channels: how many.
    """

    def __init__(self, channels: int) -> None:
        self._channels = channels
        self._rest = b""

    def feed(self, data: bytes) -> list[Samples]:
        """Return the whole samples so far, one array per channel; the rest waits.

        Args:
            data: s16le, any number of bytes.

        Returns:
            int16, each of shape (n,), n >= 0.
        """
        data = self._rest + data if self._rest else data
        whole = len(data) // (2 * self._channels) * 2 * self._channels
        self._rest = data[whole:]
        frames = np.frombuffer(data[:whole], "<i2").astype(np.int16, copy=False)
        return [frames[channel :: self._channels].copy() for channel in range(self._channels)]


def format_result(event: Event) -> str | None:
    """Return the message that takes an event to FreeSWITCH, None for events that are not taken.

    mod_audio_fork makes `mod_audio_fork::transcription` of it, with `data` as the body;
    mod_audio_stream makes `mod_audio_stream::json` of any text.
    """
    if not isinstance(event, Partial | FinalEvent) or not event.text:
        return None
    data: dict[str, object] = {
        "is_final": isinstance(event, FinalEvent),
        "text": event.text,
        "start": round(event.start_s, 3),
        "end": round(event.end_s, 3),
        "channel": int(event.leg_id.rpartition("/")[2].partition(".")[0]),
    }
    if isinstance(event, FinalEvent):
        data["words"] = [
            {
                "word": word.text,
                "start": round(word.start_s, 3),
                "end": round(word.end_s, 3),
                "conf": word.confidence,
            }
            for word in event.words
        ]
    return json.dumps({"type": "transcription", "data": data}, ensure_ascii=False)
