"""Delivers a result to the address that was asked for: signed, once, with a plain outcome.

Trying again is the business of the durable queue; `next_delay_s` tells it when.
"""

import asyncio
import hashlib
import hmac
import random
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
from pydantic import Field, SecretStr, field_validator

from ruasr_tel.errors import AddressRefused, DeliveryError, FetchError
from ruasr_tel.recordings.addresses import AddressRules
from ruasr_tel.recordings.answers import retry_after_s
from ruasr_tel.recordings.client import Client, parse_url, usable
from ruasr_tel.section import Section

SIGNATURE_HEADER = "Ruasr-Signature"
DELIVERY_HEADER = "Ruasr-Delivery"
"""Holds the delivery id: the same in every attempt, for the receiver to tell repetitions."""
TOLERANCE_S = 300
"""How old a signature may be, as documented by Stripe ("Verify webhook signatures"): longer than
clocks differ, shorter than somebody who recorded a delivery would like."""

_ANSWER_BYTES = 1 << 16
"""How much of an answer's body is read, and thrown away, before hanging up."""
_DRAIN_S = 1.0
"""And for how long."""


class WebhookConfig(Section):
    """Delivering results to the addresses that orders name."""

    timeout_s: float = Field(15.0, gt=0)
    """Longest time for one attempt, until the receiver's status."""
    first_delay_s: float = Field(5.0, gt=0)
    """Wait after the first failure; it doubles with each one more."""
    max_delay_s: float = Field(3600.0, gt=0)
    """Longest wait between two attempts, but for a receiver that asks for more."""
    give_up_after_h: float = Field(24.0, ge=0)
    """Time between the first attempt and the last one."""
    call_url: str | None = None
    """Who is told of the live calls whose announcement names nobody; null is nobody."""
    call_secret: SecretStr | None = None
    """Signs what is delivered about live calls; an order for a recording brings its own."""
    ca_file: Path | None = None
    """Certificates of authorities trusted besides the system's, PEM."""

    _usable = field_validator("ca_file")(usable)

    @field_validator("call_url")
    @classmethod
    def _is_url(cls, text: str | None) -> str | None:
        if text is None:
            return None
        try:
            return str(parse_url(text))
        except AddressRefused as error:
            raise ValueError(str(error)) from error


@dataclass(frozen=True, slots=True)
class Delivered:
    """A delivery that was taken.

    Attributes:
        status: 200 to 299.
    """

    status: int


def sign(secret: str, timestamp: int, body: bytes) -> str:
    """Return the value of the signature header.

    Args:
        secret: what both sides know.
        timestamp: when it is sent, whole Unix seconds; signed too, so that it cannot be renewed.
        body: exactly the bytes that are sent.
    """
    signed = f"{timestamp}.".encode() + body
    return f"t={timestamp},v1={hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()}"


def verify(
    secret: str, header: str, body: bytes, *, now_s: float, tolerance_s: float = TOLERANCE_S
) -> bool:
    """Return whether a delivery is genuine and recent.

    Args:
        secret: what both sides know.
        header: value of the signature header; unknown parts of it are skipped.
        body: the bytes received, before any parsing.
        now_s: Unix time.
        tolerance_s: how far the header's time may be from it, either way.
    """
    match = re.match(r"t=(\d{1,15}),", header)
    if not match or abs(now_s - int(match[1])) > tolerance_s:
        return False
    genuine = sign(secret, int(match[1]), body).partition(",")[2].encode()
    return any(hmac.compare_digest(genuine, part.encode()) for part in header.split(",")[1:])


