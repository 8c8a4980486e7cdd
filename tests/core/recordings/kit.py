"""Recordings whole, with real store and queues and the scripted engine."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from ruasr_tel.recordings.config import RecordingsConfig
from ruasr_tel.recordings.deliver import WebhookConfig
from ruasr_tel.recordings.fetch import FetchConfig
from ruasr_tel.recordings.jobs import Recordings
from ruasr_tel.recordings.model import Recording
from ruasr_tel.scheduler import EngineHost
from ruasr_tel.store import Store
from ruasr_tel.testing import TIMEOUT_S, phrase
from tests.core.recordings.sounds import bulk_calls, write_wav

LOOPBACK = FetchConfig(allow_cidrs=["127.0.0.0/8"], max_resumes=0)


@contextlib.asynccontextmanager
async def running(
    folder: Path,
    config: RecordingsConfig | None = None,
    *,
    host: EngineHost | None = None,
    webhooks: WebhookConfig | None = None,
    store: Store | None = None,
) -> AsyncIterator[Recordings]:
    """Run recordings on a folder; a second time, they go on."""
    config = (config or RecordingsConfig()).model_copy(update={"dir": folder / "recordings"})
    async with contextlib.AsyncExitStack() as stack:
        if store is None:
            store = Store(f"sqlite:///{folder}/ruasr.db")
            await store.open()
            stack.push_async_callback(store.close)
        calls = await stack.enter_async_context(bulk_calls(host))
        recordings = Recordings(
            config,
            store,
            calls,
            fetching=LOOPBACK,
            webhooks=webhooks or WebhookConfig(first_delay_s=0.01, max_delay_s=0.01),
            models=["scripted"],
        )
        await recordings.start()
        stack.push_async_callback(recordings.close)
        yield recordings


def upload(recordings: Recordings, *parts: tuple[float, float]) -> Path:
    audio = phrase(*(parts or ((1.0, 1.0),)))
    return write_wav(recordings.uploads / "in.tmp", audio)


async def ended(recordings: Recordings, id: str) -> Recording:
    async with asyncio.timeout(2 * TIMEOUT_S):
        async for _number, _event in recordings.follow(id):
            pass
    found = await recordings.get(id)
    assert found is not None
    assert found.state.ended
    return found
