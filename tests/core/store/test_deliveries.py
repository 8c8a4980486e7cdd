from dataclasses import replace

from ruasr_tel.store import Delivery, Store
from ruasr_tel.types import CallId
from tests.core.store.samples import START, at, order

FAILED = Delivery("d1", 1, "https://crm.example/hook", at(0), "a", None, 500, "HTTP 500")
DELIVERED = replace(FAILED, attempt=2, at=at(30), status=204, error=None)
OF_A_CALL = Delivery("d2", 1, "https://crm.example/call", at(40), None, CallId("c"), None, "down")


async def test_every_try_is_kept_once_and_listed_newest_first(store: Store) -> None:
    await store.add_recording("a", order(), START)
    for delivery in (FAILED, DELIVERED, OF_A_CALL):
        assert await store.add_delivery(delivery)
        assert not await store.add_delivery(replace(delivery, error="again"))
    assert (await store.deliveries()).items == (OF_A_CALL, DELIVERED, FAILED)
    assert (await store.deliveries(recording_id="a")).items == (DELIVERED, FAILED)
    assert (await store.deliveries(call_id="c")).items == (OF_A_CALL,)
    assert (await store.deliveries(call_id="a")).items == ()


async def test_pages_of_deliveries(store: Store) -> None:
    tries = [replace(OF_A_CALL, attempt=n) for n in range(1, 4)]
    for each in tries:
        await store.add_delivery(each)
    first = await store.deliveries(limit=2)
    assert first.items == (tries[2], tries[1])
    last = await store.deliveries(limit=2, cursor=first.next_cursor)
    assert (last.items, last.next_cursor) == ((tries[0],), None)


async def test_a_try_for_a_recording_that_is_gone_is_not_kept(store: Store) -> None:
    assert not await store.add_delivery(FAILED)
    assert (await store.deliveries()).items == ()
