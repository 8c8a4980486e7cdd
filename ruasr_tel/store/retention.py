"""What is older than the configuration keeps it goes away, a little at a time."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import ColumnElement, and_, delete, false, func, select
from sqlalchemy.exc import SQLAlchemyError

from ruasr_tel.store.config import StoreConfig
from ruasr_tel.store.database import Database, cause
from ruasr_tel.store.recordings import ENDED
from ruasr_tel.store.tables import Base, Call, Delivery, Recording
from ruasr_tel.store.values import Purged

BATCH = 200
"""Calls or recordings of one transaction, so that nobody waits long for the writer's lock."""
LONGEST_CALL = timedelta(days=7)
"""Bound of calls.max_call_s: a call without an end that is older lost its server."""

PROFILE = func.coalesce(Recording.profile, "default")
"""What a recording was listened to with: the default where its order names none."""

_log = structlog.get_logger(__name__)


class RetentionStore(Database):
    """Forgets what is old."""

    async def purge(self, now: datetime, config: StoreConfig) -> Purged:
        """Delete what ended longer ago than its profile is kept.

        A recording that has not ended is kept however old it is.

        Args:
            now: aware UTC.
            config: how long to keep what.
        """
        calls, recordings = 0, []
        for profile in await self._profiles():
            if (old := _old_calls(now, config, profile)) is not None:
                calls += len(await self._delete(Call, Call.pk, old))
            if (old := _old_recordings(now, config, profile)) is not None:
                recordings += await self._delete(Recording, Recording.id, old)
        deliveries = await self._delete(Delivery, Delivery.pk, _old_deliveries(now, config))
        return Purged(calls, tuple(recordings), len(deliveries))

    async def _profiles(self) -> Sequence[str]:
        """Return the profiles of everything that is kept."""
        async with self._reading() as session:
            return (await session.scalars(select(Call.profile).union(select(PROFILE)))).all()

    async def _delete(
        self, table: type[Base], known_as: Any, old: ColumnElement[bool]
    ) -> list[Any]:
        gone: list[Any] = []
        pk = table.__table__.c.pk
        while True:
            async with self._writing() as session:
                some = select(pk).where(old).order_by(pk).limit(BATCH)
                statement = delete(table).where(pk.in_(some)).returning(known_as)
                batch = (await session.scalars(statement)).all()
            gone += batch
            if len(batch) < BATCH:
                return gone


async def keep_purging(
    store: RetentionStore,
    config: StoreConfig,
    forget: Callable[[Sequence[str]], None] = lambda ids: None,
) -> None:
    """Purge now and then every `store.purge_every_h`, until cancelled; a failure is logged.

    Args:
        store: what to purge.
        config: how long to keep what, and how often to look.
        forget: told the ids of recordings that are gone, in a thread, to delete their files.
    """
    while True:
        try:
            gone = await _uninterrupted(store.purge(store.now(), config))
            await asyncio.to_thread(forget, gone.recordings)
        except (SQLAlchemyError, OSError, TimeoutError) as error:
            _log.error("history was not purged", error=cause(error))
        else:
            _log.info(
                "old history purged",
                calls=gone.calls,
                recordings=len(gone.recordings),
                deliveries=gone.deliveries,
            )
        await asyncio.sleep(config.purge_every_h * 3600)


async def _uninterrupted(work: Coroutine[Any, Any, Purged]) -> Purged:
    """Return what comes of it; a cancellation waits, for it would break a connection in use."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _old_calls(now: datetime, config: StoreConfig, profile: str) -> ColumnElement[bool] | None:
    keep = config.keep(profile)
    if keep is None:
        return None
    lost = Call.ended_at.is_(None) & (Call.started_at < now - keep - LONGEST_CALL)
    return (Call.profile == profile) & (lost | (Call.ended_at < now - keep))


def _old_recordings(now: datetime, config: StoreConfig, profile: str) -> ColumnElement[bool] | None:
    keep = config.keep(profile)
    if keep is None:
        return None
    return and_(
        PROFILE.in_([profile]),
        Recording.state.in_([state.value for state in ENDED]),
        Recording.updated_at < now - keep,
    )


def _old_deliveries(now: datetime, config: StoreConfig) -> ColumnElement[bool]:
    """Return which of the deliveries that belong to no recording are old: those about calls."""
    if config.keep_days is None:
        return false()
    limit = now - timedelta(days=config.keep_days)
    return Delivery.recording_pk.is_(None) & (Delivery.at < limit)
