import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ruasr_tel.recordings.model import Dialogue, Order, Recording, State, Transcript
from ruasr_tel.recordings.states import States
from ruasr_tel.store import Store
from ruasr_tel.store import recordings as store_module
from ruasr_tel.testing import TIMEOUT_S

ID = "6f1b1f4e-0000-4000-8000-000000000001"
RESULT = Dialogue(1.0, (), (), Transcript(1.0, 1, ()))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = Store(f"sqlite:///{tmp_path}/ruasr.db")
    await store.open()
    await store.add_recording(ID, Order(url="http://h/"), store.now())
    yield store
    await store.close()


async def test_who_follows_sees_every_change_it_can_keep_up_with(store: Store) -> None:
    states = States(store)
    seen: list[tuple[object, object]] = []
    numbers: list[int] = []
    async with asyncio.timeout(TIMEOUT_S):
        async for number, event in states.follow(ID):
            numbers.append(number)
            seen.append((event["state"], event["progress"]))
            if event["state"] == "queued":
                await states.set(ID, State.FETCHING, 0.1)
            elif event["state"] == "fetching":
                await states.set(ID, State.FAILED, reason="HTTP 404")
                last = event
    assert seen == [("queued", 0.0), ("fetching", 0.1), ("failed", 0.1)]
    assert numbers == sorted(set(numbers))
    assert last == {"id": ID, "state": "fetching", "progress": 0.1}
    resumed = [event async for _, event in states.follow(ID, numbers[1])]
    assert resumed == [{"id": ID, "state": "failed", "progress": 0.1, "reason": "HTTP 404"}]
    assert [event async for _, event in states.follow(ID, numbers[2])] == []


async def test_who_waits_is_woken_by_the_end(store: Store) -> None:
    states = States(store)
    waiting = asyncio.create_task(states.wait(ID, TIMEOUT_S))
    await asyncio.sleep(0)
    assert await states.cancel(ID)
    async with asyncio.timeout(TIMEOUT_S):
        cancelled = await waiting
    assert cancelled is not None
    assert cancelled.state is State.CANCELLED
    assert not await states.set(ID, State.DONE)


async def test_waiting_ends_with_the_result_although_it_is_still_delivered(store: Store) -> None:
    states = States(store)
    await store.set_result(ID, RESULT)
    await states.set(ID, State.DELIVERING)
    found = await states.wait(ID, TIMEOUT_S)
    assert found is not None
    assert (found.state, found.result) == (State.DELIVERING, RESULT)


async def test_who_follows_does_not_read_the_result(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = States(store)
    await store.set_result(ID, RESULT)
    await states.set(ID, State.DONE)
    read: list[object] = []
    whole = store_module._whole

    async def noted(found: Recording, written: str | None) -> Recording:
        read.append(written)
        return await whole(found, written)

    monkeypatch.setattr(store_module, "_whole", noted)
    assert [event["state"] async for _, event in states.follow(ID)] == ["done"]
    assert read == [None]
    assert await states.wait(ID, TIMEOUT_S) == await store.recording(ID)
    assert [written is None for written in read] == [True, True, False, False]


async def test_waiting_in_vain_returns_how_far_it_is(store: Store) -> None:
    found = await States(store).wait(ID, 0.01)
    assert found is not None
    assert found.state is State.QUEUED


async def test_what_is_not_known_has_no_states(store: Store) -> None:
    states = States(store)
    unknown = "6f1b1f4e-0000-4000-8000-000000000002"
    assert [event async for _, event in states.follow(unknown)] == []
    assert await states.wait(unknown, TIMEOUT_S) is None


async def test_a_change_of_another_server_is_seen(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ruasr_tel.recordings.states.LOOK_S", 0.01)
    ours, theirs = States(store), States(store)
    async with asyncio.timeout(TIMEOUT_S):
        async for _, event in ours.follow(ID):
            if event["state"] == "queued":
                await theirs.set(ID, State.DONE)
    assert event["state"] == "done"


async def test_what_takes_its_turn_is_counted(store: Store) -> None:
    states = States(store)
    states.worked_on.add(ID)
    await states.set(ID, State.RECOGNISING)
    assert states.worked_on == {ID}
    await states.set(ID, State.DELIVERING)
    assert states.worked_on == set()