async def deliver_once(
    url: str,
    body: bytes,
    secret: str | None,
    delivery_id: str,
    config: WebhookConfig,
    rules: AddressRules,
    *,
    now: Callable[[], float] = time.time,
) -> Delivered:
    """Send a delivery, one attempt.

    Args:
        url: http or https; redirects are not followed.
        body: JSON.
        secret: signs it; None sends it unsigned.
        delivery_id: the same in every attempt.
        config: limits.
        rules: where connections may go.
        now: Unix time.

    Raises:
        DeliveryError: it was not taken; says why, and whether and when to try again.
    """
    headers = {"Content-Type": "application/json; charset=utf-8", DELIVERY_HEADER: delivery_id}
    if secret is not None:
        headers[SIGNATURE_HEADER] = sign(secret, int(now()), body)
    try:
        return await _post(url, body, headers, config, rules, now)
    except FetchError as exc:  # a name that is gone, an old certificate: repaired within a day
        retryable = not isinstance(exc, AddressRefused)
        raise DeliveryError(str(exc), retryable=retryable) from exc
    except TimeoutError as exc:
        sentence = f"the receiver did not answer within {config.timeout_s:g} s"
        raise DeliveryError(sentence, retryable=True) from exc


async def _post(
    url: str,
    body: bytes,
    headers: dict[str, str],
    config: WebhookConfig,
    rules: AddressRules,
    now: Callable[[], float],
) -> Delivered:
    beyond_s = 2 * config.timeout_s  # the time for the whole attempt is over before
    client = Client(rules, connect_s=beyond_s, stall_s=beyond_s, ca_file=config.ca_file)
    async with client:
        async with asyncio.timeout(config.timeout_s):
            response = await client.request("POST", parse_url(url), headers, body)
        await _drain(response)
    outcome = _outcome(response, now())
    if isinstance(outcome, DeliveryError):
        raise outcome
    return outcome


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Read a short answer to its end, so that hanging up is no error to the receiver.

    The status has decided already: what goes wrong from here on does not count.
    """
    left = _ANSWER_BYTES
    with suppress(aiohttp.ClientError, TimeoutError, ConnectionError):
        async with asyncio.timeout(_DRAIN_S):
            async for piece in response.content.iter_any():
                left -= len(piece)
                if left <= 0:
                    break
    response.close()


def _outcome(response: aiohttp.ClientResponse, now_s: float) -> Delivered | DeliveryError:
    """Return what an answer means.

    Only 410 Gone says that nothing will ever be taken there. All else may pass: a receiver that is
    being installed answers 404, one behind a sign-in page redirects, one with a fault 400.
    """
    status, host = response.status, response.url.host
    if 200 <= status < 300:
        return Delivered(status)
    if status == 410:
        return DeliveryError(f"{host} wants no more deliveries (HTTP 410)")
    if 300 <= status < 400:
        sentence = f"{host} sends deliveries on (HTTP {status}), which is not followed"
    else:
        sentence = f"{host} did not take the delivery (HTTP {status})"
    after_s = retry_after_s(response.headers, now_s)
    return DeliveryError(sentence, retryable=True, retry_after_s=after_s)


def next_delay_s(
    attempt: int,
    config: WebhookConfig,
    *,
    waited_s: float,
    retry_after_s: float | None = None,
    chance: Callable[[], float] = random.random,
) -> float | None:
    """Return how long to wait before the next attempt, or None to give up.

    The waits double up to a limit, each between half of it and all of it, so that deliveries that
    failed together do not come back together ("Exponential Backoff And Jitter", AWS Architecture
    Blog: "equal jitter"). The last attempt is made just when the time is over.

    Args:
        attempt: how many have failed, from 1.
        config: the waits and when to give up.
        waited_s: time since the first attempt.
        retry_after_s: the receiver's own wish, which may be longer.
        chance: 0..1, random.
    """
    left_s = config.give_up_after_h * 3600 - waited_s
    if left_s <= 0:
        return None
    doublings = min(attempt - 1, 60)  # 2.0 ** 1024 overflows
    delay_s = min(config.max_delay_s, config.first_delay_s * 2.0**doublings)
    delay_s *= 0.5 + 0.5 * chance()
    return min(left_s, max(delay_s, retry_after_s or 0.0))
