"""The AudioSocket protocol without I/O: bytes to messages and back.

A message is kind (u8), payload length (u16, big-endian), payload (asterisk
include/asterisk/res_audiosocket.h and res/res_audiosocket.c). Audio is 16-bit linear, mono,
little-endian, its rate told by the kind.
"""

import struct
from collections.abc import Mapping
from enum import IntEnum
from typing import Final, NamedTuple
from uuid import UUID

from ruasr_tel.errors import ProtocolError

HEADER: Final = struct.Struct("!BH")
"""Kind, then payload length in bytes."""

MAX_PAYLOAD_BYTES: Final = 0xFFFF
"""All that a 16-bit length can say; audio this long is 4.1 s at 8 kHz."""

FRAME_S: Final = 0.02
"""Seconds of audio per frame from Asterisk (our measurement: median 20.0 ms, sizes may vary)."""

DTMF_DIGITS: Final = frozenset("0123456789*#ABCDabcd")
"""The keys of RFC 4733, 3.2, in either case; Asterisk sends one at the end of its key press."""


class Kind(IntEnum):
    """Message kinds that somebody sends (asterisk include/asterisk/res_audiosocket.h)."""

    HANGUP = 0x00
    UUID = 0x01
    SILENCE = 0x02
    """Only in the Go library CyCoreSystems/audiosocket; Asterisk neither sends nor takes it."""
    DTMF = 0x03
    SLIN = 0x10
    """8 kHz; Asterisk also labels every format that is not slin so: see docs/audiosocket.md."""
    SLIN12 = 0x11
    SLIN16 = 0x12
    SLIN24 = 0x13
    SLIN32 = 0x14
    SLIN44 = 0x15
    SLIN48 = 0x16
    SLIN96 = 0x17
    SLIN192 = 0x18
    ERROR = 0xFF


RATE_HZ_BY_KIND: Final[Mapping[int, int]] = {
    Kind.SLIN: 8_000,
    Kind.SLIN12: 12_000,
    Kind.SLIN16: 16_000,
    Kind.SLIN24: 24_000,
    Kind.SLIN32: 32_000,
    Kind.SLIN44: 44_100,
    Kind.SLIN48: 48_000,
    Kind.SLIN96: 96_000,
    Kind.SLIN192: 192_000,
}
"""Sample rate of each audio kind."""

KIND_BY_RATE_HZ: Final[Mapping[int, Kind]] = {
    rate_hz: Kind(kind) for kind, rate_hz in RATE_HZ_BY_KIND.items()
}
"""Audio kind of each sample rate."""


class Message(NamedTuple):
    """One whole message.

    Attributes:
        kind: a `Kind`, or any other value up to 0xff: what to do then is the server's decision.
        payload: at most `MAX_PAYLOAD_BYTES` bytes.
    """

    kind: int
    payload: bytes


class MessageParser:
    """Cuts a byte stream into messages; the answer does not depend on how the stream was cut.

    Holds at most one incomplete message, so never more than 65 537 bytes.
    """

    def __init__(self) -> None:
        self._buf = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """Return every message completed by `data`; keep the rest for later.

        Args:
            data: the next bytes of the stream, any number.
        """
        buf = self._buf
        buf += data
        whole = buf if len(buf) > len(data) else data  # most reads are whole messages: no copy
        messages: list[Message] = []
        start = 0
        while len(whole) - start >= HEADER.size:
            kind, length = HEADER.unpack_from(whole, start)
            body = start + HEADER.size
            if len(whole) - body < length:
                break
            start = body + length
            messages.append(Message(kind, bytes(whole[body:start])))
        del buf[:start]
        return messages

    @property
    def waiting_for(self) -> tuple[int, int] | None:
        """Kind and payload length of the incomplete message, or None before its header is whole."""
        if len(self._buf) < HEADER.size:
            return None
        kind, length = HEADER.unpack_from(self._buf)
        return kind, length

    @property
    def pending_bytes(self) -> int:
        """Bytes of the incomplete message at the end of the stream so far."""
        return len(self._buf)


def check_first_header(kind: int, length: int) -> None:
    """Refuse a connection that does not begin with a UUID, as soon as its header is there.

    Raises:
        ProtocolError: the first message is not a UUID message of 16 bytes.
    """
    if kind != Kind.UUID or length != 16:
        raise ProtocolError(
            f"the first message is kind 0x{kind:02x} with {length} bytes, "
            "expected the call's UUID: kind 0x01 with 16 bytes"
        )


def parse_uuid(message: Message) -> UUID:
    """Return the UUID that opens a call.

    Raises:
        ProtocolError: another kind, or not 16 bytes.
    """
    check_first_header(message.kind, len(message.payload))
    return UUID(bytes=message.payload)


def parse_dtmf(payload: bytes) -> str:
    """Return the one character of a DTMF message; whether it is a key is `DTMF_DIGITS`' matter.

    Raises:
        ProtocolError: not exactly one byte.
    """
    if len(payload) != 1:
        raise ProtocolError(f"a DTMF message (kind 0x03) of {len(payload)} bytes, expected 1")
    return payload.decode("latin-1")


def encode(kind: int, payload: bytes = b"") -> bytes:
    """Return a whole message, to be written in one write.

    Asterisk waits 5 ms for the rest of a payload and for ever for the rest of a header (our
    measurement), so a message must never be dribbled.

    Raises:
        ValueError: the payload is longer than `MAX_PAYLOAD_BYTES`.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise ValueError(f"payload of {len(payload)} bytes, the format takes {MAX_PAYLOAD_BYTES}")
    return HEADER.pack(kind, len(payload)) + payload


def encode_hangup() -> bytes:
    """Return the message that hands the call back: the dialplan goes on after it."""
    return encode(Kind.HANGUP)


def encode_uuid(uuid: UUID) -> bytes:
    """Return the message that a PBX opens a call with: 16 bytes in the order of the text."""
    return encode(Kind.UUID, uuid.bytes)


def encode_dtmf(digit: str) -> bytes:
    """Return one key press, as a PBX sends it; never send it to Asterisk, which drops the call.

    Raises:
        ValueError: not one of `DTMF_DIGITS`.
    """
    if digit not in DTMF_DIGITS:
        raise ValueError(f"{digit!r} is not a DTMF digit")
    return encode(Kind.DTMF, digit.encode("ascii"))


def encode_audio(audio: bytes, rate_hz: int = 8_000) -> bytes:
    """Return one frame of audio.

    Args:
        audio: 16-bit linear samples, mono, little-endian, 1 to 65 535 bytes; 20 ms are
            `frame_bytes(rate_hz)`.
        rate_hz: one of `KIND_BY_RATE_HZ`.

    Raises:
        ValueError: empty (Asterisk drops the call on audio of length 0), too long, or a rate
            that has no kind.
    """
    if not audio:
        raise ValueError("an audio message of length 0 ends the call in Asterisk")
    if rate_hz not in KIND_BY_RATE_HZ:
        known = ", ".join(map(str, KIND_BY_RATE_HZ))
        raise ValueError(f"no audio kind for {rate_hz} Hz; there are {known}")
    return encode(KIND_BY_RATE_HZ[rate_hz], audio)


def encode_error(code: int) -> bytes:
    """Return an error message; never send it to Asterisk, which drops the call.

    Args:
        code: 0..255; Asterisk's own are 1 hung up, 2 frame forwarding, 4 memory.
    """
    return encode(Kind.ERROR, bytes([code]))


def frame_bytes(rate_hz: int) -> int:
    """Return the size of 20 ms of audio: 320 bytes at 8 kHz, 1764 at 44.1 kHz."""
    return rate_hz // 50 * 2
