"""The history sink on databases that are slow, locked, gone, or given nonsense."""

import asyncio
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from ruasr_tel.events import Event, Word
from ruasr_tel.sinks import Fanout
from ruasr_tel.store import CallHistory, HistorySink, Store
from ruasr_tel.store import history as history_module
from ruasr_tel.testing import TIMEOUT_S
from tests.core.store.samples import conversation, ended, final, new_id, started

BAD = replace(final("a", 0, 5, "", 1.0), words=(Word("nan", float("nan"), 1.0, None),))


@pytest.fixture
def made(url: str) -> str:
    """The URL of a database with its tables."""
    with asyncio.Runner() as runner:
        store = Store(url)
        runner.run(store.open())
        runner.run(store.close())
    return url


def history(url: str, call_id: str) -> CallHistory | None:
    with asyncio.Runner() as runner:
        store = Store(url)
        try:
            return runner.run(store.call(call_id))
        finally:
            runner.run(store.close())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "ruasr.db"
    with asyncio.Runner() as runner:
        store = Store(f"sqlite:///{path}")
        runner.run(store.open())
        runner.run(store.close())
    return path


@pytest.fixture
def lock(file: Path) -> Iterator[sqlite3.Connection]:
    """Another program that holds the writer's lock."""
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


@pytest.fixture
def sink(file: Path) -> HistorySink:
    """A sink that has no patience with a locked file; the test closes it."""
    return HistorySink(Store(f"sqlite:///{file}", busy_s=0.001), waiting=10)


def texts(found: CallHistory | None) -> list[str]:
    assert found is not None
    return [each.text for each in found.finals]


def test_a_call_is_written_as_it_was(made: str) -> None:
    sink = HistorySink(Store(made))
    events = conversation("a")
    sink.write(events[:4])
    sink.write(events[4:])
    sink.close()
    found = history(made, "a")
    assert texts(found) == ["добрый день ёлка", "Здравствуйте", "до свидания", ""]
    assert found is not None
    assert [key.digit for key in found.keys] == ["5", "5"]
    assert found.call.reason == "hangup"
    assert sink.lost == 0


def test_a_sink_that_was_never_used_closes(made: str) -> None:
    HistorySink(Store(made)).close()


def test_what_a_locked_database_does_not_take_is_written_later(
    sink: HistorySink, file: Path, lock: sqlite3.Connection
) -> None:
    events = conversation("a")
    with capture_logs() as logs:
        sink.write(events[:4])
        sink.write(events[4:6])
        lock.execute("ROLLBACK")
        sink.write(events[6:])
    sink.close()
    assert texts(history(f"sqlite:///{file}", "a")) == [
        *("добрый день ёлка", "Здравствуйте", "до свидания", "")
    ]
    assert logs == [
        {
            "event": "history waits for its database",
            "log_level": "warning",
            "error": "database is locked",
        },
        {"event": "history has its database again", "log_level": "info", "lost": 0},
    ]


def test_a_stop_writes_what_waited(sink: HistorySink, file: Path, lock: sqlite3.Connection) -> None:
    sink.write(conversation("a"))
    lock.execute("ROLLBACK")
    sink.close()
    assert len(texts(history(f"sqlite:///{file}", "a"))) == 4


def test_only_so_much_waits_and_what_is_lost_is_counted(
    sink: HistorySink, file: Path, lock: sqlite3.Connection
) -> None:
    sink.write([started("a")])
    with capture_logs() as logs:
        sink.write([final("a", 0, n, str(n), float(n)) for n in range(12)])
    lock.execute("ROLLBACK")
    sink.close()
    assert texts(history(f"sqlite:///{file}", "a")) == [str(n) for n in range(9)]
    assert sink.lost == 3
    assert logs == [
        {
            "event": "history lost events",
            "log_level": "error",
            "lost": 3,
            "error": "the database has been down for too long",
        }
    ]


@pytest.mark.usefixtures("lock")
def test_a_database_that_is_down_to_the_end_ends_nothing(sink: HistorySink, file: Path) -> None:
    told: list[int] = []
    sink._tell_lost = told.append
    sink.write([started("a"), final("a", 0, 0, "алло", 0.0)])
    with capture_logs() as logs:
        sink.close()
    assert (sink.lost, told) == (2, [2])
    assert logs[-1]["error"] == "the server stops while the database is down"
    assert history(f"sqlite:///{file}", "a") is None


