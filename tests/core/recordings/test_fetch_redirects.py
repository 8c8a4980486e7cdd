import asyncio
import base64
import pickle
import ssl
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from ruasr_tel.errors import FetchError
from ruasr_tel.recordings.addresses import AddressRules, networks
from ruasr_tel.recordings.deliver import WebhookConfig
from ruasr_tel.recordings.fetch import FetchConfig, HostAccess, fetch
from tests.core.recordings.fetching import (
    TLS,
    WAV,
    config,
    fetched,
    outcome,
    refused,
)
from tests.core.recordings.peers import Host, Reply, answer, host, loopback_rules, names


def moved(location: str, status: str = "302 Found") -> Reply:
    return Reply(answer(b"moved", f"Location: {location}", status=status))


@pytest.mark.parametrize("status", ["301 Moved", "302 F", "303 S", "307 T", "308 P"])
async def test_redirects_are_followed(tmp_path: Path, status: str) -> None:
    async with host(
        moved("/%D0%B0/1.wav?a=%2F", status), moved("2.wav"), Reply(answer(WAV))
    ) as peer:
        got = await fetched(tmp_path / "file", peer, path="/download")
    assert [head.split(" ")[1] for head in peer.requests] == [
        "/download",
        "/%D0%B0/1.wav?a=%2F",
        "/%D0%B0/2.wav",
    ]
    assert got.name == "download"


async def test_a_fourth_redirect_is_not_followed(tmp_path: Path) -> None:
    async with host(moved("/again")) as peer:
        error = await refused(peer.url(), tmp_path / "file")
    assert str(error) == "records.example sends us on more than 3 times"
    assert len(peer.requests) == 4


@pytest.mark.parametrize(
    ("location", "sentence"),
    [
        ("http://127.0.0.1/", "127.0.0.1 leads to this server itself (loopback), where "),
        ("http://[::ffff:7f00:1]/", "::ffff:7f00:1 leads to this server itself (loopback), where "),
        ("//169.254.169.254/latest", "169.254.169.254 leads to a link-local network, where "),
        ("http://2130706433/", "'2130706433' is not the name of a host"),
        ("http://pbx.example/", "pbx.example leads to a private network, where "),
        ("file:///etc/passwd", "the URL must begin with http:// or https://"),
        ("http://a:b@records.example/", "the URL holds a user name or a password"),
        ("http://unknown.example/", "the host unknown.example does not exist"),
    ],
)
async def test_a_redirect_is_checked_as_the_first_url_was(
    tmp_path: Path, location: str, sentence: str
) -> None:
    async with host(moved(location), address="127.0.0.9") as peer:
        lookup = names(records_example="127.0.0.9", pbx_example="10.1.2.3")
        rules = AddressRules(networks(["127.0.0.9"]), lookup=lookup)
        peer_url = peer.url()
        error = await refused(peer_url, tmp_path / "file", rules=rules)
    assert str(error).startswith(f"records.example sends us on, but {sentence}")
    assert error.retryable is False


async def test_a_redirect_to_nonsense(tmp_path: Path) -> None:
    said, _ = await outcome(tmp_path, moved("http://[::1"))
    assert said == "records.example sends us on to what is not a URL"


# --- credentials

BASIC = "Basic " + base64.b64encode("оператор:тайна".encode()).decode()
ACCESS = HostAccess(user="оператор", password=SecretStr("тайна"), headers={"X-Key": SecretStr("k")})


@pytest.mark.parametrize("key", ["records.example", "Records.Example.", "records.example:{port}"])
async def test_a_host_gets_what_is_configured_for_it(tmp_path: Path, key: str) -> None:
    async with host(moved("/2"), Reply(answer(WAV))) as peer:
        settings = config(credentials={key.format(port=peer.port): ACCESS})
        await fetched(tmp_path / "file", peer, settings)
    for request in (0, 1):
        assert peer.header("Authorization", request) == BASIC
        assert peer.header("X-Key", request) == "k"


async def test_another_host_or_port_gets_nothing(tmp_path: Path) -> None:
    async with host(Reply(answer(WAV))) as other, host(moved(other.url())) as peer:
        settings = config(credentials={f"records.example:{peer.port}": ACCESS})
        await fetched(tmp_path / "file", peer, settings)
    assert peer.header("X-Key") == "k"
    assert other.header("X-Key") is None
    assert other.header("Authorization") is None


