"""Recordings as jobs: accepted, worked off, delivered; kill -9 at any moment loses none.

A recording is accepted when the store has its order. The queues are told after that, and what they
were not told is found at the next start. Stages are checkpointed by DBOS (durable.py), what they
make lies in files and in the store, and a state that has ended never changes.
"""

import asyncio
import contextlib
import socket
import time
import uuid
from collections.abc import AsyncGenerator, Collection, Iterable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import structlog

from ruasr_tel.call import Calls
from ruasr_tel.errors import ConfigError, Overloaded
from ruasr_tel.recordings.call_news import CallNews
from ruasr_tel.recordings.config import RecordingsConfig
from ruasr_tel.recordings.deliver import WebhookConfig
from ruasr_tel.recordings.dialogue import DialogueConfig
from ruasr_tel.recordings.durable import RESUMES, Durable, Errand, Fate, GiveUp, Kind, Stage
from ruasr_tel.recordings.fetch import FetchConfig
from ruasr_tel.recordings.files import Files
from ruasr_tel.recordings.handover import Handover, lane
from ruasr_tel.recordings.model import Order, Recording, State
from ruasr_tel.recordings.stages import Stages
from ruasr_tel.recordings.states import WORKED_ON, States
from ruasr_tel.store import Page, Store

RECORDING, BY_URL, DELIVERY, NEWS = "recording", "recording_by_url", "delivery", "news"
"""Kinds of errands: a recording that is here, one to be fetched from its host's lane, a result to
deliver, an event of a live call to deliver."""
RECORDING_POLL_S, REMOTE_POLL_S, NEWS_POLL_S = 0.4, 1.0, 0.5
"""How often their queues look for work: a short recording is over within a second, fetching and
delivering wait for others anyway, news of a call are read while it lasts. A look costs 3 to 5 ms,
those of an idle server some 3 % of a core; every 0.2 s in three queues it was 5 %."""
DELIVERY_TROUBLES = 100
"""Try of a delivery from which an error of ours ends it; one a day needs some forty."""
KEEP_TRACES_S = 7 * 86_400.0
"""For how long the queues remember what has ended; the store remembers longer."""
ORPHAN_S = 86_400.0
"""Age from which files without a recording are deleted: an upload of the largest file takes less,
and until it is whole the store does not know it."""
SWEEP_S = 3600.0
"""How often queues forget, and such files are looked for."""

_log = structlog.get_logger(__name__)


