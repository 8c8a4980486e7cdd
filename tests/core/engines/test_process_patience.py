"""How long a decode may take before it counts as hung."""

import numpy as np
import pytest

from ruasr_tel.engines.base import DecodeOptions, EngineSpec
from ruasr_tel.engines.process import EngineProcess, EngineProcessConfig
from ruasr_tel.errors import EngineDied

SECOND = (np.full(8000, 500, np.int16), 8000)
SLOW = EngineSpec("scripted", "slow", options={"delay_s": 0.3})
IMPATIENT = EngineProcessConfig(
    hang_timeout_s=0.1, hang_timeout_per_audio_s=0.0, restart_delay_s=0.01
)


async def test_a_decode_that_nobody_waits_for_may_take_longer() -> None:
    engine = EngineProcess(SLOW, IMPATIENT)
    await engine.start()
    [hypothesis] = await engine.decode([SECOND], DecodeOptions(patient=True))
    assert (hypothesis.text, engine.restarts) == ("слово слово", 0)
    with pytest.raises(EngineDied, match=r"^a decode did not come back within 0\.1 s$"):
        await engine.decode([SECOND])
    await engine.close()
