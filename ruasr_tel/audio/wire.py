"""What the decoder's process and its owner say to each other; pure.

The owner sends a request, and the file itself beside it (SCM_RIGHTS). The answer is a head, blocks
and an end, or a refusal. What comes from the decoder is checked like what comes from a stranger:
the file may have taken the process over.
"""

import json
import math
import struct
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any

from ruasr_tel.errors import ProtocolError

HEADER = struct.Struct("!BI")
"""Kind: u8, length of what follows: u32 big-endian."""
MOST_BYTES = 1 << 20
"""Longest content of a frame; a longer block goes in pieces."""
MOST_CHANNELS = 512
"""FFmpeg takes no more (libavcodec/internal.h, FF_SANE_NB_CHANNELS)."""
MOST_HZ = 10_000_000
LONGEST_TEXT = 2000
"""Characters of a name or a reason; the rest is cut."""


class Kind(IntEnum):
    """What a frame holds."""

    REQUEST = 0
    HEAD = 1
    BLOCK = 2
    END = 3
    REFUSED = 4


@dataclass(frozen=True, slots=True)
class Request:
    """Asks for a file.

    Attributes:
        name: what to call it; its suffix tells what a file without a header holds.
        lowest_hz: a file of a lower rate is resampled to this one.
        highest_hz: the same for higher ones; 0 for any rate, as it is.
    """

    name: str
    lowest_hz: int
    highest_hz: int


@dataclass(frozen=True, slots=True)
class Head:
    """What a file is; its blocks follow.

    Attributes:
        channels: how many.
        sample_rate_hz: rate of the blocks.
        declared_s: length as the file states it, or None.
    """

    channels: int
    sample_rate_hz: int
    declared_s: float | None


@dataclass(frozen=True, slots=True)
class End:
    """No more blocks.

    Attributes:
        fault: what could not be read, or None.
    """

    fault: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """No (more) audio from this file.

    Attributes:
        reason: a sentence for people.
    """

    reason: str


def encode(message: Request | Head | End | Refused) -> bytes:
    """Return the frame of a message."""
    fields = {
        key: value[:LONGEST_TEXT] if isinstance(value, str) else value
        for key, value in asdict(message).items()
    }
    content = json.dumps(fields).encode()
    return HEADER.pack(Kind[type(message).__name__.upper()], len(content)) + content


def encode_block(audio: bytes) -> bytes:
    """Return the frame of a block: int16 in the machine's order, one channel after the other."""
    return HEADER.pack(Kind.BLOCK, len(audio)) + audio


def parse_header(header: bytes | bytearray) -> tuple[Kind, int]:
    """Return kind and length of the frame that begins so.

    Raises:
        ProtocolError: there is no such kind, or it is too long.
    """
    kind, length = HEADER.unpack(header)
    if kind not in Kind.__members__.values():
        raise ProtocolError(f"a frame of kind {kind}, which there is not")
    if length > MOST_BYTES:
        raise ProtocolError(f"a frame of {length} bytes, more than {MOST_BYTES}")
    return Kind(kind), length


def parse_request(content: bytes) -> Request:
    """Return a request; it comes from the server, so it is right."""
    return Request(**json.loads(content))


def parse_head(content: bytes | bytearray) -> Head:
    """Return a head.

    Raises:
        ProtocolError: it is none, or says what cannot be.
    """
    fields = _fields(content, {"channels", "sample_rate_hz", "declared_s"})
    channels, rate_hz, declared_s = (
        fields["channels"],
        fields["sample_rate_hz"],
        fields["declared_s"],
    )
    if type(channels) is not int or not 1 <= channels <= MOST_CHANNELS:
        raise ProtocolError(f"a file of {channels!r} channels")
    if type(rate_hz) is not int or not 1 <= rate_hz <= MOST_HZ:
        raise ProtocolError(f"a file of {rate_hz!r} Hz")
    if declared_s is None:
        return Head(channels, rate_hz, None)
    if type(declared_s) is not float or not math.isfinite(declared_s):
        raise ProtocolError(f"a file of {declared_s!r} s")
    return Head(channels, rate_hz, max(declared_s, 0.0))


def parse_end(content: bytes | bytearray) -> End:
    """Return an end.

    Raises:
        ProtocolError: it is none.
    """
    fault = _fields(content, {"fault"})["fault"]
    return End(None if fault is None else _text(fault))


def parse_refused(content: bytes | bytearray) -> Refused:
    """Return a refusal.

    Raises:
        ProtocolError: it is none.
    """
    return Refused(_text(_fields(content, {"reason"})["reason"]))


def check_block(content: bytearray, channels: int) -> bytearray:
    """Return the audio of a block.

    Raises:
        ProtocolError: it does not hold the same, positive number of samples of each channel.
    """
    if not content or len(content) % (2 * channels):
        raise ProtocolError(f"a block of {len(content)} bytes for {channels} channels")
    return content


def _fields(content: bytes | bytearray, names: set[str]) -> dict[str, Any]:
    try:
        fields = json.loads(content)
    except (ValueError, RecursionError) as exc:
        raise ProtocolError(f"a frame that is no JSON ({exc})") from exc
    if not isinstance(fields, dict) or set(fields) != names:
        raise ProtocolError(f"a frame without exactly {', '.join(sorted(names))}")
    return fields


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ProtocolError(f"a {type(value).__name__} where a text belongs")
    return value[:LONGEST_TEXT]
