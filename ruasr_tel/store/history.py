"""The sink that writes live calls into the store, from a thread of its own."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence

import structlog

from ruasr_tel.events import CallEnded, CallProgress, CallStarted, Dtmf, Event, Final
from ruasr_tel.store.calls import CallsStore
from ruasr_tel.store.database import cause

KEPT = (CallStarted, Final, Dtmf, CallProgress, CallEnded)
"""Events that history keeps; the others may still change."""
WRITE_S = 10.0
"""Longest time for one batch: twice BUSY_S, so that a locked SQLite file speaks first."""
WAITING = 10_000
"""Events that wait for a database that is down: about 50 MB where a final has 20 words of 200
bytes, and five minutes of 100 calls with a final every three seconds."""

BATCH = 500
"""Events of one transaction: half a second on two busy cores (our measurement), below WRITE_S."""

_log = structlog.get_logger(__name__)


class HistorySink:
    """Writes events into the store; what a database does not take now is tried with the next ones.

    It has connections and an event loop of its own, in the sink's thread: the loop that holds calls
    spends nothing on it. Every batch is one transaction, so a crash loses the last one at most.

    Args:
        store: for this sink alone; its tables are there.
        waiting: events kept while the database is down; the newest are lost beyond.
        write_s: longest time for one batch.
        tell_lost: told how many events were lost, each time, in the sink's thread.
    """

    name = "history"

    def __init__(
        self,
        store: CallsStore,
        *,
        waiting: int = WAITING,
        write_s: float = WRITE_S,
        tell_lost: Callable[[int], None] = lambda count: None,
    ) -> None:
        self._store = store
        self._limit = waiting
        self._write_s = write_s
        self._tell_lost = tell_lost
        self._waiting: list[Event] = []
        self._down = False
        self._runner = asyncio.Runner()
        self.lost = 0
        """Events that were not and will not be written."""

    def write(self, events: Sequence[Event]) -> None:
        """Write the events, after those that still wait; never raises."""
        self._waiting += [event for event in events if isinstance(event, KEPT)]
        self._flush()
        over = len(self._waiting) - self._limit
        if over > 0:
            del self._waiting[self._limit :]
            self._lose(over, "the database has been down for too long")

    def close(self) -> None:
        """Try once more, then give the connections back."""
        self._flush()
        if self._waiting:
            self._lose(len(self._waiting), "the server stops while the database is down")
        self._runner.run(self._store.close())
        self._runner.close()

    def _flush(self) -> None:
        """Write what waits, batch by batch; where the fault is an event's, one by one without it.

        Whose fault it is, the drivers' errors do not tell; a write of nothing new does.
        """
        some = BATCH
        while self._waiting:
            error = self._failure(self._store.add_events(self._waiting[:some]))
            if error is not None and (down := self._failure(self._store.probe())) is not None:
                self._say_down(down)
                return
            if error is None or some == 1:
                del self._waiting[:some]
            if error is not None and some == 1:
                self._lose(1, cause(error))
            elif error is not None:
                some = 1
        self._say_up()

    def _failure(self, work: Coroutine[None, None, None]) -> Exception | None:
        """Do it in time; return why it could not be done, or None."""
        try:
            self._runner.run(self._in_time(work))
        except Exception as error:  # noqa: BLE001 - each driver has errors of its own
            return error
        return None

    async def _in_time(self, work: Coroutine[None, None, None]) -> None:
        async with asyncio.timeout(self._write_s):
            await work

    def _lose(self, count: int, why: str) -> None:
        self.lost += count
        self._tell_lost(count)
        _log.error("history lost events", lost=count, error=why)

    def _say_down(self, error: Exception) -> None:
        if not self._down:
            _log.warning("history waits for its database", error=cause(error))
        self._down = True

    def _say_up(self) -> None:
        if self._down:
            _log.info("history has its database again", lost=self.lost)
        self._down = False
