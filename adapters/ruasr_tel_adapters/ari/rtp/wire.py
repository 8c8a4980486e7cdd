"""RTP packets and key presses without I/O: bytes to values and back (RFC 3550, RFC 4733)."""

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from ruasr_tel.audio.codec import Decoder, Encoding, encode
from ruasr_tel.errors import ProtocolError
from ruasr_tel.types import Samples

HEADER: Final = struct.Struct("!BBHII")
"""V P X CC, M PT, sequence number, timestamp, SSRC (RFC 3550, 5.1)."""

VERSION: Final = 2

EXTENSION: Final = struct.Struct("!HH")
"""Profile, length in 32-bit words (RFC 3550, 5.3.1)."""

EVENT: Final = struct.Struct("!BBH")
"""Event, E R volume, duration in timestamp units (RFC 4733, 2.3)."""

DTMF_KEYS: Final = "0123456789*#ABCD"
"""Events 0 to 15 (RFC 4733, 3.2)."""

Format = Literal["slin", "slin16", "ulaw", "alaw"]
"""Asterisk's names of what externalMedia can be asked to send."""

RATE_HZ: Final[Mapping[Format, int]] = {
    "slin": 8_000,
    "slin16": 16_000,
    "ulaw": 8_000,
    "alaw": 8_000,
}
"""Sample rate of each format; it is the rate of the RTP timestamps, too."""

PAYLOAD_TYPE: Final[Mapping[Format, int]] = {"slin": 10, "slin16": 118, "ulaw": 0, "alaw": 8}
"""What Asterisk 22 sends (our measurement). There is no SDP, so both sides have to know: 0 and 8
are RFC 3551's, 118 is dynamic, and 10 stands for 8 kHz here, where RFC 3551 means 44.1 kHz."""

TELEPHONE_EVENT: Final = 101
"""Asterisk's number for RFC 4733 (main/rtp_engine.c)."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One RTP packet.

    Attributes:
        payload_type: 0..127.
        sequence: 0..65535, one more with each packet.
        timestamp: 0..2**32-1, one more with each sample.
        ssrc: names the stream, 0..2**32-1.
        payload: without padding.
        marker: first packet after a silence, or of a key press.
        csrc: sources that a mixer put together, at most 15.
        extension: profile and words of the header extension, or None.
        padding: bytes of padding, the last of which tells their number; 0 for none.
    """

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False
    csrc: tuple[int, ...] = ()
    extension: tuple[int, bytes] | None = None
    padding: int = 0

    @classmethod
    def parse(cls, data: bytes) -> "Packet":
        """Return the packet in one datagram.

        Raises:
            ProtocolError: it is no RTP, or shorter than its header says.
        """
        if len(data) < HEADER.size:
            raise ProtocolError(f"{len(data)} bytes, an RTP header has {HEADER.size}")
        first, second, sequence, timestamp, ssrc = HEADER.unpack_from(data)
        if first >> 6 != VERSION:
            raise ProtocolError(f"RTP version {first >> 6}, expected {VERSION}")
        start = HEADER.size + 4 * (first & 0x0F)
        csrc = struct.unpack_from(f"!{first & 0x0F}I", _up_to(data, start), HEADER.size)
        extension = None
        if first & 0x10:
            profile, words = EXTENSION.unpack_from(_up_to(data, start + EXTENSION.size), start)
            body = start + EXTENSION.size
            start = body + 4 * words
            extension = (profile, _up_to(data, start)[body:start])
        padding = data[-1] if first & 0x20 else 0
        if first & 0x20 and not 1 <= padding <= len(data) - start:
            raise ProtocolError(f"{padding} bytes of padding in {len(data) - start} of payload")
        return cls(
            second & 0x7F,
            sequence,
            timestamp,
            ssrc,
            data[start : len(data) - padding],
            bool(second & 0x80),
            csrc,
            extension,
            padding,
        )

    def __bytes__(self) -> bytes:
        first = VERSION << 6 | bool(self.padding) << 5 | len(self.csrc)
        extension = b""
        if self.extension is not None:
            profile, words = self.extension
            first |= 0x10
            extension = EXTENSION.pack(profile, len(words) // 4) + words
        second = self.marker << 7 | self.payload_type
        head = HEADER.pack(first, second, self.sequence, self.timestamp, self.ssrc)
        padding = bytes(self.padding - 1) + bytes([self.padding]) if self.padding else b""
        csrc = struct.pack(f"!{len(self.csrc)}I", *self.csrc)
        return head + csrc + extension + self.payload + padding


def _up_to(data: bytes, end: int) -> bytes:
    """Return the data if it reaches so far.

    Raises:
        ProtocolError: it does not.
    """
    if len(data) < end:
        raise ProtocolError(f"{len(data)} bytes of RTP, its header says at least {end}")
    return data


@dataclass(frozen=True, slots=True)
class KeyPress:
    """The state of one key press; the same one comes many times (RFC 4733, 2.5.1).

    Attributes:
        event: 0..255; `digit` for those that are keys.
        is_end: the key was let go.
        duration: so far, in timestamp units.
        volume: of the tone, in -dBm0, 0..63.
    """

    event: int
    is_end: bool
    duration: int
    volume: int = 10

    @classmethod
    def parse(cls, payload: bytes) -> "KeyPress":
        """Return what a telephone-event payload says; what follows its first block is older.

        Raises:
            ProtocolError: shorter than one block.
        """
        if len(payload) < EVENT.size:
            raise ProtocolError(f"telephone-event of {len(payload)} bytes, expected {EVENT.size}")
        event, flags, duration = EVENT.unpack_from(payload)
        return cls(event, bool(flags & 0x80), duration, flags & 0x3F)

    def __bytes__(self) -> bytes:
        return EVENT.pack(self.event, self.is_end << 7 | self.volume, self.duration)

    @property
    def digit(self) -> str | None:
        """The key, or None for other tones and flashes."""
        return DTMF_KEYS[self.event] if self.event < len(DTMF_KEYS) else None


_ENCODINGS: Final[Mapping[Format, Encoding]] = {
    "ulaw": Encoding.PCMU,
    "alaw": Encoding.PCMA,
    "slin": Encoding.SLIN,
    "slin16": Encoding.SLIN,
}


def decode_payload(payload: bytes, format_: Format) -> Samples:
    """Return the samples of one packet.

    Args:
        payload: linear audio is big-endian (RFC 3551, 4.5.11); half a sample at its end is lost.
        format_: what the packets carry.

    Returns:
        int16, shape (n,), at `RATE_HZ[format_]`.
    """
    if _ENCODINGS[format_] is Encoding.SLIN:
        whole = len(payload) // 2 * 2
        return np.frombuffer(payload[:whole], ">i2").astype(np.int16)
    return Decoder(_ENCODINGS[format_]).decode(payload)


def encode_payload(samples: Samples, format_: Format) -> bytes:
    """Return the payload of one packet: what Asterisk would send.

    Args:
        samples: int16, shape (n,).
        format_: what the packet shall carry.
    """
    if _ENCODINGS[format_] is Encoding.SLIN:
        return samples.astype(">i2").tobytes()
    return encode(samples, _ENCODINGS[format_])


def samples_in(payload: bytes, format_: Format) -> int:
    """Return how many samples a payload holds, which its timestamp advances by."""
    return len(payload) // (2 if _ENCODINGS[format_] is Encoding.SLIN else 1)
