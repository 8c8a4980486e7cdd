"""What is old goes, by profile; what runs stays; a failing database stops nothing."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from ruasr_tel.events import CallEnded, CallStarted
from ruasr_tel.recordings.model import State
from ruasr_tel.store import Delivery, Purged, Store, StoreConfig, keep_purging, retention
from ruasr_tel.testing import TIMEOUT_S
from ruasr_tel.types import CallId
from tests.core.store.samples import START, conversation, dialogue, ended, final, order, started

DAY = timedelta(days=1)
NOW = START + 1000 * DAY


async def add_call(store: Store, call_id: str, days_ago: float, profile: str = "default") -> None:
    when = NOW - days_ago * DAY
    first = replace(started(call_id, profile=profile), at=when - timedelta(hours=1))
    last: CallEnded = replace(ended(call_id), at=when)
    await store.add_events([first, final(call_id, 0, 0, "алло", 0.0), last])


async def add_recording(
    store: Store, id: str, days_ago: float, state: State, profile: str | None = None
) -> None:
    store.now = lambda: NOW - days_ago * DAY
    await store.add_recording(id, order(profile=profile), NOW - 500 * DAY)
    await store.set_result(id, dialogue())
    await store.add_delivery(Delivery(f"of {id}", 1, "https://crm.example", NOW, id))
    await store.set_state(id, state)


async def kept(store: Store) -> list[str]:
    calls, recordings = await store.calls(), await store.recordings()
    return [each.call_id for each in calls.items] + [each.id for each in recordings.items]


async def test_what_ended_longer_ago_than_its_profile_is_kept_goes(store: Store) -> None:
    config = StoreConfig(keep_days=90, keep_days_by_profile={"digits": 1, "law": None, "gone": 1})
    await add_call(store, "old", 91)
    await add_call(store, "young", 89)
    await add_call(store, "old digits", 2, "digits")
    await add_call(store, "young digits", 0.5, "digits")
    await add_call(store, "for ever", 400, "law")
    await add_recording(store, "old recording", 91, State.DONE)
    await add_recording(store, "old failure", 91, State.FAILED, "default")
    await add_recording(store, "young recording", 89, State.DONE)
    await add_recording(store, "old digits recording", 2, State.CANCELLED, "digits")
    await add_recording(store, "recording for ever", 400, State.DONE, "law")
    gone = await store.purge(NOW, config)
    assert gone.calls == 2
    assert sorted(gone.recordings) == ["old digits recording", "old failure", "old recording"]
    assert gone.deliveries == 0
    assert await kept(store) == [
        *("for ever", "young digits", "young"),
        *("recording for ever", "young recording"),
    ]
    deliveries = await store.deliveries()
    assert {each.recording_id for each in deliveries.items} == {
        "recording for ever",
        "young recording",
    }
    assert await store.purge(NOW, config) == Purged(0, (), 0)


async def test_nothing_of_an_old_call_is_left(store: Store) -> None:
    await store.add_events(conversation("a"))
    assert await store.purge(NOW, StoreConfig()) == Purged(1, (), 0)
    await store.add_events([started("a", 100)])
    found = await store.call("a")
    assert found is not None
    assert (found.legs, found.finals, found.keys) == ((), (), ())
    assert (await store.calls(text="ёлка")).items == ()


async def test_what_comes_after_a_purge_is_on_no_old_page(store: Store) -> None:
    async def add(name: str) -> None:
        await add_call(store, name, 100)
        await add_recording(store, name, 100, State.DONE)
        await store.add_delivery(
            Delivery(name, 1, "https://crm.example", NOW - 100 * DAY, None, CallId(name))
        )

    for name in ("a", "b", "c"):
        await add(name)
    calls, recordings = await store.calls(limit=1), await store.recordings(limit=1)
    deliveries = await store.deliveries(limit=1)
    await store.purge(NOW, StoreConfig())
    await add("d")
    assert (await store.calls(cursor=calls.next_cursor)).items == ()
    assert (await store.recordings(cursor=recordings.next_cursor)).items == ()
    assert (await store.deliveries(cursor=deliveries.next_cursor)).items == ()


async def test_a_recording_in_work_stays_however_old(store: Store) -> None:
    await add_recording(store, "a", 400, State.RECOGNISING)
    assert await store.purge(NOW, StoreConfig(keep_days=1)) == Purged(0, (), 0)


async def test_a_call_whose_server_died_goes_after_the_longest_call(store: Store) -> None:
    def begun(call_id: str, days_ago: float) -> CallStarted:
        return replace(started(call_id), at=NOW - days_ago * DAY)

    await store.add_events([begun("dead", 17.5), begun("perhaps running", 16.5)])
    assert await store.purge(NOW, StoreConfig(keep_days=10)) == Purged(1, (), 0)
    assert await kept(store) == ["perhaps running"]


async def test_deliveries_about_calls_go_by_age(store: Store) -> None:
    old = Delivery("d1", 1, "https://crm.example", NOW - 91 * DAY, None, CallId("c"))
    young = replace(old, delivery_id="d2", at=NOW - 89 * DAY)
    await store.add_delivery(old)
    await store.add_delivery(young)
    assert await store.purge(NOW, StoreConfig(keep_days=None)) == Purged(0, (), 0)
    assert await store.purge(NOW, StoreConfig()) == Purged(0, (), 1)
    assert (await store.deliveries()).items == (young,)


async def test_more_than_one_transactions_worth_goes(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    for n in range(5):
        await add_call(store, str(n), 100)
    assert await store.purge(NOW, StoreConfig()) == Purged(5, (), 0)


async def test_the_server_purges_again_and_again_and_tells_what_files_to_delete(
    store: Store,
) -> None:
    config = StoreConfig(purge_every_h=1e-9)
    forgotten: list[Sequence[str]] = []
    twice = asyncio.Event()
    loop = asyncio.get_running_loop()

    def forget(ids: Sequence[str]) -> None:
        forgotten.append(ids)
        if len(forgotten) == 2:
            loop.call_soon_threadsafe(twice.set)

    await add_recording(store, "a", 100, State.DONE)
    store.now = lambda: NOW
    task = asyncio.create_task(keep_purging(store, config, forget))
    await asyncio.wait_for(twice.wait(), TIMEOUT_S)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert forgotten[:2] == [("a",), ()]


async def test_a_database_that_fails_is_tried_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = asyncio.Event()
    failures = [OSError(28, "No space left on device")]
    purge = store.purge

    async def purge_or_fail(*args: object) -> Purged:
        if failures:
            raise failures.pop()
        tried.set()
        return await purge(NOW, StoreConfig())

    monkeypatch.setattr(store, "purge", purge_or_fail)
    with capture_logs() as logs:
        task = asyncio.create_task(keep_purging(store, StoreConfig(purge_every_h=1e-9)))
        await asyncio.wait_for(tried.wait(), TIMEOUT_S)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    assert logs[0] == {
        "event": "history was not purged",
        "log_level": "error",
        "error": "[Errno 28] No space left on device",
    }
