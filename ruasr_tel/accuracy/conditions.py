"""What a telephone line does to a recording."""

import ctypes
import ctypes.util
from collections.abc import Callable
from functools import partial

import numpy as np

from ruasr_tel.audio.codec import Decoder, Encoding, encode
from ruasr_tel.errors import ConfigError
from ruasr_tel.types import Samples

RATE_HZ = 8000
"""Rate of every condition but `clean`, which keeps the recording's own."""
CLEAN = "clean"
PACKET_SAMPLES = 160  # 20 ms, the ptime of nearly every PBX
_GSM_FRAME_BYTES = 33  # GSM 06.10: 260 bits and a 4-bit magic number


def names() -> tuple[str, ...]:
    """Return the conditions, in the order of a report."""
    return (CLEAN, *_CONDITIONS)


def apply(name: str, samples: Samples, seed: int = 0) -> Samples:
    """Return audio as it comes through a line of this condition.

    Args:
        name: one of `names()`.
        samples: int16, shape (n,), at RATE_HZ, or at any rate for `clean`.
        seed: of the packets that are lost.

    Returns:
        int16, shape (n,).

    Raises:
        ConfigError: there is no such condition, or a library it needs is missing.
    """
    if name == CLEAN:
        return samples
    if name not in _CONDITIONS:
        raise ConfigError(f"no condition {name!r}; known: {', '.join(names())}")
    return _CONDITIONS[name](samples, seed)


def _alaw(samples: Samples, _seed: int) -> Samples:
    return Decoder(Encoding.PCMA).decode(encode(samples, Encoding.PCMA))


def _gsm(samples: Samples, _seed: int) -> Samples:
    """GSM full rate (06.10), there and back, by libgsm: FFmpeg can only decode it."""
    found = ctypes.util.find_library("gsm")
    if found is None:
        raise ConfigError(
            "condition gsm needs libgsm: install the package libgsm1, or leave it out"
        )
    library = ctypes.CDLL(found)
    library.gsm_create.restype = ctypes.c_void_p
    encoder, decoder = library.gsm_create(), library.gsm_create()
    frame = (ctypes.c_ubyte * _GSM_FRAME_BYTES)()
    padded = np.pad(samples, (0, -len(samples) % PACKET_SAMPLES)).astype(np.int16)
    heard = np.empty_like(padded)
    try:
        for at in range(0, len(padded), PACKET_SAMPLES):
            said = np.ascontiguousarray(padded[at : at + PACKET_SAMPLES])
            library.gsm_encode(
                ctypes.c_void_p(encoder), said.ctypes.data_as(ctypes.c_void_p), frame
            )
            out = heard[at : at + PACKET_SAMPLES]
            library.gsm_decode(ctypes.c_void_p(decoder), frame, out.ctypes.data_as(ctypes.c_void_p))
    finally:
        library.gsm_destroy(ctypes.c_void_p(encoder))
        library.gsm_destroy(ctypes.c_void_p(decoder))
    return heard[: len(samples)]


def _loss(samples: Samples, seed: int, share: float) -> Samples:
    """A-law with packets lost each by itself; silence in their place, as Asterisk leaves it."""
    packets = -(-len(samples) // PACKET_SAMPLES)
    lost = np.random.default_rng(seed).random(packets) < share
    heard = _alaw(samples, seed).copy()
    heard[np.repeat(lost, PACKET_SAMPLES)[: len(heard)]] = 0
    return heard


_CONDITIONS: dict[str, Callable[[Samples, int], Samples]] = {
    "alaw": _alaw,
    "gsm": _gsm,
    "loss1": partial(_loss, share=0.01),
    "loss3": partial(_loss, share=0.03),
    "loss5": partial(_loss, share=0.05),
}
