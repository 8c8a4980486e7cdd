import asyncio
from contextlib import aclosing
from datetime import UTC, datetime

import pytest

from ruasr_tel.events import CallEnded, CallStarted, Event, Final, Partial
from ruasr_tel.hub import KEPT_CALLS, KEPT_EVENTS, Hub, Latest
from ruasr_tel.types import CallId, LegId

NOW = datetime(2026, 1, 2, tzinfo=UTC)
A, B = CallId("a"), CallId("b")


def started(call_id: CallId) -> CallStarted:
    return CallStarted(call_id, NOW, "vosk_ws", "127.0.0.1:1", "default")


def final(call_id: CallId, text: str) -> Final:
    return Final(call_id, LegId(f"{call_id}/0"), NOW, 0, text, (), 0.0, 1.0, "endpoint")


def partial(call_id: CallId, text: str) -> Partial:
    return Partial(call_id, LegId(f"{call_id}/0"), NOW, text, 0.0, 1.0)


def ended(call_id: CallId) -> CallEnded:
    return CallEnded(call_id, NOW, "hangup", 1.0, 1, {})


async def collect(hub: Hub, call_id: CallId, after: int = -1) -> list[tuple[int, Event]]:
    return [numbered async for numbered in hub.follow(call_id, after)]


async def test_a_follower_gets_what_was_kept_and_what_comes_to_the_end_of_the_call() -> None:
    hub = Hub()
    hub.publish(started(A))
    async with asyncio.TaskGroup() as tasks:
        early = tasks.create_task(collect(hub, A))
        await asyncio.sleep(0)
        hub.publish(final(A, "алло"))
        hub.publish(ended(A))
    whole = [(0, started(A)), (1, final(A, "алло")), (2, ended(A))]
    assert early.result() == whole
    assert await collect(hub, A) == whole
    assert await collect(hub, A, after=1) == whole[2:]


def test_what_is_kept_of_a_call_begins_with_its_last_start() -> None:
    hub = Hub()
    assert hub.since_start(A) == ()
    for event in (started(A), final(A, "раньше"), ended(A), started(B)):
        hub.publish(event)
    assert hub.since_start(A) == (started(A), final(A, "раньше"), ended(A))
    hub.publish(started(A))
    assert hub.since_start(A) == (started(A),)
    for _ in range(KEPT_EVENTS):
        hub.publish(final(A, "да"))
    assert hub.since_start(A) == (final(A, "да"),) * KEPT_EVENTS


async def test_a_call_that_has_ended_keeps_no_partials_and_its_numbers() -> None:
    hub = Hub()
    for event in (started(A), partial(A, "ал"), final(A, "алло"), partial(A, "д"), ended(A)):
        hub.publish(event)
    assert await collect(hub, A) == [(0, started(A)), (2, final(A, "алло")), (4, ended(A))]
    assert await collect(hub, A, after=2) == [(4, ended(A))]
    hub.publish(started(A))
    hub.publish(ended(A))
    assert (await collect(hub, A, after=4)) == [(5, started(A)), (6, ended(A))]


async def test_a_slow_follower_loses_nothing_at_the_end() -> None:
    hub = Hub()
    hub.publish(started(A))
    async with aclosing(hub.follow(A)) as follower:
        assert await anext(follower) == (0, started(A))
        hub.publish(final(A, "алло"))
        hub.publish(ended(A))
        assert [event async for _, event in follower] == [final(A, "алло"), ended(A)]


async def test_a_call_that_has_not_come_is_waited_for_and_forgotten_if_it_never_does() -> None:
    hub = Hub()
    waiting = asyncio.create_task(collect(hub, A))
    await asyncio.sleep(0)
    assert A not in hub
    assert hub.running() == []
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert hub._lines == {}


async def test_all_calls_are_followed_in_one_row_from_now_or_from_a_number() -> None:
    hub = Hub()
    hub.publish(started(A))
    async with aclosing(hub.follow_all()) as follower:
        coming = asyncio.ensure_future(anext(follower))
        await asyncio.sleep(0)
        hub.publish(started(B))
        assert await coming == (1, started(B))
    async with aclosing(hub.follow_all(after=-1)) as follower:
        assert [await anext(follower), await anext(follower)] == [(0, started(A)), (1, started(B))]


def test_the_latest_of_a_call_is_its_start_its_last_text_and_its_open_segment() -> None:
    hub = Hub()
    assert hub.latest(A) == Latest()
    for event in (started(A), final(A, "алло"), partial(A, "да")):
        hub.publish(event)
    assert hub.latest(A) == Latest(started(A), "алло", "да")
    hub.publish(final(A, ""))
    assert hub.latest(A) == Latest(started(A), "алло", "")
    assert hub.is_running(A)
    hub.publish(ended(A))
    assert hub.running() == []
    assert A in hub


async def test_the_oldest_events_of_a_long_call_and_the_oldest_ended_calls_go_first() -> None:
    hub = Hub()
    for _ in range(KEPT_EVENTS + 5):
        hub.publish(final(A, "да"))
    hub.publish(ended(A))
    kept = await collect(hub, A)
    assert (len(kept), kept[0][0], kept[-1][0]) == (KEPT_EVENTS, 6, KEPT_EVENTS + 5)
    hub.publish(started(B))
    for number in range(KEPT_CALLS):
        hub.publish(ended(CallId(str(number))))
    assert A not in hub
    assert B in hub
