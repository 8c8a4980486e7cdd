"""Bytes of a telephone line to samples and back; the only module that knows `audioop`.

`audioop` is part of Python up to 3.12 and comes from audioop-lts from 3.13 on (PEP 594).
"""

import warnings
from enum import StrEnum

import numpy as np

from ruasr_tel.types import Samples

with warnings.catch_warnings():
    # PEP 594: Python 3.11 and 3.12 warn that audioop goes; audioop-lts has taken its place.
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

_SLIN = np.dtype("<i2")
_WIDTH = 2
"""Bytes of one linear sample, as audioop takes them."""


class Encoding(StrEnum):
    """How a door's bytes carry samples."""

    SLIN = "slin"
    """Signed 16-bit little-endian, two bytes a sample (asterisk `slin`, `pcm_s16le`)."""

    PCMU = "pcmu"
    """G.711 mu-law, one byte a sample (RFC 3551 section 4.5.14)."""

    PCMA = "pcma"
    """G.711 A-law, one byte a sample (RFC 3551 section 4.5.14)."""


class Decoder:
    """Turns the bytes of one stream into samples, however the bytes were cut.

    Args:
        encoding: how the stream carries samples.
    """

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self._odd = b""

    @property
    def pending_bytes(self) -> int:
        """Bytes kept for the next call: 1 after half a SLIN sample, else 0."""
        return len(self._odd)

    def decode(self, data: bytes) -> Samples:
        """Return the samples that `data` completes; half a sample waits for the next call.

        Args:
            data: the next bytes of the stream, any number of them.

        Returns:
            int16, shape (n,), at the stream's rate; may be a read-only view of `data`.
        """
        if self._encoding is Encoding.PCMU:
            return np.frombuffer(audioop.ulaw2lin(data, _WIDTH), np.int16)
        if self._encoding is Encoding.PCMA:
            return np.frombuffer(audioop.alaw2lin(data, _WIDTH), np.int16)
        if self._odd or len(data) % _WIDTH:
            data = self._odd + data
            whole = len(data) // _WIDTH * _WIDTH
            data, self._odd = data[:whole], data[whole:]
        return np.frombuffer(data, _SLIN).astype(np.int16, copy=False)


def encode(samples: Samples, encoding: Encoding) -> bytes:
    """Return `samples` as a door's bytes.

    Args:
        samples: int16, shape (n,).
        encoding: the wanted encoding; G.711 keeps 8 bits of each sample.
    """
    if encoding is Encoding.PCMU:
        return audioop.lin2ulaw(samples.tobytes(), _WIDTH)
    if encoding is Encoding.PCMA:
        return audioop.lin2alaw(samples.tobytes(), _WIDTH)
    return samples.astype(_SLIN, copy=False).tobytes()
