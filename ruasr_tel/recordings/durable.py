"""Work that survives kill -9: stages of an errand, each done at least once. All we know of DBOS.

An errand is one try of one kind of work for one thing: `recording` no. 2 for recording X. Its
stages run in order, in the server's event loop; each is checkpointed when it ends, and after a
restart the errand goes on with the stage that had not ended. A try that must wait (the host is
down) ends, and the next one is put into the queue with a delay, so that waiting occupies nobody.

DBOS 3.4 runs its workflows in an event loop and threads of its own, because it was started from a
thread without a loop: in ours it would replace the default executor, and shut it down at the end
(`DBOS._configure_asyncio_thread_pool`). Stages are handed over to our loop and back.
"""

import asyncio
import contextvars
import functools
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import structlog
from dbos import (
    DBOS,
    DBOSConfig,
    DBOSPortableJSONSerializer,
    SetEnqueueOptions,
    SetWorkflowID,
)
from dbos._queue import QueueRateLimit  # the type of a public argument, not exported itself
from sqlalchemy.engine import make_url

from ruasr_tel.errors import ConfigError
from ruasr_tel.store.sqlite_file import make_file

T = TypeVar("T")

SHAPE = "1"
"""Version of the stages below. DBOS resumes errands of its own version only and would take a hash
of the source for it; ours are idempotent, so any later server may go on with them."""
RESUMES = 20
"""A try that a dying server took along this often is not resumed any more: the recording may be
what kills it. Our choice: 50 times kill -9 in four minutes met one try 7 times at most."""
THREADS = 16
"""For the database alone; a stage in our loop holds none."""

_log = structlog.get_logger(__name__)
_dbos_log = logging.getLogger("dbos")


@dataclass(frozen=True, slots=True)
class Errand:
    """One try.

    Attributes:
        kind: names its stages and its queue.
        id: what it is for.
        attempt: 1 for the first try.
        since_s: when the first try was asked for, Unix seconds.
        lane: what it must not hold up others with (a receiver's host), where its kind has lanes.
        note: what its stages need and nobody else keeps.
        failed: how often each stage failed in the tries before, by its name.
    """

    kind: str
    id: str
    attempt: int
    since_s: float
    lane: str | None = None
    note: str | None = None
    failed: Mapping[str, int] = field(default_factory=dict)

    def tries(self, stage: str) -> int:
        """Return which try of a stage this is, 1 for the first."""
        return self.failed.get(stage, 0) + 1

    @property
    def key(self) -> str:
        """The name under which DBOS knows it: a second errand of that name is the first one."""
        return f"{self.kind}:{self.id}:{self.attempt}"


@dataclass(frozen=True, slots=True)
class Again:
    """What a stage returns to be tried again, from the first stage on.

    Attributes:
        after_s: seconds to wait.
        failed: whether that was a try of this stage; it was none where there was no room for it.
    """

    after_s: float
    failed: bool = True


class Outcome(StrEnum):
    """What a stage returns otherwise."""

    NEXT = "next"
    """The next stage, please."""
    OVER = "over"
    """Nothing more is to be done."""


Stage: TypeAlias = Callable[[Errand], Awaitable[Outcome | Again]]
"""Does its part, at least once; a second time must change nothing. What it raises is logged, and
the errand tried again."""

GiveUp: TypeAlias = Callable[[Errand, str], Awaitable[None]]
"""Ends an errand of which nothing will come, given the reason."""

TROUBLE_S, TROUBLE_MAX_S = 10.0, 3600.0
"""First wait after a stage raised (the database is locked, the disk full), and the longest; each is
twice the one before."""