async def test_who_sends_us_to_a_host_gets_not_its_credentials(tmp_path: Path) -> None:
    async with host(Reply(answer(WAV))) as target, host(moved(target.url())) as peer:
        settings = config(credentials={"records.example": ACCESS})
        rules = loopback_rules(lure_example="127.0.0.1")
        await fetch(peer.url(host="lure.example"), tmp_path / "file", settings, rules=rules)
    assert target.header("X-Key") is None


async def test_credentials_dropped_once_do_not_come_back(tmp_path: Path) -> None:
    async with host(moved("http://lure.example:{0}/"), Reply(answer(WAV))) as peer:
        peer.replies = [
            moved(peer.url(host="lure.example")),
            moved(peer.url()),
            Reply(answer(WAV)),
        ]
        settings = config(credentials={"records.example": ACCESS})
        rules = loopback_rules(lure_example="127.0.0.1")
        await fetch(peer.url(), tmp_path / "file", settings, rules=rules)
    assert [peer.header("X-Key", request) for request in range(3)] == ["k", None, None]


@pytest.mark.parametrize(
    ("headers", "sentence"),
    [
        ({"X Key": "k"}, "'X Key' and its value do not make a header"),
        ({"X": "a\r\nB: c"}, "'X' and its value do not make a header"),
        ({"Host": "a"}, "Host is set by the server itself"),
    ],
)
def test_headers_that_cannot_be_sent(headers: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        HostAccess.model_validate({"headers": headers})


def test_secrets_are_not_shown() -> None:
    shown = f"{ACCESS!r} {ACCESS.model_dump_json()}"
    assert "тайна" not in shown
    assert "'k'" not in shown


def test_a_network_that_is_none_is_a_mistake_in_the_configuration() -> None:
    with pytest.raises(ValidationError, match=r"'10\.0' does not appear to be"):
        FetchConfig(allow_cidrs=["10.0"])


# --- https


def server_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(TLS / "records.example.pem", TLS / "records.example.key")
    return context


async def https(to: Path, name: str, settings: FetchConfig) -> Host:
    rules = loopback_rules(other_example="127.0.0.1")
    async with host(Reply(answer(WAV)), tls=server_tls()) as peer:
        url = f"https://{name}:{peer.port}/call.wav"
        await fetch(url, to, settings, rules=rules)
    return peer


async def test_https_to_the_checked_address_under_the_hosts_own_name(tmp_path: Path) -> None:
    peer = await https(
        tmp_path / "file", "records.example", config(ca_file=TLS / "records.example.pem")
    )
    assert peer.header("Host") == f"records.example:{peer.port}"


@pytest.mark.parametrize(
    ("name", "trusted"), [("records.example", False), ("other.example", True), ("127.0.0.1", True)]
)
async def test_a_certificate_of_somebody_else_is_refused(
    tmp_path: Path, name: str, trusted: bool
) -> None:
    settings = config(ca_file=TLS / "records.example.pem" if trusted else None)
    with pytest.raises(FetchError, match=f"^the certificate of {name} cannot be trusted$"):
        await https(tmp_path / "file", name, settings)


async def test_https_where_there_is_none(tmp_path: Path) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 smtp ready\r\n")
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        error = await refused(f"https://records.example:{port}/", tmp_path / "file")
    assert str(error) == "records.example does not speak https as it should"


@pytest.mark.parametrize("path", ["pyproject.toml", "nowhere.pem"])
def test_an_authority_that_is_no_certificate(path: str) -> None:
    with pytest.raises(ValidationError, match=f"{path} holds no certificates in PEM form"):
        FetchConfig.model_validate({"ca_file": path})
    with pytest.raises(ValidationError, match=f"{path} holds no certificates in PEM form"):
        WebhookConfig.model_validate({"ca_file": path})


def test_the_error_survives_a_queue() -> None:
    copy = pickle.loads(pickle.dumps(FetchError("no", retryable=True)))
    assert (str(copy), copy.retryable) == ("no", True)
