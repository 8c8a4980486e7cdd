"""A leg holds what its longest segment needs, however long the call is."""

import asyncio
import tracemalloc

import pytest

from ruasr_tel.events import CallEnded, Final
from ruasr_tel.partials import PartialsConfig
from ruasr_tel.profile import Profile
from ruasr_tel.testing import TIMEOUT_S, Recorder, running_calls, silence, tone
from ruasr_tel.types import CallId, Samples

MINUTES = 10
HELD_MB = 4.0
"""Measured: 1.6 with speech, 1.2 without. The whole call would be 10 MB, 19 for the detector."""


@pytest.mark.parametrize("second", [tone(1.0), silence(1.0)], ids=["speech", "silence"])
async def test_ten_minutes_pushed_at_once_are_not_held(second: Samples) -> None:
    recorder = Recorder()
    profile = Profile(partials=PartialsConfig(enabled=False))
    async with running_calls(profiles={"default": profile}) as calls:
        call = calls.open(door="test", call_id=CallId("long"), peer="", on_event=recorder)
        leg = call.open_leg(8000)
        tracemalloc.start()
        try:
            for _ in range(MINUTES * 60):
                leg.push(second)
                async with asyncio.timeout(TIMEOUT_S):
                    await leg.backlog_below(10.0)
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        await asyncio.wait_for(call.end("eof"), TIMEOUT_S)
    (ledger,) = recorder.of(CallEnded)[0].ledgers.values()
    assert (ledger.received, ledger.difference) == (MINUTES * 60 * 8000, 0)
    assert all(final.end_s - final.start_s <= 15.0 for final in recorder.of(Final))
    assert peak_bytes < HELD_MB * 1e6
