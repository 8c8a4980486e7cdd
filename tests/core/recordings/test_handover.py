"""What becomes of tries to deliver; the receiver is the next one's business (test_jobs)."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ruasr_tel.errors import DeliveryError
from ruasr_tel.recordings import handover as module
from ruasr_tel.recordings.addresses import AddressRules
from ruasr_tel.recordings.deliver import Delivered, WebhookConfig
from ruasr_tel.recordings.durable import Again, Errand, Outcome
from ruasr_tel.recordings.handover import Handover, lane, payload
from ruasr_tel.recordings.model import Dialogue, Order, State, Transcript
from ruasr_tel.recordings.states import States
from ruasr_tel.store import Store

ID = "6f1b1f4e-0000-4000-8000-000000000001"
URL = "https://crm.example/hook"
RESULT = Dialogue(1.0, (), (), Transcript(1.0, 1, ()))
NOW_S = 1_700_000_000.0


@dataclass
class Sent:
    """The receiver: answers with an error, or takes it."""

    answer: DeliveryError | None = None
    secret: str | None = None
    count: int = 0

    async def once(self, url: str, body: bytes, secret: str | None, *_rest: Any) -> Delivered:
        assert (url, body[:10]) == (URL, b'{"event": ')
        self.secret = secret
        self.count += 1
        if self.answer is not None:
            raise self.answer
        return Delivered(204)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = Store(f"sqlite:///{tmp_path}/ruasr.db")
    await store.open()
    order = Order(url="http://h/a.wav", callback_url=URL, callback_secret="s", name="a.wav")
    await store.add_recording(ID, order, store.now())
    yield store
    await store.close()


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> Sent:
    sent = Sent()
    monkeypatch.setattr(module, "deliver_once", sent.once)
    return sent


def handed(store: Store, waited_s: float = 0.0) -> tuple[Handover, Errand]:
    config = WebhookConfig(first_delay_s=4, give_up_after_h=1)
    handover = Handover(config, AddressRules(), store, States(store), lambda: NOW_S + waited_s)
    return handover, Errand("delivery", ID, 1, NOW_S, "crm.example")


async def done(store: Store) -> None:
    await store.set_result(ID, RESULT)
    await store.set_state(ID, State.DELIVERING)


async def state(store: Store) -> tuple[State, str | None]:
    found = await store.recording(ID)
    assert found is not None
    return found.state, found.reason


async def test_what_is_taken_is_done_and_written_down(store: Store, sent: Sent) -> None:
    await done(store)
    handover, errand = handed(store)
    assert await handover.deliver(errand) is Outcome.OVER
    assert (sent.count, sent.secret) == (1, "s")
    assert await state(store) == (State.DONE, None)
    [kept] = (await store.deliveries(recording_id=ID)).items
    assert (kept.delivery_id, kept.attempt, kept.status, kept.error) == (ID, 1, 204, None)
    assert await handover.deliver(errand) is Outcome.OVER
    assert sent.count == 1


async def test_what_may_pass_is_tried_again_later(store: Store, sent: Sent) -> None:
    await done(store)
    sent.answer = DeliveryError("HTTP 503", retryable=True, retry_after_s=60)
    handover, errand = handed(store)
    assert await handover.deliver(errand) == Again(60)
    assert await state(store) == (State.DELIVERING, None)
    [kept] = (await store.deliveries(recording_id=ID)).items
    assert (kept.status, kept.error) == (None, "HTTP 503")


@pytest.mark.parametrize(
    ("retryable", "waited_s"), [(False, 0.0), (True, 3600.0)], ids=["never", "too late"]
)
async def test_what_does_not_pass_is_given_up(
    store: Store, sent: Sent, retryable: bool, waited_s: float
) -> None:
    await done(store)
    sent.answer = DeliveryError("gone", retryable=retryable)
    handover, errand = handed(store, waited_s)
    assert await handover.deliver(errand) is Outcome.OVER
    assert await state(store) == (State.DONE, "the result could not be delivered: gone")


async def test_a_failure_stays_one_after_it_was_told(store: Store, sent: Sent) -> None:
    await store.set_state(ID, State.FAILED, reason="HTTP 404")
    handover, errand = handed(store)
    assert await handover.deliver(errand) is Outcome.OVER
    assert sent.count == 1
    assert await state(store) == (State.FAILED, "HTTP 404")


async def test_nothing_is_told_before_there_is_something_or_after_a_cancellation(
    store: Store, sent: Sent
) -> None:
    handover, errand = handed(store)
    assert await handover.deliver(errand) == Again(1.0)
    await store.cancel(ID)
    assert await handover.deliver(errand) is Outcome.OVER
    assert sent.count == 0


async def test_the_payload_tells_order_and_result_and_no_secret(store: Store) -> None:
    await done(store)
    recording = await store.recording(ID)
    assert recording is not None
    told = payload(recording)
    assert told.pop("created_at") == recording.created_at.isoformat()
    assert told.pop("result") is not None
    assert told == {
        "event": "recording.done",
        "id": ID,
        "state": "done",
        "reason": None,
        "name": "a.wav",
        "url": "http://h/a.wav",
        "metadata": {},
    }


@pytest.mark.parametrize(
    ("url", "host"), [(URL, "crm.example"), ("http://[::1]:80/", "::1"), ("http://[", "?")]
)
def test_deliveries_to_one_host_share_a_lane(url: str, host: str) -> None:
    assert lane(url) == host
