import asyncio
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruasr_tel.errors import FetchError
from ruasr_tel.recordings.client import USER_AGENT, Client, parse_url
from tests.core.recordings.peers import End, Reply, answer, host, loopback_rules


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("http://a.example", "http://a.example/"),
        (" HTTPS://A.Example:8443/x \n", "https://a.example:8443/x"),
        ("http://a.example/%7e/%2F?s=%2B+&t=%3d#part", "http://a.example/%7e/%2F?s=%2B+&t=%3d"),
        ("http://пример.рф/ю 1.wav", "http://xn--e1afmkfd.xn--p1ai/%D1%8E%201.wav"),
        ("http://a.example/a b", "http://a.example/a%20b"),
        ("http://[2001:DB8::1]:81/x", "http://[2001:db8::1]:81/x"),
        ("http://①②⑦.0.0.1/", "http://127.0.0.1/"),
    ],
)
def test_a_url_keeps_its_path_as_written(text: str, url: str) -> None:
    assert str(parse_url(text)) == url


@pytest.mark.parametrize(
    "text", ["http://a@b.example/", "http://:p@b.example/", "http://@b.example/", "http://a:b@c/"]
)
def test_a_password_in_a_url_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(FetchError, match=r"^the URL holds a user name or a password, which would"):
        parse_url(text)


@pytest.mark.parametrize("text", [r"http://good.example\@evil.example/", "http://a:b/", "http://["])
def test_what_libraries_read_differently_is_no_url(text: str) -> None:
    with pytest.raises(FetchError, match=r"^this is not a URL that can be read$"):
        parse_url(text)


@settings(deadline=None)
@given(st.text(max_size=60), st.sampled_from(["", "http://", "https://a.example/", "http://a:"]))
def test_any_text_is_a_url_or_a_sentence(text: str, start: str) -> None:
    with suppress(FetchError):
        url = parse_url(start + text)
        assert url.scheme in ("http", "https")
        assert url.raw_host
        assert str(url).isascii()
        assert not url.user
        assert not url.raw_fragment


async def test_a_request_carries_nothing_of_an_earlier_answer() -> None:
    rules = loopback_rules()
    async with (
        host(Reply(answer(b"", "Set-Cookie: a=b; Domain=records.example"))) as peer,
        Client(rules, connect_s=5, stall_s=5) as client,
    ):
        for _ in range(2):
            (await client.request("GET", parse_url(peer.url()), {})).close()
    assert peer.header("Cookie") is None
    assert peer.header("User-Agent") == USER_AGENT


async def test_an_answer_is_not_unpacked() -> None:
    packed = answer(b"\x1f\x8b", "Content-Encoding: gzip")
    async with (
        host(Reply(packed)) as peer,
        Client(loopback_rules(), connect_s=5, stall_s=5) as client,
    ):
        response = await client.request("GET", parse_url(peer.url()), {})
        assert await response.read() == b"\x1f\x8b"


async def test_a_connection_that_never_comes_about() -> None:
    """A TLS handshake that the peer does not answer is part of connecting."""
    async with (
        host(Reply(b"", End.HANG)) as peer,
        Client(loopback_rules(), connect_s=0.05, stall_s=5) as client,
    ):
        url = parse_url(peer.url().replace("http", "https"))
        with pytest.raises(FetchError) as caught:
            await asyncio.wait_for(client.request("GET", url, {}), 5)
    assert str(caught.value) == "records.example cannot be reached: no connection within 0.05 s"
    assert caught.value.retryable is True
