"""Sinks in their own time: slow, broken and late ones."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ruasr_tel.errors import ConfigError
from ruasr_tel.events import Dtmf, Event, SpeechStarted
from ruasr_tel.sinks import Fanout, JsonlConfig, JsonlSink, LogSink, SinksConfig
from ruasr_tel.sinks.log import LogSinkConfig
from ruasr_tel.testing import TIMEOUT_S
from ruasr_tel.types import CallId, LegId


def key(digit: int) -> Event:
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    return Dtmf(CallId("c"), LegId("c/0"), at, str(digit), float(digit))


class Shelf:
    """Keeps what it gets; blocks and raises where it is told to."""

    def __init__(self, name: str, fails_on: str | None = None) -> None:
        self.name = name
        self.kept: list[str] = []
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()
        self.closed = 0
        self._fails_on = fails_on

    def write(self, events: Sequence[Event]) -> None:
        self.entered.set()
        assert self.open.wait(TIMEOUT_S)
        digits = [event.digit for event in events if isinstance(event, Dtmf)]
        if self._fails_on in digits:
            raise OSError(28, "No space left on device")
        self.kept += digits

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def slow() -> Iterator[Shelf]:
    shelf = Shelf("slow")
    shelf.open.clear()
    yield shelf
    shelf.open.set()


async def closed(fanout: Fanout) -> None:
    await asyncio.wait_for(fanout.close(), TIMEOUT_S)


async def test_every_sink_gets_every_event_in_order_and_is_closed_once() -> None:
    shelves = [Shelf("one"), Shelf("two")]
    fanout = Fanout(shelves, queue=10)
    await fanout.start()
    for digit in range(5):
        fanout.publish(key(digit))
    await closed(fanout)
    assert [shelf.kept for shelf in shelves] == [["0", "1", "2", "3", "4"]] * 2
    assert [shelf.closed for shelf in shelves] == [1, 1]


async def test_a_slow_sink_loses_its_own_events_only_and_says_how_many(slow: Shelf) -> None:
    quick = Shelf("quick")
    fanout = Fanout([slow, quick], queue=10)
    await fanout.start()
    fanout.publish(key(0))
    assert await asyncio.to_thread(slow.entered.wait, TIMEOUT_S)
    with capture_logs() as logs:
        for digit in range(1, 16):
            fanout.publish(key(digit))  # never blocks: the slow sink holds 0
            quick.entered.clear()
            assert await asyncio.to_thread(quick.entered.wait, TIMEOUT_S)
        slow.open.set()
        await closed(fanout)
    assert quick.kept == [str(digit) for digit in range(16)]
    assert slow.kept == [str(digit) for digit in range(11)]
    (said,) = [line for line in logs if line["event"] == "a slow sink lost events"]
    assert (said["sink"], said["lost"], said["log_level"]) == ("slow", 5, "warning")


async def test_a_sink_that_raises_loses_that_batch_and_is_called_again() -> None:
    broken, whole = Shelf("broken", fails_on="1"), Shelf("whole")
    fanout = Fanout([broken, whole], queue=10)
    await fanout.start()
    with capture_logs() as logs:
        for digit in range(3):
            whole.entered.clear()
            broken.entered.clear()
            fanout.publish(key(digit))
            for shelf in (broken, whole):
                assert await asyncio.to_thread(shelf.entered.wait, TIMEOUT_S)
        await closed(fanout)
    assert whole.kept == ["0", "1", "2"]
    assert broken.kept == ["0", "2"]
    (said,) = logs
    assert (said["event"], said["sink"], said["lost"]) == ("a sink failed", "broken", 1)
    assert "No space left on device" in said["error"]
    assert (broken.closed, whole.closed) == (1, 1)


async def test_a_sink_that_cannot_be_closed_does_not_keep_the_others_open() -> None:
    class Jammed(Shelf):
        def close(self) -> None:
            raise OSError(28, "No space left on device")

    whole = Shelf("whole")
    fanout = Fanout([Jammed("jammed"), whole], queue=10)
    await fanout.start()
    with capture_logs() as logs:
        await closed(fanout)
    assert whole.closed == 1
    assert [(line["event"], line["sink"]) for line in logs] == [("a sink failed", "jammed")]


async def test_what_was_published_before_the_start_is_written_too() -> None:
    shelf = Shelf("early")
    fanout = Fanout([shelf], queue=10)
    fanout.publish(key(7))
    await fanout.start()
    await closed(fanout)
    assert shelf.kept == ["7"]


async def test_closing_without_a_start_closes_the_sinks() -> None:
    shelf = Shelf("unused")
    await closed(Fanout([shelf], queue=10))
    assert shelf.closed == 1


def test_the_configuration_makes_the_sinks_that_are_switched_on(tmp_path: Path) -> None:
    assert [type(sink) for sink in SinksConfig().sinks()] == [LogSink]
    path = tmp_path / "new" / "events.jsonl"
    config = SinksConfig(log=LogSinkConfig(enabled=False), jsonl=JsonlConfig(path=path))
    (sink,) = config.sinks()
    assert isinstance(sink, JsonlSink)
    sink.close()
    assert path.read_text() == ""


def test_a_file_that_cannot_be_written_is_named_with_its_key(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "events.jsonl"
    with pytest.raises(ConfigError) as refused:
        SinksConfig(jsonl=JsonlConfig(path=path)).sinks()
    reason = "File exists"
    assert str(refused.value) == f"sinks.jsonl.path: cannot write {path}: {reason}"


async def test_a_speech_start_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ruasr_tel.sinks.fanout.GATHER_S", 3600.0)
    shelf = Shelf("quick")
    fanout = Fanout([shelf], queue=10)
    await fanout.start()
    fanout.publish(key(1))
    at = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    fanout.publish(SpeechStarted(CallId("c"), LegId("c/0"), at, 0.5))
    assert await asyncio.to_thread(shelf.entered.wait, TIMEOUT_S)
    await closed(fanout)
    assert shelf.kept == ["1"]
