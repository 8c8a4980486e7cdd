"""News of live calls: who gets what, and what becomes of tries."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue, SecretStr, ValidationError

from ruasr_tel.errors import DeliveryError
from ruasr_tel.events import (
    AnsweredBy,
    CallEnded,
    CallProgress,
    CallStarted,
    DialOutcome,
    Dtmf,
    Final,
    Ledger,
    Partial,
    Progress,
    Word,
)
from ruasr_tel.recordings import call_news as module
from ruasr_tel.recordings.addresses import AddressRules
from ruasr_tel.recordings.call_news import CallNews
from ruasr_tel.recordings.deliver import Delivered, WebhookConfig
from ruasr_tel.recordings.durable import Again, Errand, Outcome
from ruasr_tel.store import CallRow, Store
from ruasr_tel.types import CallId, LegId

CALL, LEG = CallId("c"), LegId("c/0")
URL = "https://crm.example/news"
AT = datetime(2026, 1, 1, tzinfo=UTC)
ID = "c@1767225600000"
"""What deliveries of that call begin with: its id, and when it began."""
FINAL = Final(CALL, LEG, AT, 0, "да", (Word("да", 0.1, 0.3, 0.9),), 0.0, 0.5, "endpoint", 0.9)
ENDED = CallEnded(CALL, AT, "hangup", 1.0, 1, {LEG: Ledger(8000, 1, 1, 0, {})})


@dataclass
class Receiver:
    """Takes news, or answers with an error."""

    answer: DeliveryError | None = None
    got: list[tuple[str, dict[str, Any], str | None, str]] = field(default_factory=list)

    async def once(
        self, url: str, body: bytes, secret: str | None, id: str, *_rest: Any
    ) -> Delivered:
        self.got.append((url, json.loads(body), secret, id))
        if self.answer is not None:
            raise self.answer
        return Delivered(200)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = Store(f"sqlite:///{tmp_path}/ruasr.db")
    await store.open()
    yield store
    await store.close()


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Receiver:
    receiver = Receiver()
    monkeypatch.setattr(module, "deliver_once", receiver.once)
    return receiver


def started(**details: Any) -> CallStarted:
    return CallStarted(CALL, AT, "audiosocket", "", "default", details)


async def queued(
    store: Store, *events: Any, call_url: str | None = None
) -> tuple[CallNews, list[Errand]]:
    """Return what is in the queue after these events."""
    errands: list[Errand] = []

    async def enqueue(errand: Errand) -> None:
        errands.append(errand)

    config = WebhookConfig(call_url=call_url, call_secret=SecretStr("s"), give_up_after_h=1)
    news = CallNews("news", enqueue, config, AddressRules(), store)
    for event in events:
        news.publish(event)
    await news.close()
    return news, errands


async def test_each_final_and_the_end_go_to_who_asked_for_it(
    store: Store, receiver: Receiver
) -> None:
    partial = Partial(CALL, LEG, AT, "д", 0.0, 0.2)
    news, errands = await queued(store, started(callback_url=URL), partial, FINAL, ENDED)
    assert [(each.key, each.lane) for each in errands] == [
        (f"news:{ID}/1:1", "crm.example"),
        (f"news:{ID}/2:1", "crm.example"),
    ]
    for errand in errands:
        assert await news.deliver(errand) is Outcome.OVER
    (url, said, secret, id), (_, end, _, _) = receiver.got
    assert (url, secret, id) == (URL, "s", f"{ID}/1")
    assert (said["event"], said["number"], said["call_id"]) == ("call.final", 1, "c")
    assert (said["text"], said["words"][0]["text"]) == ("да", "да")
    assert (end["event"], end["number"], end["reason"]) == ("call.ended", 2, "hangup")
    assert "ledgers" not in end
    assert end["text"] == "да"
    kept = (await store.deliveries(call_id="c")).items
    assert [(each.delivery_id, each.status) for each in kept] == [
        (f"{ID}/2", 200),
        (f"{ID}/1", 200),
    ]


async def test_call_progress_and_what_became_of_the_call_are_told(
    store: Store, receiver: Receiver
) -> None:
    ring = CallProgress(CALL, LEG, AT, Progress.RINGBACK, 0.5, 1.5, {"hz": 425})
    outcome = DialOutcome(AnsweredBy.PERSON, {Progress.RINGBACK: 1}, "да", 0.0, 0.5, None)
    end = replace(ENDED, outcomes={LEG: outcome})
    news, errands = await queued(store, started(callback_url=URL), ring, end)
    for errand in errands:
        await news.deliver(errand)
    rang, ended = [said for _, said, _, _ in receiver.got]
    assert (rang["event"], rang["number"]) == ("call.progress", 1)
    assert (rang["kind"], rang["detail"]) == ("ringback", {"hz": 425})
    assert ended["outcomes"] == {
        "c/0": {
            "answered_by": "person",
            "before": {"ringback": 1},
            "first_text": "да",
            "first_start_s": 0.0,
            "first_end_s": 0.5,
            "beep_s": None,
        }
    }


async def test_nobody_is_told_of_a_call_that_nobody_asked_about(store: Store) -> None:
    assert (await queued(store, started(), FINAL, ENDED))[1] == []
    assert (await queued(store, started(callback_url=7), FINAL, ENDED))[1] == []
    assert (await queued(store, FINAL, ENDED))[1] == []


async def test_keys_are_told_and_are_in_the_text_of_the_end(
    store: Store, receiver: Receiver
) -> None:
    keys = [Dtmf(CALL, LEG, AT, digit, 0.7 + at) for at, digit in enumerate("1#")]
    news, errands = await queued(store, started(callback_url=URL), FINAL, *keys, ENDED)
    for errand in errands:
        await news.deliver(errand)
    said = [said for _, said, _, _ in receiver.got]
    assert [(each["event"], each["number"]) for each in said] == [
        ("call.final", 1),
        ("call.key", 2),
        ("call.key", 3),
        ("call.ended", 4),
    ]
    assert (said[1]["digit"], said[1]["at_s"], said[1]["leg_id"]) == ("1", 0.7, LEG)
    assert said[3]["text"] == "да [1#]"


async def test_calls_that_name_nobody_are_told_to_the_configured_receiver(store: Store) -> None:
    ours = "https://all.example/calls"
    for details, lane in (({}, "all.example"), ({"callback_url": URL}, "crm.example")):
        _, errands = await queued(store, started(**details), FINAL, ENDED, call_url=ours)
        assert [each.lane for each in errands] == [lane, lane]
    news, errands = await queued(store, call_url=ours)
    news.tell_lost(CallRow(CALL, "audiosocket", "", "default", {}, AT, AT, "killed", 2.5, 3))
    await news.close()
    assert [each.lane for each in errands] == ["all.example"]


@pytest.mark.parametrize("text", ["crm.example", "ftp://crm.example", "http://a:b@crm.example"])
def test_a_receiver_of_all_calls_must_be_an_address(text: str) -> None:
    with pytest.raises(ValidationError, match=r"call_url\n.*the URL"):
        WebhookConfig(call_url=text)


async def test_nothing_is_told_after_the_end(store: Store) -> None:
    _, errands = await queued(store, started(callback_url=URL), ENDED, FINAL)
    assert [each.id for each in errands] == [f"{ID}/1"]


async def test_calls_that_have_one_id_in_turn_are_told_apart(store: Store) -> None:
    calls = [
        replace(started(callback_url=URL), at=AT + timedelta(milliseconds=ms)) for ms in (0, 1)
    ]
    _, errands = await queued(store, calls[0], FINAL, ENDED, calls[1], FINAL, ENDED)
    assert [each.id for each in errands] == [
        "c@1767225600000/1",
        "c@1767225600000/2",
        "c@1767225600001/1",
        "c@1767225600001/2",
    ]
    row = CallRow(CALL, "audiosocket", "", "default", {"callback_url": URL}, AT, AT, "killed")
    news, errands = await queued(store)
    for call in calls:
        news.tell_lost(replace(row, started_at=call.at))
    await news.close()
    assert [each.id for each in errands] == ["c@1767225600000/lost", "c@1767225600001/lost"]


async def test_what_is_not_taken_comes_again_until_it_is_given_up(
    store: Store, receiver: Receiver
) -> None:
    news, [errand] = await queued(store, started(callback_url=URL), FINAL)
    receiver.answer = DeliveryError("HTTP 503", retryable=True, retry_after_s=60)
    assert await news.deliver(errand) == Again(60)
    receiver.answer = DeliveryError("HTTP 410")
    assert await news.deliver(Errand("news", errand.id, 2, 0.0, errand.lane, errand.note)) is (
        Outcome.OVER
    )
    errors = [each.error for each in (await store.deliveries(call_id="c")).items]
    assert errors == ["HTTP 410", "HTTP 503"]


async def test_the_end_of_a_call_whose_server_was_killed_is_told(
    store: Store, receiver: Receiver
) -> None:
    news, errands = await queued(store)
    details: dict[str, JsonValue] = {"callback_url": URL}
    call = CallRow(CALL, "audiosocket", "", "default", details, AT, AT, "killed", 2.5, 3)
    news.tell_lost(call)
    news.tell_lost(replace(call, details={}))
    news.tell_lost(replace(call, details={"callback_url": 7}))
    await news.close()
    [errand] = errands
    assert errand.key == f"news:{ID}/lost:1"
    assert await news.deliver(errand) is Outcome.OVER
    [(_, end, _, _)] = receiver.got
    assert (end["event"], end["number"], end["reason"]) == ("call.ended", 4, "killed")
    assert (end["duration_s"], end["finals"]) == (2.5, 3)


async def test_a_queue_that_fails_does_not_hurt_the_call(store: Store) -> None:
    async def broken(_errand: Errand) -> None:
        raise OSError("the disk is full")

    news = CallNews("news", broken, WebhookConfig(), AddressRules(), store)
    news.publish(started(callback_url=URL))
    news.publish(FINAL)
    await news.close()
