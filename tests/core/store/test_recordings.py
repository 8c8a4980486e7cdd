"""Recordings: the first order counts, an ended one never changes, a result is stored once."""

import asyncio
import unicodedata
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlalchemy import text as sql
from sqlalchemy.ext.asyncio import create_async_engine

from ruasr_tel.recordings.model import Channels, Order, Recording, State
from ruasr_tel.recordings.render import to_json
from ruasr_tel.store import Store
from ruasr_tel.store import recordings as recordings_module
from ruasr_tel.store.database import usable
from ruasr_tel.store.tables import Result
from ruasr_tel.testing import TIMEOUT_S
from tests.core.store.postgres import Postgres
from tests.core.store.samples import START, at, dialogue, new_id, order

ON_ONE_DATABASE = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # examples have their own ids
)
SECRET = "s3cr3t-Ж"


@pytest.fixture
def clock(store: Store) -> list[datetime]:
    """The store's time; its last item is now."""
    times = [START]
    store.now = lambda: times[-1]
    return times


async def test_an_order_comes_back_whole_but_for_its_secret(store: Store) -> None:
    given_order = Order(
        upload=Path("/var/lib/ruasr/up/Ж.wav"),
        name="Ж.wav",
        channels=Channels.SPLIT,
        profile="dictation",
        model="gigaam",
        callback_url="https://crm.example/hook",
        callback_secret=SECRET,
        idempotency_key="k",
        metadata={"deal": 7, "a": [None, {"б": "\0\ud800"}]},
        phrases=("да", "нет"),
        closed=True,
        boost=2.5,
    )
    expected = Recording(
        "id", replace(given_order, callback_secret=None), State.QUEUED, 0.0, START, START
    )
    assert await store.add_recording("id", given_order, START) == (expected, True)
    assert await store.recording("id") == expected
    assert (await store.recordings()).items == (expected,)
    assert SECRET not in repr([expected, await store.recordings()])
    assert await store.callback_secret("id") == SECRET


async def test_what_is_not_there_is_none(store: Store) -> None:
    assert await store.recording("id") is None
    assert await store.callback_secret("id") is None
    assert not await store.set_state("id", State.FETCHING)
    assert not await store.set_result("id", dialogue())
    assert not await store.cancel("id")


async def test_the_first_order_of_a_key_counts(store: Store) -> None:
    first, created = await store.add_recording("a", order(idempotency_key="k"), at(0))
    assert created
    again = order(idempotency_key="k", name="another")
    assert await store.add_recording("b", again, at(5)) == (first, False)
    assert await store.recording("b") is None
    assert await store.ordered("k") == "a"
    assert await store.ordered("b") is None


async def test_an_order_accepted_twice_under_one_id_is_one(store: Store) -> None:
    first, _ = await store.add_recording("a", order(), at(0))
    assert await store.add_recording("a", order(), at(5)) == (first, False)


async def test_orders_without_a_key_are_all_new(store: Store) -> None:
    made = [await store.add_recording(new_id(), order(), START) for _ in range(3)]
    assert [created for _, created in made] == [True, True, True]


async def test_one_of_many_orders_at_once_counts(store: Store, url: str) -> None:
    other = Store(url)  # a second server on the same database
    try:
        made = await asyncio.gather(
            *(
                each.add_recording(new_id(), order(idempotency_key="k"), at(n))
                for n in range(10)
                for each in (store, other)
            )
        )
    finally:
        await other.close()
    assert len({recording.id for recording, _ in made}) == 1
    assert [created for _, created in made].count(True) == 1
    assert len((await store.recordings()).items) == 1


async def test_states_follow_and_say_when(store: Store, clock: list[datetime]) -> None:
    before, _ = await store.add_recording("a", order(), START)
    clock.append(at(3))
    assert await store.set_state("a", State.RECOGNISING, 0.25)
    assert await store.recording("a") == replace(
        before, state=State.RECOGNISING, progress=0.25, updated_at=at(3)
    )
    clock.append(at(4))
    assert await store.set_state("a", State.FAILED, reason="HTTP 404")
    assert await store.recording("a") == replace(
        before, state=State.FAILED, progress=0.25, updated_at=at(4), reason="HTTP 404"
    )


async def test_done_is_all_of_it(store: Store) -> None:
    await store.add_recording("a", order(), START)
    await store.set_state("a", State.DONE)
    found = await store.recording("a")
    assert found is not None
    assert found.progress == 1.0


Step: TypeAlias = State | str
STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.sampled_from([*State, "алло", "слушаю"]), max_size=8
)


@ON_ONE_DATABASE
@given(steps=STEPS)
async def test_nothing_changes_after_the_end(store: Store, steps: list[Step]) -> None:
    id = new_id()
    state, text = State.QUEUED, None
    await store.add_recording(id, order(), START)
    for step in steps:
        before = await store.recording(id)
        if isinstance(step, State):
            moved = await store.set_state(id, step, 0.5, "why")
            assert moved is not state.ended
            state = step if moved else state
        else:
            kept = await store.set_result(id, dialogue(step))
            assert kept is (not state.ended and text is None)
            text = step if kept else text
        after = await store.recording(id)
        assert after is not None
        assert after.state is state
        assert after.result == (None if text is None else dialogue(text))
        assert before is not None
        if before.state.ended:
            assert after == before