class Fate(StrEnum):
    """What DBOS knows of the tries of one thing."""

    UNKNOWN = "unknown"
    ACTIVE = "active"
    ENDED = "ended"
    KILLED = "killed"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of work and its queue.

    Attributes:
        stages: by name, in order.
        concurrency: errands at once in this process.
        poll_s: how often its queue looks for work, which costs 3 to 5 ms of a core each time
            (measured: three queues at 0.2 s each, 5 % of a core). DBOS' own default is 1 s.
        per_minute: errands that may begin in any minute, or None.
        per_lane: errands of one lane at once; every errand then needs a lane. None: no lanes.
        give_up: told why when a stage raised in its try number `attempts` or later.
        attempts: that; 10 are an hour and a half.
    """

    stages: Mapping[str, Stage]
    concurrency: int
    give_up: GiveUp
    attempts: int = 10
    poll_s: float = 0.2
    per_minute: int | None = None
    per_lane: int | None = None


class Durable:
    """Runs errands; one per process, for DBOS is.

    Args:
        url: database of the queues: `sqlite:////FILE` or `postgresql://…`.
        machine: this server among those that share the database; the same after a restart.
        kinds: by name.
    """

    def __init__(self, url: str, machine: str, kinds: Mapping[str, Kind]) -> None:
        self._url = url
        self._machine = machine
        self._kinds = kinds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="durable")
        self._workflows: dict[str, Callable[..., Coroutine[Any, Any, None]]] = {}

    async def start(self) -> None:
        """Take up what was not finished, and begin to work.

        Raises:
            ConfigError: the database cannot be used.
        """
        self._loop = asyncio.get_running_loop()
        try:
            await self._in_thread(self._launch)
        except Exception as error:
            await self.close()
            where = make_url(self._url).render_as_string(hide_password=True)
            raise ConfigError(f"recordings.database {where} cannot be used: {error}") from error

    async def close(self) -> None:
        """Stop; stages that run are cancelled and done again after the next start."""
        _dbos_log.setLevel(logging.ERROR)  # it warns of every task that we have it cancel
        await self._in_thread(functools.partial(DBOS.destroy, destroy_registry=True))
        self._threads.shutdown(wait=False)

    async def enqueue(self, errand: Errand, after_s: float = 0.0) -> None:
        """Put an errand into its queue, unless it ever was there."""
        await self._in_thread(self._enqueue, errand, after_s)

    async def active(self) -> frozenset[tuple[str, str]]:
        """Return kind and id of everything that waits or runs."""
        return await self._in_thread(self._active)

    async def last(self, kind: str, id: str) -> tuple[int, Fate]:
        """Return the number of the last try, 0 for none, and what became of it."""
        return await self._in_thread(self._last, kind, id)

    async def waiting(self) -> dict[str, int]:
        """Return how many errands of each kind wait or run."""
        active = await self.active()
        return {kind: sum(each[0] == kind for each in active) for kind in self._kinds}

    async def forget(self, before_s: float) -> int:
        """Delete the traces of errands that ended before a Unix time; return how many."""
        return await self._in_thread(self._forget, before_s)

    # In a thread

    def _launch(self) -> None:
        _send_logs_our_way()
        url = make_url(self._url)
        if url.get_backend_name() == "sqlite" and url.database:
            make_file(Path(url.database))
        config: DBOSConfig = {
            "name": "ruasr-tel",
            "system_database_url": self._url,
            "application_version": SHAPE,
            "executor_id": self._machine,
            "serializer": DBOSPortableJSONSerializer(),  # a pickle from a database is code
            "log_level": "WARNING",
            "max_executor_threads": THREADS,
        }
        DBOS(config=config)
        for name in self._kinds:
            self._workflows[name] = self._register(name)
        DBOS.launch()
        for name, kind in self._kinds.items():
            rate: QueueRateLimit | None = None
            if kind.per_minute is not None:
                rate = {"limit": kind.per_minute, "period": 60.0}
            DBOS.register_queue(
                name,
                worker_concurrency=kind.concurrency,
                limiter=rate,
                partition_worker_concurrency=kind.per_lane,
                polling_interval_sec=kind.poll_s,
                on_conflict="always_update",
            )

    def _register(self, kind: str) -> Callable[..., Coroutine[Any, Any, None]]:
        async def errand(
            id: str,
            attempt: int,
            since_s: float,
            lane: str | None,
            note: str | None,
            failed: dict[str, int] | None = None,  # which errands of older servers do not have
        ) -> None:
            this = Errand(kind, id, attempt, since_s, lane, note, failed or {})
            for name in self._kinds[kind].stages:
                said = await DBOS.run_step_async({"name": name}, self._stage, name, this)
                if said == Outcome.OVER:
                    return
                if said != Outcome.NEXT:
                    await DBOS.run_step_async({"name": "again"}, self._again, this, said)
                    return

        return DBOS.workflow(name=kind, max_recovery_attempts=RESUMES)(errand)

    def _enqueue(self, errand: Errand, after_s: float) -> None:
        delay_s = after_s if after_s > 0 else None
        options = SetEnqueueOptions(delay_seconds=delay_s, queue_partition_key=errand.lane)
        with SetWorkflowID(errand.key), options:
            DBOS.enqueue_workflow(
                errand.kind,
                self._workflows[errand.kind],
                errand.id,
                errand.attempt,
                errand.since_s,
                errand.lane,
                errand.note,
                dict(errand.failed),
            )

    def _active(self) -> frozenset[tuple[str, str]]:
        found = DBOS.list_workflows(
            status=["ENQUEUED", "DELAYED", "PENDING"], load_input=False, load_output=False
        )
        keys = (_parts(each.workflow_id) for each in found)
        return frozenset((kind, id) for kind, id, _ in keys)

    def _last(self, kind: str, id: str) -> tuple[int, Fate]:
        found = DBOS.list_workflows(
            workflow_id_prefix=f"{kind}:{id}:", load_input=False, load_output=False
        )
        if not found:
            return 0, Fate.UNKNOWN
        last = max(found, key=lambda each: _parts(each.workflow_id)[2])
        fate = {
            "ENQUEUED": Fate.ACTIVE,
            "DELAYED": Fate.ACTIVE,
            "PENDING": Fate.ACTIVE,
            "MAX_RECOVERY_ATTEMPTS_EXCEEDED": Fate.KILLED,
        }.get(last.status, Fate.ENDED)
        return _parts(last.workflow_id)[2], fate

    def _forget(self, before_s: float) -> int:
        before = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(before_s))
        forgotten = 0
        while True:
            found = DBOS.list_workflows(
                status=["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"],
                completed_before=before,
                limit=500,
                load_input=False,
                load_output=False,
            )
            if not found:
                return forgotten
            DBOS.delete_workflows([each.workflow_id for each in found])
            forgotten += len(found)

    # In DBOS' loop

    async def _stage(self, name: str, errand: Errand) -> str:
        """Run a stage in our loop; return its outcome as text, or what `_again` reads."""
        return await self._in_our_loop(self._run(name, errand))

    async def _again(self, errand: Errand, said: str) -> None:
        """Enqueue the next try: after so many seconds and, perhaps, a failure of which stage."""
        after_s, _, stage = said.partition(" ")
        failed = {**errand.failed, stage: errand.tries(stage)} if stage else errand.failed
        following = replace(errand, attempt=errand.attempt + 1, failed=failed)
        await self._in_our_loop(self.enqueue(following, float(after_s)))

    async def _in_our_loop(self, work: Coroutine[Any, Any, T]) -> T:
        assert self._loop is not None
        # Without DBOS' context, which would make every call from our loop a part of this step.
        clean = contextvars.Context()
        future = clean.run(asyncio.run_coroutine_threadsafe, work, self._loop)
        return await asyncio.wrap_future(future)

    # In our loop

    async def _run(self, name: str, errand: Errand) -> str:
        try:
            said = await self._kinds[errand.kind].stages[name](errand)
        except Exception as error:  # noqa: BLE001 - an errand is never lost, whatever a stage does
            _log.exception("a stage failed", stage=name, errand=errand.key)
            said = await self._in_trouble(name, errand, error)
        if isinstance(said, Outcome):
            return said.value
        return f"{said.after_s:.3f} {name}" if said.failed else f"{said.after_s:.3f}"

    async def _in_trouble(self, stage: str, errand: Errand, error: Exception) -> Outcome | Again:
        kind, tries = self._kinds[errand.kind], errand.tries(stage)
        if tries >= kind.attempts:
            try:
                await kind.give_up(errand, f"{type(error).__name__}: {error}")
            except Exception:  # noqa: BLE001 - as above
                _log.exception("an errand cannot even be given up", errand=errand.key)
            else:
                return Outcome.OVER
        return Again(min(TROUBLE_MAX_S, TROUBLE_S * 2.0 ** min(tries - 1, 20)))

    async def _in_thread(self, work: Callable[..., T], *arguments: object) -> T:
        """Call DBOS where no loop runs: it then neither blocks ours nor adopts it."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, work, *arguments)


def _parts(key: str) -> tuple[str, str, int]:
    kind, _, rest = key.partition(":")
    id, _, attempt = rest.rpartition(":")
    return kind, id, int(attempt)


def _send_logs_our_way() -> None:
    """Let DBOS' lines go the way of all packages' (log.py); it writes them itself otherwise."""
    if not _dbos_log.handlers:
        _dbos_log.addHandler(logging.NullHandler())
    _dbos_log.propagate = True
