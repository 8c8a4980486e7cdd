"""A door in front of the real core around a scripted engine, and Asterisk's side by hand."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from ruasr_tel.call import Calls, CallsConfig
from ruasr_tel.hub import Hub
from ruasr_tel.metrics import Metrics
from ruasr_tel.plugins import Server
from ruasr_tel.testing import TIMEOUT_S, Recorder, running_calls
from ruasr_tel_adapters.asterisk_ws import AsteriskWsConfig, create

FRAME_BYTES = {"slin": 320, "slin16": 640, "slin48": 1920, "ulaw": 160, "alaw": 160}


def start(form: str, audio_format: str = "slin", channel_id: str = "1.1", **variables: str) -> str:
    """Return MEDIA_START, plain or JSON."""
    if form == "plain":
        return (
            f"MEDIA_START connection_id:c channel:WebSocket/c/0x1 channel_id:{channel_id} "
            f"format:{audio_format} optimal_frame_size:{FRAME_BYTES[audio_format]} ptime:20"
        )
    return json.dumps(
        {
            "event": "MEDIA_START",
            "connection_id": "c",
            "channel": "WebSocket/c/0x1",
            "channel_id": channel_id,
            "format": audio_format,
            "optimal_frame_size": FRAME_BYTES[audio_format],
            "ptime": 20,
            "channel_variables": variables,
        }
    )


class Bench:
    """A running door."""

    def __init__(self, calls: Calls, events: Recorder, config: AsteriskWsConfig) -> None:
        self.calls = calls
        self.events = events
        self.metrics = Metrics()
        self.door = create(config, Server(calls, Hub(), self.metrics))

    @asynccontextmanager
    async def peer(self, target: str = "/media") -> AsyncIterator[ClientConnection]:
        names = [Subprotocol("media")]
        url = self.door.url + target
        async with connect(url, subprotocols=names, compression=None) as socket:
            yield socket

    def bad(self, kind: str) -> float | None:
        return self.metrics.registry.get_sample_value(
            "ruasr_bad_messages_total", {"door": "asterisk_ws", "kind": kind}
        )


@asynccontextmanager
async def bench(max_calls: int = 10, **settings: Any) -> AsyncIterator[Bench]:
    events = Recorder()
    async with running_calls(config=CallsConfig(max_calls=max_calls), publish=events) as calls:
        made = Bench(calls, events, AsteriskWsConfig(**({"port": 0} | settings)))
        await made.door.start()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                yield made
        finally:
            await made.door.close()
