"""Tells who asked for it what is heard in a live call: finals, keys, call progress, the end."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

import structlog
from pydantic import JsonValue, TypeAdapter

from ruasr_tel.errors import DeliveryError
from ruasr_tel.events import CallEnded, CallProgress, CallStarted, Dtmf, Event, Final
from ruasr_tel.recordings.addresses import AddressRules
from ruasr_tel.recordings.deliver import WebhookConfig, deliver_once
from ruasr_tel.recordings.durable import Again, Errand, Outcome
from ruasr_tel.recordings.handover import lane, pause_s
from ruasr_tel.store import CallRow, Delivery, Store
from ruasr_tel.transcript import transcript
from ruasr_tel.types import CallId

CALLBACK = "callback_url"
"""What an announcement of a call calls the address."""

Told: TypeAlias = Final | Dtmf | CallProgress | CallEnded
"""Events that are delivered."""

_NEWS: TypeAdapter[Told] = TypeAdapter(Told)
_NAMES = {
    Final: "call.final",
    Dtmf: "call.key",
    CallProgress: "call.progress",
    CallEnded: "call.ended",
}
_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Listener:
    url: str
    started_at: datetime
    told: int = 0
    finals: list[Final] = field(default_factory=list)
    keys: list[Dtmf] = field(default_factory=list)

    def take(self, event: Told) -> str | None:
        """Note an event; return the text of the whole call at its end."""
        self.told += 1
        match event:
            case Final():
                self.finals.append(event)
            case Dtmf():
                self.keys.append(event)
            case CallEnded():
                return transcript(self.finals, self.keys, event.ledgers)
        return None


class CallNews:
    """Delivers events of live calls.

    Args:
        kind: the errands' kind.
        enqueue: puts an errand into its queue.
        config: limits, and the secret.
        rules: where connections may go.
        store: the list of tries.
    """

    def __init__(
        self,
        kind: str,
        enqueue: Callable[[Errand], Awaitable[None]],
        config: WebhookConfig,
        rules: AddressRules,
        store: Store,
    ) -> None:
        self._kind = kind
        self._enqueue = enqueue
        self._config = config
        self._rules = rules
        self._store = store
        self._listeners: dict[CallId, _Listener] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def publish(self, event: Event) -> None:
        """Take one event, in the event loop; never blocks."""
        if isinstance(event, CallStarted):
            url = self._who(event.details)
            if url:
                self._listeners[event.call_id] = _Listener(url, event.at)
            return
        listener = self._listeners.get(event.call_id)
        if listener is None or not isinstance(event, Told):
            return
        if isinstance(event, CallEnded):
            del self._listeners[event.call_id]
        text = listener.take(event)
        id = _id(event.call_id, listener.started_at, str(listener.told))
        self._queue(self._tell(event, listener.url, listener.told, id, text))

    def tell_lost(self, call: CallRow) -> None:
        """Tell of the end of a call whose server was killed, if somebody wanted to know."""
        url = self._who(call.details)
        if not url or call.ended_at is None:
            return
        finals = call.finals or 0
        ended = CallEnded(
            call.call_id, call.ended_at, call.reason or "", call.duration_s or 0.0, finals, {}
        )
        # Not by number: a final that the queue has and history lost may have taken it.
        id = _id(call.call_id, call.started_at, "lost")
        self._queue(self._tell(ended, url, finals + 1, id))

    def _who(self, details: Mapping[str, JsonValue]) -> str | None:
        """Return who wants to know of a call: as it was announced, else as configured."""
        url = details.get(CALLBACK)
        return url if isinstance(url, str) and url else self._config.call_url

    def _queue(self, telling: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(telling)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Wait until everything that was published is in the queue."""
        await asyncio.gather(*self._tasks)

    async def deliver(self, errand: Errand) -> Outcome | Again:
        """Send one event once."""
        assert errand.note is not None, "news have a note"
        note = json.loads(errand.note)
        failure, status = await self._send(errand.id, note["url"], note["body"])
        tried = Delivery(
            errand.id,
            errand.attempt,
            note["url"],
            self._store.now(),
            call_id=CallId(note["body"]["call_id"]),
            status=status,
            error=None if failure is None else str(failure),
        )
        await self._store.add_delivery(tried)
        return Outcome.OVER if failure is None else self._after(errand, failure)

    async def give_up(self, errand: Errand, reason: str) -> None:
        """Say that an event was not delivered."""
        _log.warning("delivery given up", delivery=errand.id, error=reason)

    async def _send(
        self, id: str, url: str, told: dict[str, JsonValue]
    ) -> tuple[DeliveryError | None, int | None]:
        """Return why it was not taken, or the status with which it was."""
        body = json.dumps(told, ensure_ascii=False).encode()
        secret = self._config.call_secret
        key = None if secret is None else secret.get_secret_value()
        try:
            sent = await deliver_once(url, body, key, id, self._config, self._rules)
        except DeliveryError as error:
            return error, None
        return None, sent.status

    def _after(self, errand: Errand, failure: DeliveryError) -> Outcome | Again:
        after_s = pause_s(failure, errand, self._config, time.time())
        if after_s is not None:
            return Again(after_s)
        _log.warning("delivery given up", delivery=errand.id, error=str(failure))
        return Outcome.OVER

    async def _tell(
        self, event: Told, url: str, number: int, id: str, text: str | None = None
    ) -> None:
        note = json.dumps({"url": url, "body": news(event, number, text)}, ensure_ascii=False)
        errand = Errand(self._kind, id, 1, time.time(), lane(url), note)
        try:
            await self._enqueue(errand)
        except Exception:  # noqa: BLE001 - whatever the queue's database says, the call goes on
            _log.exception("news of a call were not kept", delivery=id)


def _id(call_id: CallId, started_at: datetime, what: str) -> str:
    """Return the id of a delivery: with the call's start, for a PBX may use a call's id again."""
    return f"{call_id}@{round(started_at.timestamp() * 1000)}/{what}"


def news(event: Told, number: int, text: str | None = None) -> dict[str, JsonValue]:
    """Return what is delivered of an event; docs/webhooks.md describes it.

    Args:
        event: which.
        number: counts what is delivered of one call, from 1; deliveries may overtake each other.
        text: of the whole call, with its end; None where it is not known.
    """
    told = _NEWS.dump_python(event, mode="json")
    if isinstance(event, CallEnded):
        del told["ledgers"]  # where every sample went is the operator's business
        told["text"] = text
    return {"event": _NAMES[type(event)], "number": number, **told}
