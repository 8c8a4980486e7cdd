"""Recordings made for tests, and the calls that recognise them."""

import contextlib
import wave
from collections.abc import AsyncIterator
from pathlib import Path

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