class Recordings:
    """Takes orders and works them off.

    Args:
        config: limits.
        store: open; keeps order, state, result.
        calls: of priority BULK with `bulk_profiles`, not started.
        fetching: limits of fetching, and where connections may go.
        webhooks: limits of deliveries.
        dialogue: how turns are told apart.
        models: names under which the server's model may be ordered; None takes any.
    """

    def __init__(
        self,
        config: RecordingsConfig,
        store: Store,
        calls: Calls,
        *,
        fetching: FetchConfig | None = None,
        webhooks: WebhookConfig | None = None,
        dialogue: DialogueConfig | None = None,
        models: Collection[str] | None = None,
    ) -> None:
        fetching = fetching or FetchConfig()
        self.config = config
        self._store = store
        self._calls = calls
        self._models = models
        self._files = Files(config.folder())
        self._states = States(store)
        self._stages = Stages(
            config,
            fetching,
            dialogue or DialogueConfig(),
            store,
            self._states,
            self._files,
            calls,
            self._hand_over,
        )
        receivers = (webhooks or WebhookConfig(), fetching.address_rules(), store)
        self._handover = Handover(*receivers, self._states)
        self.news = CallNews(NEWS, self._enqueue, *receivers)
        """Takes events of live calls and delivers them to who asked for it."""
        self._durable = Durable(
            config.database_url(),
            config.machine or f"{socket.gethostname()}:{config.folder()}",
            self._kinds(),
        )
        self._sweeper: asyncio.Task[None] | None = None
        self._stack = AsyncExitStack()

    def _kinds(self) -> dict[str, Kind]:
        config = self.config
        per_lane = min(config.deliveries_per_host, config.deliveries)

        def sending(stage: Stage, give_up: GiveUp, poll_s: float) -> Kind:
            return Kind(
                {"deliver": stage},
                config.deliveries,
                give_up,
                DELIVERY_TROUBLES,
                poll_s,
                per_lane=per_lane,
            )

        recording = Kind(
            self._stages.by_name,
            config.concurrency,
            self._stages.fail,
            poll_s=RECORDING_POLL_S,
            per_minute=config.per_minute,
        )
        per_host = min(config.concurrency, config.fetches)
        return {
            RECORDING: recording,
            BY_URL: replace(
                recording, concurrency=config.fetches, per_lane=per_host, poll_s=REMOTE_POLL_S
            ),
            DELIVERY: sending(self._handover.deliver, self._handover.give_up, REMOTE_POLL_S),
            NEWS: sending(self.news.deliver, self.news.give_up, NEWS_POLL_S),
        }

    @property
    def uploads(self) -> Path:
        """The folder in which a door puts an upload before it submits the order."""
        return self._files.uploads

    async def start(self) -> None:
        """Take up what was not finished, and begin to work.

        Raises:
            ConfigError: the folder or the database of the queues cannot be used.
        """
        machine = self.config.machine or socket.gethostname()
        await asyncio.to_thread(self._files.open, machine)
        self._stack.callback(self._files.close)
        try:
            await self._durable.start()
        except ConfigError:
            await self._stack.aclose()
            raise
        self._stack.push_async_callback(self._durable.close)
        await self._take_up()
        await self._drop_orphans()
        self._sweeper = asyncio.create_task(self._sweep(), name="recordings sweep")

    async def close(self) -> None:
        """Stop; what is not finished goes on after the next start."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeper
        await self.news.close()
        await self._stack.aclose()

    async def submit(self, order: Order) -> tuple[Recording, bool]:
        """Accept an order; once this returns, it is not lost.

        An upload is taken from where it is. If the order's idempotency key is known, nothing new
        comes to be, and the upload goes.

        Returns:
            The recording, and whether it is new.

        Raises:
            ConfigError: unknown profile, or a model that this server does not have.
            Overloaded: too many wait.
            ValueError: neither a URL nor an upload, or both.
        """
        if (order.url is None) == (order.upload is None):
            raise ValueError("an order has a URL or an upload")
        self._calls.profile(order.profile)
        if order.model is not None and self._models is not None and order.model not in self._models:
            raise ConfigError(
                f"this server has no model {order.model!r}; it has {', '.join(self._models)}"
            )
        if (first := await self._ordered(order)) is not None:
            return first, False
        if (open := len(self._states.worked_on)) >= self.config.max_waiting:
            raise Overloaded(f"{open} recordings wait or run, the limit (recordings.max_waiting)")
        id = str(uuid.uuid4())
        recording, created = await self._add(id, order)
        if not created:
            await asyncio.to_thread(self._files.forget, [id])
            return recording, False
        self._states.worked_on.add(id)
        kind, where = _queue(order)
        await self._durable.enqueue(Errand(kind, id, 1, time.time(), where))
        return recording, True

    async def get(self, id: str, *, with_result: bool = True) -> Recording | None:
        """Return a recording, or None.

        Args:
            id: which.
            with_result: whether its result is read, too; that of hours takes a while.
        """
        return await self._store.recording(id, with_result=with_result)

    async def list(
        self,
        *,
        state: State | None = None,
        since: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
        text: str | None = None,
    ) -> Page[Recording]:
        """Return a page of recordings without their results, the newest first.

        Raises:
            BadCursor: no page gave that cursor.
            ValueError: the limit is out of bounds.
        """
        return await self._store.recordings(
            state=state, since=since, limit=limit, cursor=cursor, text=text
        )

    async def cancel(self, id: str) -> bool:
        """End a recording now; return False if it had ended or is not known."""
        cancelled = await self._states.cancel(id)
        if cancelled:
            self._stages.interrupt(id)
        return cancelled

    async def wait(self, id: str, seconds: float) -> Recording:
        """Return a recording when it has ended or has a result, or as it is after that long.

        Raises:
            KeyError: it is not known.
        """
        recording = await self._states.wait(id, seconds)
        if recording is None:
            raise KeyError(id)
        return recording

    def follow(
        self, id: str, after: int = -1
    ) -> AsyncGenerator[tuple[int, dict[str, object]], None]:
        """Yield numbered states of a recording, the present one first, to its end.

        Args:
            id: the recording; one that is not known has none.
            after: number of the last one already seen, also before a restart; -1 for none.
        """
        return self._states.follow(id, after)

    def audio(self, id: str) -> Path | None:
        """Return the file of a recording, or None if it is not here (any more)."""
        return self._files.audio(id)

    def forget(self, ids: Iterable[str]) -> None:
        """Delete the files of recordings that the store has purged."""
        self._files.forget(ids)

    async def queued(self) -> dict[str, int]:
        """Return how many errands of each kind wait or run: `recording`, `delivery`, `news`."""
        waiting = await self._durable.waiting()
        waiting[RECORDING] += waiting.pop(BY_URL)
        return waiting

    async def _ordered(self, order: Order) -> Recording | None:
        """Return what came of the idempotency key before; the upload goes then."""
        if order.idempotency_key is None:
            return None
        id = await self._store.ordered(order.idempotency_key)
        if id is None:
            return None
        if order.upload is not None:
            order.upload.unlink(missing_ok=True)
        return await self._store.recording(id)

    async def _add(self, id: str, order: Order) -> tuple[Recording, bool]:
        """Keep an order and its upload, or neither."""
        if order.upload is not None:
            audio = await asyncio.to_thread(self._files.adopt, id, order.upload, order.name)
            order = replace(order, upload=audio)
        try:
            return await self._store.add_recording(id, order, self._store.now())
        except Exception:  # not a cancellation, after which the store may have it all the same
            await asyncio.to_thread(self._files.forget, [id])
            raise

    async def _enqueue(self, errand: Errand) -> None:
        await self._durable.enqueue(errand)

    async def _hand_over(self, recording: Recording) -> None:
        url = recording.order.callback_url
        assert url is not None
        await self._durable.enqueue(Errand(DELIVERY, recording.id, 1, time.time(), lane(url)))

    async def _take_up(self) -> None:
        """Enqueue what was accepted and is in no queue: the server died in between."""
        active = await self._durable.active()
        for state in (*WORKED_ON, State.DELIVERING):
            async for recording in self._all(state):
                if state is not State.DELIVERING:
                    self._states.worked_on.add(recording.id)
                if not {(kind, recording.id) for kind in (RECORDING, BY_URL, DELIVERY)} & active:
                    await self._revive(recording)

    async def _drop_orphans(self) -> None:
        """Delete the files of recordings that the store does not know: a purge or an order died."""
        ids = await asyncio.to_thread(self._files.orphans, ORPHAN_S)
        gone = set(ids) - await self._store.known(ids)
        await asyncio.to_thread(self._files.forget, gone)
        if gone:
            _log.warning("files of recordings that nobody knows are deleted", folders=len(gone))

    async def _all(self, state: State) -> AsyncGenerator[Recording, None]:
        cursor: str | None = None
        while True:
            page = await self._store.recordings(state=state, limit=1000, cursor=cursor)
            for recording in page.items:
                yield recording
            cursor = page.next_cursor
            if cursor is None:
                return

    async def _revive(self, recording: Recording) -> None:
        url = recording.order.callback_url
        kind, where = _queue(recording.order)
        if recording.state is State.DELIVERING and url is not None:
            kind, where = DELIVERY, lane(url)
        attempt, fate = await self._durable.last(kind, recording.id)
        errand = Errand(kind, recording.id, attempt + 1, time.time(), where)
        if fate is Fate.ACTIVE:
            return
        if fate is Fate.KILLED and kind != DELIVERY:
            reason = f"the server ended {RESUMES} times while it worked on this recording"
            await self._stages.fail(errand, reason)
            return
        await self._durable.enqueue(errand)
        _log.warning("recording was in no queue, taken up", recording=recording.id, queue=kind)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            try:
                await self._durable.forget(time.time() - KEEP_TRACES_S)
                await self._take_up()
                await self._drop_orphans()
            except Exception:  # noqa: BLE001 - whatever the database says, there is a next time
                _log.exception("jobs were not looked after")


def _queue(order: Order) -> tuple[str, str | None]:
    """Return the kind of an order's errand, and its lane."""
    return (RECORDING, None) if order.url is None else (BY_URL, lane(order.url))
