import pickle
import re
import time
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruasr_tel.errors import DeliveryError
from ruasr_tel.recordings.addresses import AddressRules
from ruasr_tel.recordings.deliver import (
    Delivered,
    WebhookConfig,
    deliver_once,
    next_delay_s,
    sign,
    verify,
)
from tests.core.recordings.peers import End, Reply, answer, host, loopback_rules, names

QUICK = WebhookConfig(timeout_s=5)
BODY = '{"text": "алло"}'.encode()
NOW = 1_700_000_000.5
GENUINE = "t=1700000000,v1=528c5428bafaa137b10858b8b14b2a41abf6d9bc5bd9d38767cea869a96c8ab7"


async def deliver(
    url: str, secret: str | None = "тайна", settings: WebhookConfig = QUICK, **known: str
) -> Delivered:
    rules = loopback_rules(**known)
    return await deliver_once(url, BODY, secret, "d-1", settings, rules, now=lambda: NOW)


async def failed(
    *replies: Reply, settings: WebhookConfig = QUICK
) -> tuple[str, bool, float | None]:
    async with host(*replies) as peer:
        with pytest.raises(DeliveryError) as caught:
            await deliver(peer.url("/hook"), settings=settings)
    error = caught.value
    return str(error), error.retryable, error.retry_after_s


def test_a_signature_that_others_can_compute() -> None:
    """Computed with `printf '1700000000.{…}' | openssl dgst -sha256 -hmac тайна`."""
    assert sign("тайна", 1_700_000_000, BODY) == GENUINE


def test_a_genuine_delivery_is_believed() -> None:
    assert verify("тайна", GENUINE, BODY, now_s=NOW)
    assert verify("тайна", GENUINE.replace(",", ",v2=later,v1=00,"), BODY, now_s=NOW)


@pytest.mark.parametrize(
    ("secret", "header", "body", "now_s"),
    [
        ("другая", GENUINE, BODY, NOW),
        ("тайна", GENUINE, BODY + b" ", NOW),
        ("тайна", GENUINE, BODY, NOW + 301),
        ("тайна", GENUINE, BODY, NOW - 302),
        ("тайна", GENUINE.replace("t=17", "t=18"), BODY, NOW + 1e8),
        ("тайна", GENUINE.replace("v1", "v0"), BODY, NOW),
        ("тайна", GENUINE[:-1], BODY, NOW),
        ("тайна", "t=1700000000,v1=щ", BODY, NOW),
        ("тайна", "t=1700000000", BODY, NOW),
        ("тайна", "", BODY, NOW),
    ],
)
def test_nothing_else_is_believed(secret: str, header: str, body: bytes, now_s: float) -> None:
    assert not verify(secret, header, body, now_s=now_s)


@settings(deadline=None)
@given(st.text(), st.integers(0, 10**12), st.binary(), st.floats(-300, 300))
def test_what_is_signed_is_believed_within_the_tolerance(
    secret: str, timestamp: int, body: bytes, late_s: float
) -> None:
    assert verify(secret, sign(secret, timestamp, body), body, now_s=timestamp + late_s)


@settings(deadline=None)
@given(st.text())
def test_no_header_is_too_odd(header: str) -> None:
    assert verify("s", header, b"", now_s=0) is False


async def test_what_is_sent() -> None:
    async with host(Reply(answer(b"ok", status="202 Accepted"))) as peer:
        assert await deliver(peer.url("/hook?key=1")) == Delivered(202)
    assert peer.bodies == [BODY]
    assert peer.requests[0].startswith("POST /hook?key=1 HTTP/1.1\r\n")
    assert peer.header("Content-Type") == "application/json; charset=utf-8"
    assert peer.header("Ruasr-Delivery") == "d-1"
    assert verify("тайна", peer.header("Ruasr-Signature") or "", peer.bodies[0], now_s=NOW)


async def test_without_a_secret_it_is_not_signed() -> None:
    async with host(Reply(answer(status="204 No Content", length=False))) as peer:
        assert await deliver(peer.url(), secret=None) == Delivered(204)
    assert peer.header("Ruasr-Signature") is None


@pytest.mark.parametrize(
    ("reply", "sentence", "retryable", "retry_after_s"),
    [
        (
            answer(status="410 Gone"),
            "records.example wants no more deliveries (HTTP 410)",
            False,
            None,
        ),
        (
            answer(b"", "Retry-After: 120", status="429 Slow"),
            "records.example did not take the delivery (HTTP 429)",
            True,
            120.0,
        ),
        (
            answer(b"", "Retry-After: Tue, 14 Nov 2023 22:13:30 GMT", status="503 No"),
            "records.example did not take the delivery (HTTP 503)",
            True,
            9.5,
        ),
        (
            answer(status="500 No"),
            "records.example did not take the delivery (HTTP 500)",
            True,
            None,
        ),
        (
            answer(status="404 No"),
            "records.example did not take the delivery (HTTP 404)",
            True,
            None,
        ),
        (
            answer(b"", "Location: /elsewhere", status="307 Moved"),
            "records.example sends deliveries on (HTTP 307), which is not followed",
            True,
            None,
        ),
        (b"", "records.example hung up without an answer", True, None),
    ],
)
async def test_a_delivery_that_is_not_taken(
    reply: bytes, sentence: str, retryable: bool, retry_after_s: float | None
) -> None:
    assert await failed(Reply(reply)) == (sentence, retryable, retry_after_s)


