"""The simulated Asterisk against the real door and the scripted engine."""

import asyncio
from uuid import uuid4

import pytest

from ruasr_tel.errors import ProtocolError
from ruasr_tel.events import CallEnded, CallStarted, Final
from ruasr_tel.hub import Hub
from ruasr_tel.metrics import Metrics
from ruasr_tel.plugins import Heard, PhoneCall
from ruasr_tel.plugins import Server as Host
from ruasr_tel.testing import TIMEOUT_S, Recorder, phrase, running_calls
from ruasr_tel.testing.phone import TAIL_S
from ruasr_tel_adapters.aeap import AeapConfig, create
from ruasr_tel_adapters.aeap.phone import AeapPhone


async def dial(profile: str | None, rate_hz: int) -> tuple[Recorder, list[Heard], str]:
    """Play two phrases into a door; return the events, what was heard, and the call's id."""
    events, heard, call_id = Recorder(), list[Heard](), str(uuid4())
    samples = phrase((1.0, 1.0), (0.6, 0.0), sample_rate_hz=rate_hz)
    async with running_calls(publish=events) as calls, asyncio.timeout(TIMEOUT_S):
        door = create(AeapConfig(port=0), Host(calls, Hub(), Metrics()))
        await door.start()
        call = PhoneCall(
            door.url, call_id, samples, rate_hz, 20.0, profile, heard.append, lambda started: None
        )
        try:
            await AeapPhone().play(call)
        finally:
            await door.close()
        (ended,) = await events.until(CallEnded)
    (ledger,) = ended.ledgers.values()
    assert ledger.received == len(samples) + TAIL_S * rate_hz
    return events, heard, call_id


@pytest.mark.parametrize("rate_hz", [8000, 16000])
async def test_results_come_back(rate_hz: int) -> None:
    events, heard, call_id = await dial("yesno", rate_hz)
    assert [each.text for each in heard] == [final.text for final in events.of(Final)]
    (started,) = events.of(CallStarted)
    assert (started.call_id, started.profile) == (call_id, "yesno")


async def test_a_refused_call_tells_the_servers_reason() -> None:
    with pytest.raises(ProtocolError, match="refused the call: profile: there is no profile"):
        await dial("sing", 8000)
