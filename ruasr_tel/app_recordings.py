"""The part of the composition root that remembers: history, and recordings as jobs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import structlog

from ruasr_tel.call import Calls, CallsConfig
from ruasr_tel.config import Config
from ruasr_tel.errors import ConfigError
from ruasr_tel.metrics import Metrics
from ruasr_tel.profile import Profile
from ruasr_tel.recognisers import Recognisers
from ruasr_tel.recordings.jobs import Recordings
from ruasr_tel.recordings.watch import Watch
from ruasr_tel.scheduler import Priority
from ruasr_tel.sinks import Sink
from ruasr_tel.store import HistorySink, Store, keep_purging
from ruasr_tel.vad import VadBatcher

PATIENCE_S = 600.0
"""Longest wait of a recording for the engine, before it is tried again: live calls come first."""
MANY = 100_000
"""Recordings at once are limited by recordings.concurrency, not as calls are."""

_log = structlog.get_logger(__name__)


@asynccontextmanager
async def history(
    config: Config, metrics: Metrics
) -> AsyncIterator[tuple[Store | None, list[Sink]]]:
    """Keep the store open, if it is switched on; give it and the sink that writes live calls.

    Raises:
        ConfigError: recordings are switched on without it, or another server has its file.
        StoreError: the database cannot be opened.
    """
    if not config.store.enabled:
        if config.recordings.enabled:
            raise ConfigError(
                "recordings need the store: set store.enabled to true or recordings.enabled to "
                "false"
            )
        yield None, []
        return
    url = config.store.address()
    store = Store(url)
    await store.open(alone=True)
    try:
        _log.info("history open", url=store.shown_url)
        yield store, [HistorySink(Store(url), tell_lost=metrics.history_lost.inc)]
    finally:
        await store.close()


@dataclass(frozen=True, slots=True)
class Ears:
    """What recordings are recognised with; shared with the live calls, which come first."""

    recognisers: Recognisers
    batcher: VadBatcher
    profiles: dict[str, Profile]


@asynccontextmanager
async def jobs(
    config: Config, store: Store | None, ears: Ears, metrics: Metrics
) -> AsyncIterator[Recordings | None]:
    """Work recordings off, watch the folder, and purge what is old, while the context lasts.

    Raises:
        ConfigError: a folder or the database of the queues cannot be used.
    """
    if store is None:
        yield None
        return
    lost = await store.end_lost()
    if lost:
        _log.warning("calls of a server that was killed have ended", calls=len(lost))
    async with AsyncExitStack() as stack:
        recordings: Recordings | None = None
        if config.recordings.enabled:
            calls = _bulk_calls(ears, metrics)
            stack.push_async_callback(calls.close)
            recordings = _recordings(config, store, ears, calls)
            await recordings.start()
            stack.push_async_callback(recordings.close)
            for call in lost:
                recordings.news.tell_lost(call)
            if config.watch.folder is not None:
                watch = Watch(config.watch, recordings)
                await watch.start()
                stack.push_async_callback(watch.close)
        forget = _ignore if recordings is None else recordings.forget
        purging = asyncio.create_task(keep_purging(store, config.store, forget), name="purge")
        stack.push_async_callback(_stop, purging)
        yield recordings


def _bulk_calls(ears: Ears, metrics: Metrics) -> Calls:
    limits = CallsConfig(
        max_calls=MANY, max_wait_s=PATIENCE_S, finish_timeout_s=PATIENCE_S, max_call_s=604_800
    )
    return Calls(
        limits,
        ears.profiles,
        ears.recognisers,
        ears.batcher,
        _ignore,  # recordings have a history of their own
        metrics,
        priority=Priority.BULK,
    )


def _recordings(config: Config, store: Store, ears: Ears, calls: Calls) -> Recordings:
    return Recordings(
        config.recordings,
        store,
        calls,
        fetching=config.fetch,
        webhooks=config.webhooks,
        dialogue=config.dialogue,
        models=ears.recognisers,
    )


def _ignore(_told: object) -> None:
    pass


async def _stop(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
