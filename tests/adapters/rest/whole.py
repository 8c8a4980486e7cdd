"""The door before the real store, the real jobs and a scripted engine."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from ruasr_tel.call import Calls
from ruasr_tel.events import Event
from ruasr_tel.hub import Hub
from ruasr_tel.metrics import Metrics
from ruasr_tel.plugins import Server
from ruasr_tel.recordings.config import RecordingsConfig
from ruasr_tel.recordings.deliver import WebhookConfig
from ruasr_tel.recordings.fetch import FetchConfig
from ruasr_tel.recordings.jobs import Recordings
from ruasr_tel.store import Store
from ruasr_tel.testing import TIMEOUT_S, phrase, running_calls, silence
from ruasr_tel_adapters.rest import RestConfig, RestDoor
from tests.core.recordings.sounds import bulk_calls, write_wav


@dataclass
class Whole:
    """A client of a server that has everything but doors besides this one."""

    client: aiohttp.ClientSession
    folder: Path
    store: Store
    recordings: Recordings
    bulk: Calls
    events: list[Event]

    async def json(self, method: str, path: str, status: int = 200, **request: Any) -> Any:
        async with self.client.request(method, path, **request) as response:
            body = json.loads(await response.text())
            assert response.status == status, body
            return body

    def recording(self, field: str = "upload") -> aiohttp.FormData:
        """Return a form with two parties who speak in turn."""
        left, right = phrase((1.0, 3.0)), phrase((0.1, 2.0), (1.0, 0.9))
        right[:16_800] = silence(2.1)
        path = write_wav(self.folder / "a.wav", left, right)
        form = aiohttp.FormData()
        form.add_field(field, path.read_bytes(), filename="вчера.wav")
        return form


@asynccontextmanager
async def whole_server(
    folder: Path,
    config: RecordingsConfig | None = None,
    fetching: FetchConfig | None = None,
    webhooks: WebhookConfig | None = None,
) -> AsyncIterator[Whole]:
    """Run it; the arguments are what the configuration would say."""
    async with AsyncExitStack() as stack:
        store = Store(f"sqlite:///{folder}/ruasr.db")
        await store.open()
        stack.push_async_callback(store.close)
        config = (config or RecordingsConfig()).model_copy(update={"dir": folder / "recordings"})
        bulk = await stack.enter_async_context(bulk_calls())
        recordings = Recordings(
            config, store, bulk, fetching=fetching, webhooks=webhooks, models=["scripted"]
        )
        await recordings.start()
        stack.push_async_callback(recordings.close)
        hub = Hub()
        written: list[Event] = []

        def publish(event: Event) -> None:
            hub.publish(event)
            written.append(event)

        calls = await stack.enter_async_context(running_calls(publish=publish))
        door = RestDoor(RestConfig(port=0), Server(calls, hub, Metrics(), store, recordings))
        await door.start()
        stack.push_async_callback(door.close)
        timeout = aiohttp.ClientTimeout(total=3 * TIMEOUT_S)
        client = aiohttp.ClientSession(door.url, timeout=timeout)
        await stack.enter_async_context(client)
        yield Whole(client, folder, store, recordings, bulk, written)
