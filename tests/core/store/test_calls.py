"""Live calls: what went in comes out, whatever way it was cut, and once."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import StatementError

from ruasr_tel.errors import BadCursor
from ruasr_tel.events import CallProgress, CallStarted, Dtmf, Event, Final, Word
from ruasr_tel.store import CallHistory, CallRow, LegRow, Store
from ruasr_tel.types import CallId, LegId
from tests.core.store.samples import (
    LEDGER,
    OUTCOME,
    START,
    at,
    conversation,
    ended,
    final,
    new_id,
    started,
)

ON_ONE_DATABASE = settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # examples have their own calls
)


def history(events: Sequence[Event]) -> CallHistory:
    """What must be kept of a whole conversation."""
    first = events[0]
    assert isinstance(first, CallStarted)
    call_id = first.call_id
    row = CallRow(
        *(call_id, first.door, first.peer, first.profile, first.details, first.at),
        *(at(60), "hangup", 59.5, 3),
    )
    finals = [event for event in events if isinstance(event, Final)]
    return CallHistory(
        row,
        (LegRow(LegId(f"{call_id}/0"), LEDGER), LegRow(LegId(f"{call_id}/1"), LEDGER, OUTCOME)),
        tuple(sorted(finals, key=lambda each: each.start_s)),
        tuple(event for event in events if isinstance(event, Dtmf)),
        tuple(event for event in events if isinstance(event, CallProgress)),
    )


@ON_ONE_DATABASE
@given(cuts=st.lists(st.integers(0, 11)), twice=st.booleans())
async def test_any_cut_of_the_events_gives_the_same_history(
    store: Store, cuts: list[int], twice: bool
) -> None:
    events = conversation(new_id())
    edges = [0, *sorted(cuts), len(events)]
    for start, end in pairwise(edges):
        await store.add_events(events[start:end])
        if twice:  # the sink does not know whether a batch was kept when a connection breaks
            await store.add_events(events[start:end])
    assert await store.call(events[0].call_id) == history(events)


async def test_calls_that_run_at_once_keep_their_own_events(store: Store) -> None:
    first, second = conversation("a"), conversation("b")
    await store.add_events([event for pair in zip(first, second, strict=True) for event in pair])
    assert await store.call("a") == history(first)
    assert await store.call("b") == history(second)
    assert await store.call("c") is None


async def test_a_call_that_ends_is_forgotten_and_one_whose_id_comes_again_is_another(
    store: Store,
) -> None:
    await store.add_events([started("a"), final("a", 0, 0, "раз", 1.0)])
    with pytest.raises(StatementError, match="no time zone"):  # nothing of this batch is kept
        await store.add_events(
            [started("b"), replace(final("b", 0, 0, "", 1.0), at=datetime(2020, 1, 1))]  # noqa: DTZ001
        )
    await store.add_events([final("b", 0, 1, "два", 1.0), final("a", 0, 1, "три", 2.0)])
    await store.add_events([ended("a", channels=[0]), started("a", 100)])
    await store.add_events([final("a", 0, 0, "четыре", 1.0)])
    for call_id, said in (("a", ["четыре"]), ("b", ["два"])):
        found = await store.call(call_id)
        assert found is not None
        assert [each.text for each in found.finals] == said


async def test_a_running_call_has_no_end_yet(store: Store) -> None:
    await store.add_events(conversation("a")[:5])
    found = await store.call("a")
    assert found is not None
    assert (found.call.ended_at, found.call.reason, found.call.finals) == (None, None, None)
    assert found.legs == (LegRow(LegId("a/0"), None), LegRow(LegId("a/1"), None))


async def test_an_id_that_comes_again_is_another_call(store: Store) -> None:
    again = final("a", 0, 0, "второй раз", 1.0)
    await store.add_events([*conversation("a"), started("a", 100), again])
    found = await store.call("a")
    assert found is not None
    assert found.call.started_at == at(100)
    assert found.finals == (again,)
    page = await store.calls()
    assert [call.started_at for call in page.items] == [at(100), at(0)]


async def test_what_was_said_is_kept_though_the_start_was_lost(store: Store) -> None:
    said = final("a", 0, 7, "слышно", 20.0)
    await store.add_events([said, ended("a", channels=[0])])
    found = await store.call("a")
    assert found is not None
    assert found.call == CallRow(
        *(CallId("a"), "", "", "default", {}, said.at, at(60), "hangup", 59.5, 3)
    )
    assert found.finals == (said,)


@ON_ONE_DATABASE
@given(
    text=st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"])),
    word=st.text(),
)
async def test_any_text_comes_back(store: Store, text: str, word: str) -> None:
    call_id = new_id()
    said = replace(final(call_id, 0, 0, "", 1.0), text=text, words=(Word(word, 1.0, 1.5, None),))
    await store.add_events([started(call_id), said])
    found = await store.call(call_id)
    assert found is not None
    assert found.finals == (said,)


async def test_characters_that_no_database_takes_are_replaced(store: Store) -> None:
    said = final("a", 0, 0, "", 1.0)
    await store.add_events([replace(said, text="a\0b\ud800c", error="\0")])
    found = await store.call("a")
    assert found is not None
    assert found.finals == (replace(said, text="a\ufffdb?c", error="\ufffd"),)


async def test_a_batch_is_kept_whole_or_not_at_all(store: Store) -> None:
    bad = replace(final("a", 0, 0, "", 1.0), words=(Word("a", float("nan"), 1.0, None),))
    with pytest.raises(Exception, match="Out of range float values are not JSON compliant"):
        await store.add_events([started("a"), final("a", 0, 1, "b", 0.0), bad])
    assert await store.call("a") is None


async def test_a_time_without_zone_is_refused(store: Store) -> None:
    with pytest.raises(Exception, match="has no time zone"):
        await store.add_events([replace(started("a"), at=START.replace(tzinfo=None))])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ЁЛКА", ["b", "a"]),
        ("елк", ["b", "a"]),
        ("ДЕНЬ ЕЛКА", ["b", "a"]),
        ("здравствуйте", ["b", "a"]),
        ("+7999", ["b", "a"]),
        ("10.0.0.5", ["b", "a"]),
        ("100%", ["c"]),
        ("%", ["c"]),
        ("_", []),
        ("нет такого", []),
        ("", ["c", "b", "a"]),
    ],
)
async def test_search_finds_what_was_said_or_who_called(
    store: Store, text: str, found: list[str]
) -> None:
    await store.add_events([*conversation("a"), *conversation("b")])
    await store.add_events([final("c", 0, 0, "на 100% да", 0.0)])
    page = await store.calls(text=text)
    assert [call.call_id for call in page.items] == found


async def test_since_leaves_out_calls_that_came_before(store: Store) -> None:
    await store.add_events([started("a", 0), started("b", 10), started("c", 20)])
    page = await store.calls(since=START + timedelta(seconds=10))
    assert [call.call_id for call in page.items] == ["c", "b"]


@settings(ON_ONE_DATABASE, max_examples=8)
@given(
    many=st.integers(0, 8),
    limit=st.integers(1, 3),
    meanwhile=st.lists(st.integers(0, 2), min_size=9, max_size=9),
)
async def test_pages_give_every_call_once_whatever_comes_meanwhile(
    store: Store, many: int, limit: int, meanwhile: list[int]
) -> None:
    await store.add_events([started(new_id(), n) for n in range(many)])
    everything = await store.calls(limit=1000)
    assert everything.next_cursor is None
    seen: list[CallRow] = []
    cursor = None
    for inserts in [*meanwhile, *[0] * 1000]:
        page = await store.calls(limit=limit, cursor=cursor)
        assert len(page.items) == limit or page.next_cursor is None
        seen += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
        await store.add_events([started(new_id(), 1000 + n) for n in range(inserts)])
    assert tuple(seen) == everything.items


@pytest.mark.parametrize("cursor", ["", "x", "-1", "1.0", "٣", "9" * 19, "1; DROP TABLE calls"])
async def test_a_cursor_that_no_page_gave_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(BadCursor, match="is no cursor of ours"):
        await store.calls(cursor=cursor)


@pytest.mark.parametrize("limit", [0, -1, 1001])
async def test_a_limit_out_of_bounds_is_refused(store: Store, limit: int) -> None:
    with pytest.raises(ValueError, match=f"^limit is {limit}, it may be 1 to 1000$"):
        await store.calls(limit=limit)


async def test_calls_of_a_killed_server_end_with_their_last_words(store: Store) -> None:
    """With PostgreSQL they may be calls of another server that runs."""
    whole = conversation("whole")
    await store.add_events(whole)
    await store.add_events([started("mute", 5), started("cut"), final("cut", 0, 0, "алло", 1.0)])
    await store.add_events([final("cut", 1, 0, "да", 3.0)])
    lost = await store.end_lost()
    if not store.is_file:
        assert lost == []
        return
    assert [row.call_id for row in lost] == ["mute", "cut"]
    mute, cut = lost
    assert (mute.ended_at, mute.reason, mute.duration_s, mute.finals) == (at(5), "killed", 0.0, 0)
    assert (cut.ended_at, cut.reason, cut.duration_s, cut.finals) == (at(5.125), "killed", 5.125, 2)
    kept = await store.call("cut")
    assert kept is not None
    assert kept.call == cut
    assert await store.call("whole") == history(whole)
    assert await store.end_lost() == []
