import asyncio
from uuid import uuid4

import numpy as np
import pytest

from ruasr_tel.errors import Overloaded, ProtocolError
from ruasr_tel.metrics import Metrics
from ruasr_tel.plugins import PhoneCall
from ruasr_tel.testing import TIMEOUT_S
from ruasr_tel.testing.phone import TAIL_S
from ruasr_tel.types import Samples
from ruasr_tel_adapters.audiosocket.config import AudioSocketConfig
from ruasr_tel_adapters.audiosocket.phone import AudioSocketPhone
from ruasr_tel_adapters.audiosocket.server import create
from tests.adapters.audiosocket.fakes import FakeCalls


async def dial(calls: FakeCalls, samples: Samples, rate_hz: int, pace: float) -> tuple[str, float]:
    """Play samples into a door; return the call's id and how long it took."""
    door = create(AudioSocketConfig(port=0), calls.as_calls(), Metrics())
    await door.start()
    loop = asyncio.get_running_loop()
    started: list[float] = []
    call_id = str(uuid4())
    call = PhoneCall(
        door.url, call_id, samples, rate_hz, pace, None, lambda heard: None, started.append
    )
    async with asyncio.timeout(TIMEOUT_S):
        try:
            await AudioSocketPhone().play(call)
        finally:
            await door.close()
    return call_id, loop.time() - started[0]


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100])
async def test_every_sample_arrives_at_its_rate_and_the_call_ends_by_fin(rate_hz: int) -> None:
    calls = FakeCalls()
    samples = (np.arange(rate_hz // 4 + 7) % 1000 - 500).astype(np.int16)
    call_id, _ = await dial(calls, samples, rate_hz, pace=100.0)
    assert calls.call.call_id == call_id
    assert calls.call.ended == ["eof"]
    assert calls.call.leg.sample_rate_hz == rate_hz
    assert calls.call.leg.audio == [*samples.tolist(), *[0] * round(TAIL_S * rate_hz)]


async def test_frames_are_paced() -> None:
    samples = np.zeros(4_000, np.int16)
    _, took_s = await dial(FakeCalls(), samples, 8_000, pace=10.0)
    assert took_s >= (0.5 + TAIL_S) / 10 - 0.02


async def test_a_refused_call_is_told_to_the_caller() -> None:
    calls = FakeCalls()
    calls.refusal = Overloaded("full")
    with pytest.raises(ProtocolError, match=r"^the server ended the call after \d+\.\d\d s$"):
        await dial(calls, np.zeros(80_000, np.int16), 8_000, pace=20.0)


async def test_nobody_listens() -> None:
    door = create(AudioSocketConfig(port=0), FakeCalls().as_calls(), Metrics())
    await door.start()
    await door.close()
    call = PhoneCall(door.url, str(uuid4()), np.zeros(1, np.int16), 8_000, 1.0, None, print, print)
    with pytest.raises(OSError, match="Connect call failed"):
        await AudioSocketPhone().play(call)
