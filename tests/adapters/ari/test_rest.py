"""Requests to a fake Asterisk: answers, errors, silence."""

import socket

import pytest

from ruasr_tel_adapters.ari import rest
from ruasr_tel_adapters.ari.config import AriConfig
from ruasr_tel_adapters.ari.rest import Ari, AriAway, AriRefused
from tests.adapters.ari.fake_ari import fake_ari


async def opened(url: str, **settings: object) -> Ari:
    ari = Ari(AriConfig.model_validate({"url": url, "password": "secret", **settings}))
    await ari.open()
    return ari


async def test_a_path_is_quoted_and_text_goes_as_json() -> None:
    async with fake_ari() as pbx:
        pbx.channels["a/b"] = {"id": "a/b"}
        pbx.variables["a/b"] = {}
        pbx.in_app.add("a/b")
        ari = await opened(pbx.url)
        await ari.request("POST", "channels", "a/b", "variable", variable="X", value="да & нет")
        assert await ari.variable("a/b", "X") == "да & нет"
        assert await ari.variable("a/b", "Y") is None
        assert await ari.request("GET", "channels") == [{"id": "a/b"}]
        await ari.close()


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (401, "must be a user of ari.conf"),
        (403, "must not be read_only"),
        (404, "doors.ari.url must end in /ari"),
        (302, "HTTP 302"),
    ],
)
async def test_an_error_says_what_to_do(status: int, says: str) -> None:
    async with fake_ari() as pbx:
        ari = await opened(pbx.url)
        pbx.fail = {"channels": status}
        with pytest.raises(AriRefused, match=says) as caught:
            await ari.request("POST", "channels", app="x")
        assert caught.value.status == status
        await ari.close()


async def test_nobody_there_is_away() -> None:
    async with fake_ari() as pbx:
        url = pbx.url
    ari = await opened(url)
    for request in (ari.request("GET", "channels"), ari.variable("1", "X")):
        with pytest.raises(AriAway):
            await request
    with pytest.raises(AriAway, match="events"):
        async with ari.events():
            pass
    await ari.close()


async def test_a_server_that_says_nothing_is_away() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:  # the kernel connects, nobody answers
        port = mute.getsockname()[1]
        ari = await opened(f"http://127.0.0.1:{port}/ari", request_timeout_s=0.1)
        with pytest.raises(AriAway, match="TimeoutError"):
            await ari.request("GET", "channels")
        with pytest.raises(AriAway):
            async with ari.events():
                pass
        await ari.close()


async def test_a_connection_that_rested_too_long_is_not_used_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connections: list[object] = []
    for kept_s, wanted in ((60.0, 1), (0.0, 2)):
        monkeypatch.setattr(rest, "KEEP_ALIVE_S", kept_s)
        async with fake_ari() as pbx:
            ari = await opened(pbx.url)
            for _ in range(2):
                await ari.request("GET", "channels")
            connections = pbx.peers
            await ari.close()
        assert len(set(connections)) == wanted


async def test_a_wrong_password_is_refused_at_the_events() -> None:
    async with fake_ari() as pbx:
        ari = await opened(pbx.url, username="else")
        with pytest.raises(AriRefused, match="HTTP 401"):
            async with ari.events():
                pass
        await ari.close()