def test_a_database_that_never_answers_is_left_in_time(file: Path) -> None:
    class Hanging(Store):
        async def add_events(self, events: Sequence[Event]) -> None:
            await asyncio.Event().wait()

        async def probe(self) -> None:
            await asyncio.Event().wait()

    sink = HistorySink(Hanging(f"sqlite:///{file}"), write_s=0.001)
    with capture_logs() as logs:
        sink.write([started("a")])
    sink.close()
    assert logs[0]["error"] == "TimeoutError"
    assert sink.lost == 1


def test_an_event_that_no_database_takes_is_left_out(made: str) -> None:
    sink = HistorySink(Store(made))
    with capture_logs() as logs:
        sink.write([started("a"), final("a", 0, 0, "до", 0.0), BAD, final("a", 0, 6, "по", 9.0)])
    sink.close()
    assert texts(history(made, "a")) == ["до", "по"]
    assert sink.lost == 1
    [log] = logs
    assert (log["event"], log["lost"]) == ("history lost events", 1)
    assert log["error"].startswith("Out of range float values are not JSON compliant")


def test_many_events_are_written_in_several_batches(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history_module, "BATCH", 3)
    sizes: list[int] = []

    class Counting(Store):
        async def add_events(self, events: Sequence[Event]) -> None:
            sizes.append(len(events))
            await super().add_events(events)

    sink = HistorySink(Counting(f"sqlite:///{file}"))
    sink.write(conversation("a"))  # 9 of its events are kept
    sink.close()
    assert sizes == [3, 3, 3]
    assert len(texts(history(f"sqlite:///{file}", "a"))) == 4


class Moody(Store):
    """A store that says no as it was told, one answer a transaction; then yes."""

    def __init__(self, url: str, moods: Sequence[str]) -> None:
        super().__init__(url)
        self._moods = list(moods)

    async def add_events(self, events: Sequence[Event]) -> None:
        mood = self._moods.pop(0) if self._moods else "yes"
        if mood != "no":
            await super().add_events(events)
        if mood != "yes":  # "kept": it was written, but the connection broke before it was said
            raise ConnectionResetError(104, "Connection reset by peer")

    async def probe(self) -> None:
        if (self._moods.pop(0) if self._moods else "yes") != "yes":
            raise ConnectionRefusedError(111, "Connection refused")


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # examples have their own calls
)
@given(
    moods=st.lists(st.sampled_from(["no", "kept"]), max_size=12).map(
        lambda each: [part for mood in each for part in (mood, "no")]
    ),
    cuts=st.lists(st.integers(0, 10), max_size=5),
)
def test_whatever_a_database_does_every_event_is_kept_once_and_in_order(
    file: Path, moods: list[str], cuts: list[int]
) -> None:
    url = f"sqlite:///{file}"
    sink = HistorySink(Moody(url, moods))
    events = conversation(new_id())
    edges = [0, *sorted(cuts), len(events)]
    for start, end in pairwise(edges):
        sink.write(events[start:end])
    for _ in moods:
        sink.write([])
    sink.close()
    assert sink.lost == 0
    found = history(url, events[0].call_id)
    assert found is not None
    assert [each.segment for each in found.finals] == [0, 0, 1, 1]
    assert len(found.keys) == 2
    assert found.call.ended_at == events[-1].at


async def test_a_locked_database_delays_no_call(file: Path, lock: sqlite3.Connection) -> None:
    """The server's loop goes on while the sink waits for the lock, and nothing is lost."""
    entered = threading.Event()

    class Told(Store):
        async def add_events(self, events: Sequence[Event]) -> None:
            entered.set()
            await super().add_events(events)

    fanout = Fanout([HistorySink(Told(f"sqlite:///{file}", busy_s=TIMEOUT_S))], queue=100)
    await fanout.start()
    events = conversation("a")
    fanout.publish(events[0])
    assert await asyncio.to_thread(entered.wait, TIMEOUT_S)
    for event in events[1:]:  # the loop is free: these return at once, while the sink waits
        fanout.publish(event)
    lock.execute("ROLLBACK")
    await asyncio.wait_for(fanout.close(), TIMEOUT_S)
    found = await asyncio.to_thread(history, f"sqlite:///{file}", "a")
    assert len(texts(found)) == 4


def test_a_crash_loses_the_last_batch_at_most(made: str) -> None:
    sink = HistorySink(Store(made))
    first: list[Event] = [started("a"), final("a", 0, 0, "раз", 0.0)]
    sink.write(first)
    kept_without_closing = texts(history(made, "a"))
    sink.write([final("a", 0, 1, "два", 1.0), ended("a")])
    sink.close()
    assert kept_without_closing == ["раз"]
    assert texts(history(made, "a")) == ["раз", "два"]