async def test_one_of_many_ends_at_once_counts(store: Store) -> None:
    await store.add_recording("a", order(), START)
    ends = [State.DONE, State.FAILED, State.CANCELLED] * 3
    moved = await asyncio.gather(*(store.set_state("a", end) for end in ends))
    assert moved.count(True) == 1
    found = await store.recording("a")
    assert found is not None
    assert found.state is ends[moved.index(True)]


async def test_one_of_many_results_at_once_is_stored(store: Store) -> None:
    await store.add_recording("a", order(), START)
    texts = [f"вариант {n}" for n in range(6)]
    kept = await asyncio.gather(*(store.set_result("a", dialogue(text)) for text in texts))
    assert kept.count(True) == 1
    found = await store.recording("a")
    assert found is not None
    assert found.result == dialogue(texts[kept.index(True)])


async def test_a_result_waits_for_a_cancellation_under_way(postgres: Postgres) -> None:
    """SQLite has one writer at a time and needs no such care."""
    url = postgres.new_database()
    store = Store(url)
    await store.open()
    await store.add_recording("a", order(), START)
    engine = create_async_engine(usable(url), isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as other, engine.connect() as watcher:
            await other.execute(sql("BEGIN"))
            await other.execute(sql("UPDATE recordings SET state = 'cancelled'"))
            result = asyncio.create_task(store.set_result("a", dialogue()))
            async with asyncio.timeout(TIMEOUT_S):
                waits = sql("SELECT count(*) FROM pg_locks WHERE NOT granted")
                while not result.done() and not await watcher.scalar(waits):
                    pass
            await other.execute(sql("COMMIT"))
            assert not await result
    finally:
        await engine.dispose()
        await store.close()


async def test_a_list_has_no_results(store: Store) -> None:
    await store.add_recording("a", order(), START)
    await store.set_result("a", dialogue())
    [listed] = (await store.recordings()).items
    assert listed.result is None


async def test_lists_by_state_time_and_text(store: Store) -> None:
    for n, id in enumerate(["a", "b", "c"]):
        await store.add_recording(id, order(name=f"Файл {id}.wav"), at(n))
    named_by_macos = unicodedata.normalize("NFD", "Ёжик.wav")
    await store.add_recording("d", order(name=named_by_macos), at(-1))
    await store.set_result("b", dialogue("ёлки зелёные"))
    await store.cancel("c")

    async def ids(**chosen: object) -> list[str]:
        page = await store.recordings(**chosen)  # type: ignore[arg-type]  # by name
        return [recording.id for recording in page.items]

    assert await ids() == ["d", "c", "b", "a"]
    assert await ids(state=State.CANCELLED) == ["c"]
    assert await ids(state=State.QUEUED) == ["d", "b", "a"]
    assert await ids(since=START + timedelta(seconds=1)) == ["c", "b"]
    assert await ids(text="ЕЛКИ") == ["b"]
    assert await ids(text="файл A") == ["a"]
    assert await ids(text="pbx.example/запись") == ["d", "c", "b", "a"]
    assert await ids(text="файл_a") == []
    for text in ("ёжик", unicodedata.normalize("NFD", "ёжик")):
        assert await ids(text=text) == ["d"]


@ON_ONE_DATABASE
@given(many=st.integers(1, 7), limit=st.integers(1, 3), meanwhile=st.integers(0, 2))
async def test_pages_give_every_recording_once_whatever_comes_meanwhile(
    store: Store, many: int, limit: int, meanwhile: int
) -> None:
    since = (await store.recordings(limit=1)).items
    begin = since[0].created_at + timedelta(days=1) if since else START
    made = [(await store.add_recording(new_id(), order(), begin))[0] for _ in range(many)]
    seen: list[Recording] = []
    cursor = None
    while True:
        page = await store.recordings(since=begin, limit=limit, cursor=cursor)
        seen += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
        for _ in range(meanwhile):
            await store.add_recording(new_id(), order(), begin)
    assert seen == made[::-1]


async def test_results_outlive_the_server(url: str) -> None:
    first = Store(url)
    await first.open()
    await first.add_recording("a", order(), START)
    await first.set_result("a", dialogue())
    await first.close()
    second = Store(url)
    await second.open()
    try:
        found = await second.recording("a")
    finally:
        await second.close()
    assert found is not None
    assert found.result == dialogue()


async def test_a_result_is_kept_in_the_json_that_clients_get(url: str, store: Store) -> None:
    await store.add_recording("a", order(), START)
    await store.set_result("a", dialogue())
    engine = create_async_engine(usable(url))
    try:
        async with engine.connect() as connection:
            assert await connection.scalar(select(Result.dialogue)) == to_json(dialogue())
    finally:
        await engine.dispose()


async def test_an_order_of_nothing_is_refused(store: Store) -> None:
    with pytest.raises(Exception, match="one_source"):
        await store.add_recording("a", Order(), START)
    assert await store.recording("a") is None


async def test_the_known_ones_of_many_ids(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings_module, "BATCH", 2)
    ids = [new_id() for _ in range(5)]
    for id in ids[1:4]:
        await store.add_recording(id, order(), START)
    assert await store.known(ids) == set(ids[1:4])
    assert await store.known([]) == set()
