"""The simulated Asterisk against the real door and the scripted engine."""

from uuid import uuid4

import pytest

from ruasr_tel.errors import ProtocolError
from ruasr_tel.events import CallEnded, CallStarted
from ruasr_tel.plugins import PhoneCall
from ruasr_tel.testing import phrase
from ruasr_tel.testing.phone import TAIL_S
from ruasr_tel_adapters.asterisk_ws.phone import AsteriskPhone
from tests.adapters.asterisk_ws.bench import Bench, bench


async def dial(own: Bench, rate_hz: int, profile: str | None = None) -> str:
    call_id = str(uuid4())
    samples = phrase((0.6, 0.1), sample_rate_hz=rate_hz)
    call = PhoneCall(own.door.url, call_id, samples, rate_hz, 20.0, profile, print, lambda s: None)
    await AsteriskPhone().play(call)
    return call_id


@pytest.mark.parametrize("rate_hz", [8000, 16000, 44100])
async def test_every_sample_arrives_at_its_rate(rate_hz: int) -> None:
    async with bench() as own:
        call_id = await dial(own, rate_hz, "yesno")
        (ended,) = await own.events.until(CallEnded)
        (started,) = own.events.of(CallStarted)
    assert (started.call_id, started.profile, ended.reason) == (call_id, "yesno", "hangup")
    (ledger,) = ended.ledgers.values()
    assert (ledger.sample_rate_hz, ledger.received) == (
        rate_hz,
        len(phrase((0.6, 0.1), sample_rate_hz=rate_hz)) + TAIL_S * rate_hz,
    )


async def test_refusals_are_told() -> None:
    async with bench() as own:
        with pytest.raises(ProtocolError, match="refused the call: there is no profile 'sing'"):
            await dial(own, 8000, "sing")
        with pytest.raises(ProtocolError, match="Asterisk has no slin of 11025 Hz"):
            await dial(own, 11025)
