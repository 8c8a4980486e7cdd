"""Media over WebSocket without I/O: control messages of Asterisk's chan_websocket and back.

Text is control, plain (`DTMF_END digit:5 channel_id:1.2`) or JSON (`{"event":"DTMF_END",…}`);
binary is audio with nothing around it (asterisk channels/chan_websocket.c). Commands must be in the
form of the events and shorter than 128 bytes, or Asterisk ignores them.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from ruasr_tel.audio.codec import Encoding
from ruasr_tel.errors import ProtocolError

COMMAND_BYTES_MAX: Final = 127
"""MAX_TEXT_MESSAGE_LEN of chan_websocket.c is 128; a message of that length is ignored, too."""

DTMF_DIGITS: Final = frozenset("0123456789*#ABCDabcd")
"""The keys of RFC 4733, 3.2."""


@dataclass(frozen=True, slots=True)
class Format:
    """What the audio of a channel is.

    Attributes:
        encoding: how bytes carry samples.
        sample_rate_hz: their rate.
    """

    encoding: Encoding
    sample_rate_hz: int


FORMATS: Final[Mapping[str, Format]] = {
    "slin": Format(Encoding.SLIN, 8_000),
    "slin12": Format(Encoding.SLIN, 12_000),
    "slin16": Format(Encoding.SLIN, 16_000),
    "slin24": Format(Encoding.SLIN, 24_000),
    "slin32": Format(Encoding.SLIN, 32_000),
    "slin44": Format(Encoding.SLIN, 44_100),
    "slin48": Format(Encoding.SLIN, 48_000),
    "slin96": Format(Encoding.SLIN, 96_000),
    "slin192": Format(Encoding.SLIN, 192_000),
    "ulaw": Format(Encoding.PCMU, 8_000),
    "alaw": Format(Encoding.PCMA, 8_000),
}
"""Asterisk's format names (main/format_cache.c) that need no further codec."""


class EventName(StrEnum):
    """Everything that Asterisk says."""

    MEDIA_START = "MEDIA_START"
    DTMF_END = "DTMF_END"
    STATUS = "STATUS"
    MEDIA_XON = "MEDIA_XON"
    MEDIA_XOFF = "MEDIA_XOFF"
    QUEUE_DRAINED = "QUEUE_DRAINED"
    MEDIA_MARK_PROCESSED = "MEDIA_MARK_PROCESSED"
    MEDIA_BUFFERING_COMPLETED = "MEDIA_BUFFERING_COMPLETED"
    ERROR = "ERROR"


class Command(StrEnum):
    """Everything that Asterisk can be told."""

    ANSWER = "ANSWER"
    HANGUP = "HANGUP"
    START_MEDIA_BUFFERING = "START_MEDIA_BUFFERING"
    STOP_MEDIA_BUFFERING = "STOP_MEDIA_BUFFERING"
    MARK_MEDIA = "MARK_MEDIA"
    FLUSH_MEDIA = "FLUSH_MEDIA"
    GET_STATUS = "GET_STATUS"
    REPORT_QUEUE_DRAINED = "REPORT_QUEUE_DRAINED"
    PAUSE_MEDIA = "PAUSE_MEDIA"
    CONTINUE_MEDIA = "CONTINUE_MEDIA"
    SET_MEDIA_DIRECTION = "SET_MEDIA_DIRECTION"


_WITH_CORRELATION_ID: Final = frozenset({Command.STOP_MEDIA_BUFFERING, Command.MARK_MEDIA})


@dataclass(frozen=True, slots=True)
class Event:
    """One control message.

    Attributes:
        name: an `EventName`, or any other word of a newer Asterisk.
        fields: its values as text, by name; nested ones of JSON are left out.
        variables: `channel_variables` of MEDIA_START, JSON only.
        is_json: which form it came in; commands must have the same.
    """

    name: str
    fields: Mapping[str, str]
    variables: Mapping[str, str] = field(default_factory=dict)
    is_json: bool = False


@dataclass(frozen=True, slots=True)
class MediaStart:
    """What a channel says of itself.

    Attributes:
        connection_id: section of websocket_client.conf, or the id of a WebSocket/INCOMING.
        channel: the PBX channel's name.
        channel_id: its unique id; empty from Asterisk before 22.7.
        format: its audio.
        frame_bytes: 20 ms of it; what is sent should come in multiples of that.
        variables: the channel's variables, JSON only.
    """

    connection_id: str
    channel: str
    channel_id: str
    format: Format
    frame_bytes: int
    variables: Mapping[str, str]


