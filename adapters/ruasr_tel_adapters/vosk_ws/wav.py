"""Finds the RIFF header that file clients send as if it were audio."""

import struct
from dataclasses import dataclass

from ruasr_tel.audio.codec import Encoding

_RIFF, _WAVE = b"RIFF", b"WAVE"
_CHUNK = struct.Struct("<4sI")
_FORMAT = struct.Struct("<HHIIHH")
_HEADER_BYTES_MAX = 65_536
"""A header that has not come to its `data` chunk by then is audio that happens to say RIFF."""

_EXTENSIBLE = 0xFFFE
_ENCODINGS = {(1, 16): Encoding.SLIN, (6, 8): Encoding.PCMA, (7, 8): Encoding.PCMU}
"""(wFormatTag, bits per sample) of Microsoft's mmreg.h -> what it is to us."""


@dataclass(frozen=True, slots=True)
class WavFormat:
    """What a WAV header says of the audio after it.

    Attributes:
        sample_rate_hz: samples per second of one channel.
        channels: channels, interleaved.
        encoding: how a sample is written, or None: nothing that a call is made of.
        described: the header's words, for the log.
    """

    sample_rate_hz: int
    channels: int
    encoding: Encoding | None
    described: str


class WavSniffer:
    """Passes audio on without the header it may begin with; the cut of the bytes does not matter.

    vosk-server's PHP client and a few boards send a whole WAV file as audio. The sizes in the
    header are not believed: programs that write to a pipe put anything there.
    """

    def __init__(self) -> None:
        self._held = b""
        self._done = False
        self.format: WavFormat | None = None
        """The header's format once it was found."""

    def feed(self, data: bytes) -> bytes:
        """Return the audio in `data`; bytes that may be header are held back until it is clear."""
        if self._done:
            return data
        self._held += data
        if not _may_be_header(self._held):
            return self.flush()
        audio_at = self._find_audio()
        if audio_at is not None:
            self._held = self._held[audio_at:]
            return self.flush()
        return self.flush() if len(self._held) > _HEADER_BYTES_MAX else b""

    def flush(self) -> bytes:
        """Return what is held: it was audio after all, or the connection ends."""
        held, self._held, self._done = self._held, b"", True
        return held

    def _find_audio(self) -> int | None:
        """Walk the chunks (RIFF: 4 letters, u32 size, padded to even) up to `data`."""
        at = 12
        while at + _CHUNK.size <= len(self._held):
            name, size = _CHUNK.unpack_from(self._held, at)
            at += _CHUNK.size
            if name == b"data":
                return at
            if name == b"fmt " and size >= _FORMAT.size and at + size <= len(self._held):
                self.format = _read_format(self._held[at : at + size])
            at += size + size % 2
        return None


def _may_be_header(begin: bytes) -> bool:
    return _RIFF.startswith(begin[:4]) and _WAVE.startswith(begin[8:12])


def _read_format(body: bytes) -> WavFormat:
    tag, channels, rate_hz, _, _, bits = _FORMAT.unpack_from(body)
    if tag == _EXTENSIBLE and len(body) >= 26:
        tag = int.from_bytes(body[24:26], "little")  # the GUID begins with the old tag
    described = f"format tag {tag}, {bits} bits, {channels} channels, {rate_hz} Hz"
    return WavFormat(rate_hz, channels, _ENCODINGS.get((tag, bits)), described)
