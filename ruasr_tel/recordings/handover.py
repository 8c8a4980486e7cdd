"""Brings results to those who asked for it; each try is an errand of its own."""

import json
import time
from collections.abc import Callable

import structlog
from pydantic import JsonValue
from yarl import URL

from ruasr_tel.errors import DeliveryError
from ruasr_tel.recordings.addresses import AddressRules
from ruasr_tel.recordings.deliver import WebhookConfig, deliver_once, next_delay_s
from ruasr_tel.recordings.durable import Again, Errand, Outcome
from ruasr_tel.recordings.model import Recording, State
from ruasr_tel.recordings.render import to_json
from ruasr_tel.recordings.states import States
from ruasr_tel.store import Delivery, Store

NOT_YET_S = 1.0
"""Wait when the state is not written yet."""

_log = structlog.get_logger(__name__)


class Handover:
    """Delivers results.

    Args:
        config: limits.
        rules: where connections may go.
        store: results, secrets, and the list of tries.
        states: changes states.
        now_s: Unix time.
    """

    def __init__(
        self,
        config: WebhookConfig,
        rules: AddressRules,
        store: Store,
        states: States,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._rules = rules
        self._store = store
        self._states = states
        self._now_s = now_s

    async def deliver(self, errand: Errand) -> Outcome | Again:
        """Send the result once."""
        recording = await self._store.recording(errand.id)
        if recording is None or recording.state in (State.CANCELLED, State.DONE):
            return Outcome.OVER
        if recording.state not in (State.DELIVERING, State.FAILED):
            return Again(NOT_YET_S)
        url = recording.order.callback_url
        assert url is not None, "nobody asked for a delivery"
        failure = await self._send(recording, url, errand.attempt)
        if failure is None:
            await self._states.set(recording.id, State.DONE)
            return Outcome.OVER
        after_s = pause_s(failure, errand, self._config, self._now_s())
        if after_s is not None:
            return Again(after_s)
        await self.give_up(errand, str(failure))
        return Outcome.OVER

    async def give_up(self, errand: Errand, reason: str) -> None:
        """Say that the result was not delivered; it stays where it is."""
        _log.warning("delivery given up", recording=errand.id, error=reason)
        said = f"the result could not be delivered: {reason}"
        await self._states.set(errand.id, State.DONE, reason=said)

    async def _send(self, recording: Recording, url: str, attempt: int) -> DeliveryError | None:
        """Send it; return why it was not taken, or None. Either is written down."""
        body = json.dumps(payload(recording), ensure_ascii=False).encode()
        secret = await self._store.callback_secret(recording.id)
        failure, status = None, None
        try:
            delivered = await deliver_once(
                url, body, secret, recording.id, self._config, self._rules
            )
            status = delivered.status
        except DeliveryError as error:
            failure = error
        await self._store.add_delivery(
            Delivery(
                recording.id,
                attempt,
                url,
                self._store.now(),
                recording_id=recording.id,
                status=status,
                error=None if failure is None else str(failure),
            )
        )
        return failure


def pause_s(
    failure: DeliveryError, errand: Errand, config: WebhookConfig, now_s: float
) -> float | None:
    """Return how long to wait before sending again, or None to give up."""
    if not failure.retryable:
        return None
    waited_s = now_s - errand.since_s
    wish_s = failure.retry_after_s
    return next_delay_s(errand.attempt, config, waited_s=waited_s, retry_after_s=wish_s)


def lane(url: str) -> str:
    """Return what deliveries to one receiver share: its host."""
    try:
        return URL(url).host or "?"
    except ValueError:
        return "?"


def payload(recording: Recording) -> dict[str, JsonValue]:
    """Return what is delivered; docs/webhooks.md describes it."""
    order, result = recording.order, recording.result
    state = State.FAILED if result is None else State.DONE
    return {
        "event": f"recording.{state.value}",
        "id": recording.id,
        "state": state.value,
        "reason": recording.reason,
        "name": order.name,
        "url": order.url,
        "metadata": dict(order.metadata),
        "created_at": recording.created_at.isoformat(),
        "result": None if result is None else to_json(result),
    }
