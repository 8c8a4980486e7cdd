"""A door in front of a fake Asterisk, and audio to send to it."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from ruasr_tel.call import Calls, CallsConfig
from ruasr_tel.hub import Hub
from ruasr_tel.metrics import Metrics
from ruasr_tel.plugins import Server
from ruasr_tel.scheduler import EngineHost
from ruasr_tel.testing.audio import phrase
from ruasr_tel.testing.calls import TIMEOUT_S, Recorder, running_calls, scripted_host
from ruasr_tel.types import Samples
from ruasr_tel_adapters.ari import AriConfig, AriDoor, create
from ruasr_tel_adapters.ari.rtp.wire import Packet, encode_payload
from tests.adapters.ari.fake_ari import FakeAri, fake_ari

CHANNEL = "1795346040.1"
SECOND = phrase((0.6, 1.0))


@dataclass
class House:
    """A door, its Asterisk, and what came of its calls."""

    door: AriDoor
    pbx: FakeAri
    heard: Recorder
    calls: Calls
    registry: CollectorRegistry
    forward: Callable[[float], None]

    def counted(self, name: str, **labels: str) -> float:
        """Return a metric's sum over all labels that are not named."""
        return sum(
            sample.value
            for metric in self.registry.collect()
            for sample in metric.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    async def until_counted(self, name: str, wanted: float, **labels: str) -> None:
        """Wait until a metric has reached a value."""
        async with asyncio.timeout(TIMEOUT_S):
            while self.counted(name, **labels) < wanted:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.001)


@asynccontextmanager
async def house(
    limit: int = 500,
    max_call_s: float = 14_400,
    host: EngineHost | None = None,
    **options: object,
) -> AsyncIterator[House]:
    heard, metrics = Recorder(), Metrics()
    ahead_s = [0.0]

    def mono() -> float:
        return time.monotonic() + ahead_s[0]

    def forward(seconds: float) -> None:
        ahead_s[0] += seconds

    limits = CallsConfig(max_calls=limit, max_call_s=max_call_s)
    async with (
        fake_ari() as pbx,
        running_calls(
            host or scripted_host(), publish=heard, config=limits, metrics=metrics, mono=mono
        ) as calls,
    ):
        pbx.rtp_source = ("127.0.0.1", 1) if options.pop("strict", False) else None
        settings = {"url": pbx.url, "password": "secret", "format": "slin", "reconnect_s": 0.01}
        config = AriConfig.model_validate(settings | options)
        door = create(config, Server(calls, Hub(), metrics))
        await door.start()
        try:
            await door.connected.wait()
            yield House(door, pbx, heard, calls, metrics.registry, forward)
        finally:
            await door.close()


def rtp(samples: Samples, to: str, numbers: Sequence[int] = ()) -> None:
    """Send audio in packets of 20 ms, all at once: every one, or these in their order."""
    host, port = to.split(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in numbers or range(len(samples) // 160):
            at = 160 * number
            payload = encode_payload(samples[at : at + 160], "slin")
            sender.sendto(bytes(Packet(10, number, at, 7, payload)), (host, int(port)))


async def bridged(pbx: FakeAri, count: int = 2) -> None:
    await pbx.until(lambda: [len(members) for members in pbx.bridges.values()] == [2] * count)


def left(pbx: FakeAri) -> list[str]:
    """Return what of ours is still in Asterisk."""
    return [each for each in (*pbx.channels, *pbx.bridges) if each.startswith("ruasr.")]


def snoop(at: House, spy: str) -> str:
    return next(each for each in at.pbx.channels if each.startswith(f"ruasr.ruasr.snoop.{spy}."))
