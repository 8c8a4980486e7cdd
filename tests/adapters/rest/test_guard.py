from pathlib import Path

import pytest

from ruasr_tel_adapters.rest import RestConfig
from ruasr_tel_adapters.rest.guard import is_loopback
from tests.adapters.rest.fakes import Rest, listening


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:1", "[::1]:1", "192.0.2.1", "localhost", "LocalHost.:49153"]
)
async def test_an_address_and_localhost_name_this_server(rest: Rest, host: str) -> None:
    await rest.json("GET", "/v1/calls", headers={"Host": host})


@pytest.mark.parametrize(
    "host", ["evil.example:49153", "localhost.evil.example", "127.0.0.1.evil.example", "a b", ":1"]
)
async def test_another_name_is_refused_to_whoever_calls_by_it(rest: Rest, host: str) -> None:
    headers = {"Host": host, "Origin": f"http://{host}"}
    problem = await rest.json("GET", "/v1/calls", 403, headers=headers)
    assert problem["detail"] == (
        f"{host} is not a name of this server; call it by its address, or name it in "
        "doors.rest.allowed_hosts"
    )
    await rest.json("POST", "/v1/recordings", 403, json={"url": "http://a/b"}, headers=headers)
    assert rest.recordings.orders == []


@pytest.mark.parametrize("host", ["asr.example", "ASR.example:443", "localhost", "127.0.0.1"])
async def test_names_can_be_allowed(tmp_path: Path, host: str) -> None:
    async with listening(tmp_path, RestConfig(allowed_hosts=("asr.example",))) as rest:
        await rest.json("GET", "/v1/calls", headers={"Host": host})
        await rest.json("GET", "/v1/calls", 403, headers={"Host": "evil.example"})


async def test_a_door_that_listens_on_more_checks_only_what_it_is_told(tmp_path: Path) -> None:
    headers = {"Host": "pbx.example"}
    for folder, allowed, status in (
        ("a", (), 200),
        ("b", ("asr.example",), 403),
        ("c", ("*",), 200),
    ):
        (tmp_path / folder).mkdir()
        config = RestConfig(host="0.0.0.0", allowed_hosts=allowed)
        async with listening(tmp_path / folder, config) as rest:
            await rest.json("GET", "/v1/calls", status, headers=headers)


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        *[(host, True) for host in ("127.0.0.1", "127.1.2.3", "::1", "localhost")],
        *[(host, False) for host in ("0.0.0.0", "::", "pbx.example")],
    ],
)
def test_loopback_is_told_from_the_rest(host: str, answer: bool) -> None:
    assert is_loopback(host) is answer


async def test_a_page_of_another_site_may_read_nothing_and_change_nothing(rest: Rest) -> None:
    order, headers = {"url": "http://a/b"}, {"Origin": "https://evil.example"}
    problem = await rest.json("POST", "/v1/recordings", 403, json=order, headers=headers)
    assert problem["detail"] == (
        "the page is from https://evil.example, not from here (doors.rest.allowed_origins)"
    )
    await rest.json("POST", "/v1/recordings", 403, json=order, headers={"Origin": "null"})
    headers = {"Origin": rest.door.url}
    await rest.json("POST", "/v1/recordings", 202, json=order, headers=headers)


async def test_origins_can_be_allowed(tmp_path: Path) -> None:
    order, headers = {"url": "http://a/b"}, {"Origin": "https://crm.example"}
    async with listening(tmp_path, RestConfig(allowed_origins=("https://crm.example",))) as rest:
        await rest.json("POST", "/v1/recordings", 202, json=order, headers=headers)