async def test_a_redirect_is_not_followed() -> None:
    async with host(Reply(answer(b""))) as other:
        redirect = answer(b"", f"Location: {other.url()}", status="307 Moved")
        assert (await failed(Reply(redirect)))[1] is True
    assert other.requests == []


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 200 OK\r\n"])
async def test_a_receiver_that_is_slow(begun: bytes) -> None:
    assert await failed(Reply(begun, End.HANG), settings=WebhookConfig(timeout_s=0.1)) == (
        "the receiver did not answer within 0.1 s",
        True,
        None,
    )


async def test_an_answer_without_end_is_not_read_to_its_end() -> None:
    endless = answer(b"x" * 10_000_000, "Content-Length: 99999999999", length=False)
    async with host(Reply(endless, End.HANG)) as peer:
        assert await deliver(peer.url()) == Delivered(200)


async def test_a_status_counts_though_the_rest_breaks_off() -> None:
    cut = answer(b"x", "Content-Length: 500", length=False)
    async with host(Reply(cut)) as peer:
        assert await deliver(peer.url()) == Delivered(200)


async def test_a_status_counts_though_the_rest_never_comes() -> None:
    begun = answer(b"x", "Content-Length: 500", length=False)
    async with host(Reply(begun, End.HANG)) as peer:
        assert await deliver(peer.url(), settings=WebhookConfig(timeout_s=0.5)) == Delivered(200)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://pbx.example/", "pbx.example leads to a private network, where "),
        ("http://169.254.169.254/", "169.254.169.254 leads to a link-local network, where "),
        ("https://a:b@records.example/", "the URL holds a user name or a password, which "),
        ("smtp://records.example/", "the URL must begin with http:// or https://"),
    ],
)
async def test_the_rules_of_fetching_are_the_rules_of_delivering(url: str, sentence: str) -> None:
    rules = AddressRules(lookup=names(pbx_example="10.1.2.3"))
    with pytest.raises(DeliveryError) as caught:
        await deliver_once(url, BODY, None, "d-1", QUICK, rules)
    assert str(caught.value).startswith(sentence)
    assert caught.value.retryable is False


async def test_a_host_may_exist_again_tomorrow() -> None:
    with pytest.raises(DeliveryError) as caught:
        await deliver("http://gone.example/")
    assert str(caught.value) == "the host gone.example does not exist"
    assert caught.value.retryable is True


def waits(config: WebhookConfig, chances: list[float]) -> list[float]:
    """Return every wait until deliveries are given up."""
    found: list[float] = []
    for attempt in count(1):
        chance = chances[attempt % len(chances)]
        delay_s = next_delay_s(attempt, config, waited_s=sum(found), chance=lambda: chance)  # noqa: B023
        if delay_s is None:
            return found
        found.append(delay_s)
    raise AssertionError


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_the_waits_add_up_to_a_day(chances: list[float]) -> None:
    found = waits(WebhookConfig(), chances)
    assert sum(found) == pytest.approx(24 * 3600)
    assert all(0 < delay_s <= 3600 for delay_s in found)
    assert 30 <= len(found) <= 65


def test_the_waits_double_up_to_an_hour() -> None:
    assert waits(WebhookConfig(), [1.0])[:12] == [
        *(5.0 * 2**doubling for doubling in range(10)),
        3600.0,
        3600.0,
    ]
    assert waits(WebhookConfig(), [0.0])[:3] == [2.5, 5.0, 10.0]


def test_the_receivers_wish_is_honoured_within_the_day() -> None:
    config = WebhookConfig()
    assert next_delay_s(1, config, waited_s=0, retry_after_s=7200) == 7200
    assert next_delay_s(1, config, waited_s=0, retry_after_s=1e9) == 24 * 3600
    assert next_delay_s(1, config, waited_s=0, retry_after_s=0, chance=lambda: 1.0) == 5
    assert next_delay_s(9999, config, waited_s=0, chance=lambda: 1.0) == 3600
    assert next_delay_s(3, config, waited_s=24 * 3600) is None


def test_no_second_attempt_where_none_is_wanted() -> None:
    assert next_delay_s(1, WebhookConfig(give_up_after_h=0), waited_s=0) is None


def test_the_error_survives_a_queue() -> None:
    error = DeliveryError("no", retryable=True, retry_after_s=3.0)
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.retryable, copy.retry_after_s) == ("no", True, 3.0)


def test_the_example_of_the_documentation_believes_the_same() -> None:
    page = Path("docs/webhooks.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"(?s)```python\n(.*?)```", page)
    example: dict[str, Any] = {}
    exec(code, example)
    now = int(time.time())
    header = sign("тайна", now, BODY)
    assert example["genuine"]("тайна", header, BODY) is True
    assert example["genuine"]("тайна", f"{header},v2=x", BODY) is True
    assert example["genuine"]("тайна", header, BODY + b" ") is False
    assert example["genuine"]("тайна", sign("тайна", now - 400, BODY), BODY) is False
    assert example["genuine"]("тайна", "nonsense", BODY) is False
    assert GENUINE in page
