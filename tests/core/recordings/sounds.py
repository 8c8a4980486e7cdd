"""Recordings made for tests, and the calls that recognise them."""

import contextlib
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from ruasr_tel.call import Calls, CallsConfig
from ruasr_tel.profile import DEFAULT_PROFILES
from ruasr_tel.recordings.recognise import bulk_profiles
from ruasr_tel.scheduler import EngineHost, Priority
from ruasr_tel.testing import running_calls
from ruasr_tel.types import Samples


def write_wav(path: Path, *channels: Samples, rate_hz: int = 8000) -> Path:
    """Write a PCM WAV."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(np.stack(channels, axis=1).tobytes())
    return path


def write_silent_flac(path: Path, channels: int, seconds: int) -> Path:
    """Write a FLAC of digital silence whose length its header does not tell.

    Ten minutes are encoded, and their frames repeated: 790 KB an hour that unpack to 115 MB.
    """
    layout = "mono" if channels == 1 else "stereo"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("flac", rate=8000)
        assert isinstance(stream, av.AudioStream)
        zeros = np.zeros((1, 8000 * 600 * channels), np.int16)
        frame = av.AudioFrame.from_ndarray(zeros, format="s16", layout=layout)
        frame.rate = 8000
        container.mux([*stream.encode(frame), *stream.encode(None)])
    data = bytearray(path.read_bytes())
    at, last = 4, False
    while not last:  # metadata blocks: last flag and type, length (RFC 9639, 8.1)
        kind, length = data[at], int.from_bytes(data[at + 1 : at + 4], "big")
        if kind & 0x7F == 0:  # STREAMINFO; its bytes 13 to 17 hold the 36 bits of the length (8.2)
            data[at + 4 + 13] &= 0xF0
            data[at + 4 + 14 : at + 4 + 18] = bytes(4)
        last, at = bool(kind & 0x80), at + 4 + length
    path.write_bytes(data[:at] + data[at:] * (seconds // 600))
    return path


def quiet(seconds: float, rate_hz: int = 8000) -> Samples:
    """Return digital silence."""
    zeros: npt.NDArray[np.int16] = np.zeros(round(seconds * rate_hz), np.int16)
    return zeros


@contextlib.asynccontextmanager
async def bulk_calls(host: EngineHost | None = None) -> AsyncIterator[Calls]:
    """Run calls as recordings use them."""
    async with running_calls(
        host,
        config=CallsConfig(max_wait_s=600, finish_timeout_s=600),
        profiles=bulk_profiles(DEFAULT_PROFILES),
        priority=Priority.BULK,
    ) as calls:
        yield calls