def parse(text: str) -> Event:
    """Return what a control message says.

    Raises:
        ProtocolError: it begins like JSON and is no JSON object with an event, or has no name.
    """
    return _parse_json(text) if text.lstrip().startswith(("{", "[")) else _parse_plain(text)


def _parse_plain(text: str) -> Event:
    """Read `NAME key:value key:value`; a word without a key belongs to the value before it.

    The word after MEDIA_MARK_PROCESSED and MEDIA_BUFFERING_COMPLETED has no key at all.
    """
    name, _, rest = text.strip().partition(" ")
    if not re.fullmatch(r"[A-Z_]{1,40}", name):
        raise ProtocolError(f"text that is no control message: {text[:40]!a}")
    fields: dict[str, str] = {}
    last = "correlation_id"
    for word in rest.split(" ") if rest else ():
        key, colon, value = word.partition(":")
        if colon and re.fullmatch(r"[a-z_]+", key) and last != "error_text":
            last = key
            fields[last] = value
        else:
            fields[last] = f"{fields[last]} {word}" if last in fields else word
    return Event(name, fields)


def _parse_json(text: str) -> Event:
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise ProtocolError(f"text that is not JSON: {text[:40]!a}") from None
    if not isinstance(body, dict):
        raise ProtocolError(f"JSON that is not an object: {text[:40]!a}")
    name = body.pop("event", None)
    if not isinstance(name, str) or not name:
        raise ProtocolError(f"an object without an event: {text[:40]!a}")
    variables = body.get("channel_variables")
    return Event(
        name,
        _texts(body),
        _names(variables) if isinstance(variables, dict) else {},
        is_json=True,
    )


def _names(variables: Mapping[str, object]) -> dict[str, str]:
    """Return variables by the names that a dialplan reads; `__X` is X, inherited."""
    return {key.lstrip("_"): value for key, value in _texts(variables).items()}


def _texts(values: Mapping[str, object]) -> dict[str, str]:
    return {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in values.items()
        if not isinstance(value, dict | list)
    }


def media_start(event: Event) -> MediaStart:
    """Return what a MEDIA_START says.

    Raises:
        ProtocolError: another event, or a format that cannot be heard.
    """
    if event.name != EventName.MEDIA_START:
        raise ProtocolError(f"{event.name[:40]!a} before MEDIA_START")
    name = event.fields.get("format", "")
    if name not in FORMATS:
        raise ProtocolError(
            f"format {name[:40]!a} is not served; dial with c(slin), or one of {', '.join(FORMATS)}"
        )
    size = event.fields.get("optimal_frame_size", "")
    return MediaStart(
        event.fields.get("connection_id", ""),
        event.fields.get("channel", ""),
        event.fields.get("channel_id", ""),
        FORMATS[name],
        int(size) if re.fullmatch(r"[0-9]{1,6}", size) else 0,
        event.variables,
    )


def encode(command: Command, *, is_json: bool, value: str = "") -> str:
    """Return a command in the form that the channel takes.

    Args:
        command: what to do.
        is_json: the form of the channel's events.
        value: correlation id of MARK_MEDIA and STOP_MEDIA_BUFFERING, direction (`both`, `in`, `out`
            as the application sees it) of SET_MEDIA_DIRECTION.

    Raises:
        ValueError: a value where none is taken, plain SET_MEDIA_DIRECTION, or it is too long.
    """
    direction = command is Command.SET_MEDIA_DIRECTION
    if value and not direction and command not in _WITH_CORRELATION_ID:
        raise ValueError(f"{command} takes no value")
    if direction and not is_json:
        raise ValueError(f"{command} exists in JSON only: dial with f(json)")
    if is_json:
        key = "direction" if direction else "correlation_id"
        body = {"command": command.value} | ({key: value} if value else {})
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    else:
        text = f"{command} {value}" if value else command.value
    if len(text.encode()) > COMMAND_BYTES_MAX:
        raise ValueError(f"a command of {len(text.encode())} bytes, at most {COMMAND_BYTES_MAX}")
    return text
