"""The simulated Vosk client against the real door and the scripted engine."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import pytest

from ruasr_tel.call import CallsConfig
from ruasr_tel.errors import ProtocolError
from ruasr_tel.events import CallEnded, CallStarted, Final
from ruasr_tel.hub import Hub
from ruasr_tel.metrics import Metrics
from ruasr_tel.plugins import Heard, PhoneCall, Server
from ruasr_tel.testing import TIMEOUT_S, Recorder, phrase, running_calls
from ruasr_tel.testing.phone import TAIL_S
from ruasr_tel.types import Samples
from ruasr_tel.websocket import Listener
from ruasr_tel_adapters.vosk_ws import VoskWsConfig, create
from ruasr_tel_adapters.vosk_ws.phone import VoskPhone


class Handset:
    """One call, and what came back of it."""

    def __init__(
        self,
        url: str,
        samples: Samples,
        rate_hz: int = 8000,
        pace: float = 50.0,
        profile: str | None = None,
    ) -> None:
        self.heard: list[Heard] = []
        self.started: list[float] = []
        self.call = PhoneCall(
            url,
            str(uuid4()),
            samples,
            rate_hz,
            pace,
            profile,
            self.heard.append,
            self.started.append,
        )

    async def play(self) -> list[str]:
        """Play the call; return the finals' texts."""
        await asyncio.wait_for(VoskPhone().play(self.call), TIMEOUT_S)
        return [heard.text for heard in self.heard if heard.final and heard.text]


@asynccontextmanager
async def listening(
    publish: Recorder, config: CallsConfig | None = None
) -> AsyncIterator[Listener]:
    async with running_calls(publish=publish, config=config) as calls:
        door = create(VoskWsConfig(port=0), Server(calls, Hub(), Metrics()))
        await door.start()
        try:
            yield door
        finally:
            await door.close()


@pytest.mark.parametrize("rate_hz", [8000, 16000])
async def test_every_sample_arrives_at_its_rate_and_the_text_comes_back(rate_hz: int) -> None:
    events = Recorder()
    async with listening(events) as door:
        samples = phrase((1.0, 1.0), (0.6, 0.013), sample_rate_hz=rate_hz)
        handset = Handset(door.url, samples, rate_hz)
        texts = await handset.play()
        (ended,) = await events.until(CallEnded)
    assert texts == [final.text for final in events.of(Final)]
    assert len(texts) == 2
    assert ended.call_id == handset.call.call_id
    (ledger,) = ended.ledgers.values()
    assert ledger.sample_rate_hz == rate_hz
    assert ledger.received == len(samples) + TAIL_S * rate_hz


async def test_it_hears_when_a_final_ended_and_when_it_came() -> None:
    async with listening(Recorder()) as door:
        handset = Handset(door.url, phrase((1.0, 0.5)))
        await handset.play()
    (began_s,) = handset.started
    (final,) = [heard for heard in handset.heard if heard.final and heard.text]
    assert final.end_s is not None
    assert 0.9 < final.end_s < 1.6
    assert began_s < final.mono_s < began_s + TIMEOUT_S


async def test_messages_are_paced() -> None:
    async with listening(Recorder()) as door:
        handset = Handset(door.url, phrase((0.5, 0.0)), pace=10.0)
        await handset.play()
    took_s = handset.heard[-1].mono_s - handset.started[0]
    assert took_s >= (0.5 + TAIL_S) / 10 - 0.01


async def test_the_profile_travels_in_the_url() -> None:
    events = Recorder()
    async with listening(events) as door:
        await Handset(door.url, phrase((0.5, 0.0)), profile="yesno").play()
    assert [started.profile for started in events.of(CallStarted)] == ["yesno"]


async def test_a_refused_call_tells_the_servers_reason() -> None:
    events = Recorder()
    async with listening(events, CallsConfig(max_calls=1)) as door:
        first = asyncio.create_task(Handset(door.url, phrase((2.0, 0.0)), pace=1.0).play())
        await events.until(CallStarted)
        with pytest.raises(ProtocolError, match="refused the call: 1 calls are running"):
            await Handset(door.url, phrase((0.1, 0.0))).play()
        with pytest.raises(ProtocolError, match="refused the call: there is no profile 'sing'"):
            await Handset(door.url, phrase((0.1, 0.0)), profile="sing").play()
        first.cancel()
        await events.until(CallEnded)


async def test_a_dropped_call_is_told() -> None:
    events = Recorder()
    async with listening(events) as door:
        playing = asyncio.create_task(Handset(door.url, phrase((20.0, 0.0)), pace=1.0).play())
        await events.until(CallStarted)
        await asyncio.wait_for(door.close(), TIMEOUT_S)
        with pytest.raises(ProtocolError, match=r"^the server dropped the call: .*1012"):
            await playing


async def test_nobody_listens() -> None:
    async with listening(Recorder()) as door:
        url = door.url
    with pytest.raises(OSError, match="Connect call failed"):
        await Handset(url, phrase((0.1, 0.0))).play()


async def test_an_address_of_another_kind_is_refused() -> None:
    with pytest.raises(ProtocolError, match="tcp://"):
        await Handset("tcp://127.0.0.1:1", phrase((0.1, 0.0))).play()
