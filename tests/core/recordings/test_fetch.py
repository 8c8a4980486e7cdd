import asyncio
import base64
import pickle
import re
import ssl
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from ruasr_tel.errors import FetchError
from ruasr_tel.recordings.addresses import AddressRules, networks
from ruasr_tel.recordings.fetch import FetchConfig, Fetched, HostAccess, fetch
from tests.core.recordings.peers import End, Host, Reply, answer, host, loopback_rules, names

WAV = Path("tests/data/wav/vm-intro.wav").read_bytes()
TLS = Path("tests/data/tls")
TAG = 'ETag: "1"'
QUICK = FetchConfig(
    total_timeout_s=20, stall_timeout_s=5, connect_timeout_s=5, max_resumes=2, resume_delay_s=0
)


def config(**changes: object) -> FetchConfig:
    return FetchConfig.model_validate(QUICK.model_dump() | changes)


async def refused(
    url: str, to: Path, settings: FetchConfig = QUICK, rules: AddressRules | None = None
) -> FetchError:
    with pytest.raises(FetchError) as caught:
        await fetch(url, to, settings, rules=rules or loopback_rules())
    assert_no_file(to)
    return caught.value


def assert_no_file(to: Path) -> None:
    """A fetch that failed leaves nothing."""
    assert not to.exists()
    assert not to.is_symlink()


async def outcome(tmp_path: Path, *replies: Reply, **changes: object) -> tuple[str, bool]:
    """Return the sentence and whether it may succeed later."""
    async with host(*replies) as peer:
        error = await refused(peer.url(), tmp_path / "file", config(**changes))
    return str(error), error.retryable


async def fetched(
    to: Path, peer: Host, settings: FetchConfig = QUICK, path: str = "/call.wav"
) -> Fetched:
    return await fetch(peer.url(path), to, settings, rules=loopback_rules())


def honest(head: str) -> Reply:
    """Serve the recording and parts of it as RFC 9110 wants it."""
    asked = re.search(r"(?im)^range: bytes=(\d+)-\r$", head)
    same = re.search(r'(?im)^if-range: "1"\r$', head)
    return Reply(part(int(asked[1])) if asked and same else answer(WAV, TAG))


def part(start: int, end: int | None = None, total: int | str = len(WAV)) -> bytes:
    body = WAV[start:end]
    span = f"Content-Range: bytes {start}-{start + len(body) - 1}/{total}"
    return answer(body, span, status="206 Partial Content")


async def test_a_recording_arrives_with_its_size_kind_and_name(tmp_path: Path) -> None:
    to, told = tmp_path / "file", list[float]()
    async with host(Reply(answer(WAV))) as peer:
        got = await fetch(peer.url(), to, QUICK, rules=loopback_rules(), progress=told.append)
    assert got == Fetched(to, len(WAV), "audio/wav", "call.wav")
    assert to.read_bytes() == WAV
    assert told == [1.0]


async def test_what_is_asked(tmp_path: Path) -> None:
    async with host(Reply(answer(WAV))) as peer:
        await fetched(tmp_path / "file", peer, path="/rec%2F1.wav?sig=%7e%2B")
    assert peer.requests[0].startswith("GET /rec%2F1.wav?sig=%7e%2B HTTP/1.1\r\n")
    assert peer.header("Host") == f"records.example:{peer.port}"
    assert peer.header("Accept-Encoding") == "identity"
    assert peer.header("Authorization") is None


async def test_bytes_may_come_one_by_one(tmp_path: Path) -> None:
    async with host(Reply(answer(WAV[:3000]), piece=1)) as peer:
        assert (await fetched(tmp_path / "file", peer)).bytes == 3000


async def test_a_long_recording_is_written_and_told_in_parts(tmp_path: Path) -> None:
    to, told, long = tmp_path / "file", list[float](), WAV + bytes(5_000_000)
    async with host(Reply(answer(long))) as peer:
        await fetch(peer.url(), to, QUICK, rules=loopback_rules(), progress=told.append)
    assert to.read_bytes() == long
    assert told == sorted(told)
    assert len(told) >= 4
    assert told[-1] == 1.0


async def test_memory_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    long = answer(WAV + bytes(40_000_000))
    async with host(Reply(long)) as peer:
        tracemalloc.start()
        try:
            await fetched(tmp_path / "file", peer)
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak_bytes < 10_000_000


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_body_of_unknown_length_is_taken(tmp_path: Path, chunked: bool) -> None:
    body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(WAV), WAV) if chunked else WAV
    headers = ["Transfer-Encoding: chunked"] if chunked else ["Connection: close"]
    to, told = tmp_path / "file", list[float]()
    async with host(Reply(answer(body, *headers, length=False))) as peer:
        await fetch(peer.url(), to, QUICK, rules=loopback_rules(), progress=told.append)
    assert to.read_bytes() == WAV
    assert told == []


@pytest.mark.parametrize(
    ("path", "header", "name"),
    [
        (
            "/x.php?id=1",
            'Content-Disposition: attachment; filename="../звонок 1.wav"',
            "звонок 1.wav",
        ),
        ("/%D0%B0/%D0%B1.sln", "X: y", "б.sln"),
        ("/", "X: y", "recording"),
    ],
)
async def test_where_the_name_comes_from(tmp_path: Path, path: str, header: str, name: str) -> None:
    async with host(Reply(answer(WAV, header))) as peer:
        assert (await fetched(tmp_path / "file", peer, path=path)).name == name


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("ftp://records.example/a.wav", "the URL must begin with http:// or https://"),
        ("file:///etc/passwd", "the URL must begin with http:// or https://"),
        ("", "the URL must begin with http:// or https://"),
        ("http:///a.wav", "the URL names no host"),
        ("http://[::1", "this is not a URL that can be read"),
        ("http://a.example:99999/", "this is not a URL that can be read"),
        (
            "http://a.example/" + "x" * 8000,
            "the URL is 8017 characters long, at most 8000 are taken",
        ),
        ("http://no\u0000.example/", "'no\\x00.example' is not the name of a host"),
        ("http://unknown.example/", "the host unknown.example does not exist"),
        (
            "http://user:secret@records.example/a.wav",
            "the URL holds a user name or a password, which would end up in logs; take it out, an "
            "administrator can set it for the host (credentials)",
        ),
        (
            "http://127.0.0.1/",
            "127.0.0.1 leads to this server itself (loopback), where this server may not connect; "
            "an administrator can permit it (allow_cidrs)",
        ),
        (
            "http://pbx.example/",
            "pbx.example leads to a private network, where this server may not connect; "
            "an administrator can permit it (allow_cidrs)",
        ),
    ],
)
async def test_urls_that_are_not_asked(tmp_path: Path, url: str, sentence: str) -> None:
    rules = AddressRules(lookup=names(pbx_example="10.1.2.3"))
    error = await refused(url, tmp_path / "file", rules=rules)
    assert (str(error), error.retryable) == (sentence, False)


async def test_the_rules_of_the_configuration_count(tmp_path: Path) -> None:
    to = tmp_path / "file"
    async with host(Reply(answer(WAV))) as peer:
        url = peer.url(host="127.0.0.1")
        await fetch(url, to, config(allow_cidrs=["127.0.0.0/8"]))
        assert to.read_bytes() == WAV
        with pytest.raises(FetchError, match=r"not among the ports permitted here"):
            await fetch(url, to, config(allow_cidrs=["127.0.0.0/8"], ports=[80]))


async def test_the_environment_sets_no_proxy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with host(Reply(answer(WAV))) as peer, host(Reply(answer(b"<html>"))) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url(host="127.0.0.1"))
        await fetched(tmp_path / "file", peer)
    assert proxy.requests == []


async def test_a_name_is_looked_up_once(tmp_path: Path) -> None:
    """A name that changes its address between the check and the connection gains nothing."""
    asked = []

    async def lookup(name: str, port: int) -> list[str]:
        asked.append(name)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    rules = AddressRules(loopback_rules().allow, lookup=lookup)
    async with host(Reply(answer(WAV, TAG)[:-100]), honest) as peer:
        await fetch(peer.url(), tmp_path / "file", QUICK, rules=rules)
    assert asked == ["records.example"]
    assert len(peer.requests) == 2


@pytest.mark.parametrize(
    ("reply", "sentence", "retryable"),
    [
        (answer(status="404 No"), "records.example has no such file (HTTP 404)", False),
        (answer(status="503 No"), "records.example has a fault of its own (HTTP 503)", True),
        (answer(status="206 Part"), "records.example answered HTTP 206 instead of the file", False),
        (answer(status="300 Many"), "records.example answered HTTP 300 instead of the file", False),
        (
            answer(status="302 Found"),
            "records.example answered HTTP 302 instead of the file",
            False,
        ),
        (answer(b""), "the file is empty", False),
        (answer(b"<html>"), "records.example answered with a web page, not audio", False),
        (answer(b"<p>" * 9999), "records.example answered with a web page, not audio", False),
        (answer(b'{"a": 1}'), "records.example answered with a JSON answer, not audio", False),
        (answer(b"<?xml ?>"), "records.example answered with an XML document, not audio", False),
        (answer(b"PK\3\4"), "records.example answered with an archive (zip), not audio", False),
        (
            answer(WAV, "Content-Encoding: gzip"),
            "records.example sends the file packed (gzip) although it was asked not to",
            False,
        ),
        (
            b"220 smtp ready\r\n",
            "what answers at records.example does not speak HTTP as it should",
            False,
        ),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
            "what answers at records.example does not speak HTTP as it should",
            False,
        ),
        (
            b"HTTP/1.1 200 OK\r\nX: " + b"x" * 99999 + b"\r\n\r\n",
            "what answers at records.example does not speak HTTP as it should",
            False,
        ),
        (b"", "records.example hung up without an answer", True),
    ],
)
async def test_answers_that_are_no_recording(
    tmp_path: Path, reply: bytes, sentence: str, retryable: bool
) -> None:
    assert await outcome(tmp_path, Reply(reply)) == (sentence, retryable)


async def test_a_web_page_is_refused_before_it_has_all_come(tmp_path: Path) -> None:
    page = answer(b"<html>" + b"x" * 5000)[:-1]
    said, _ = await outcome(tmp_path, Reply(page, End.HANG))
    assert said == "records.example answered with a web page, not audio"


async def test_nobody_listens(tmp_path: Path) -> None:
    async with host(Reply(b"")) as peer:
        url = peer.url()
    error = await refused(url, tmp_path / "file")
    assert str(error) == "records.example cannot be reached: connection refused"
    assert error.retryable is True


async def test_too_large_is_told_before_a_byte_of_it_is_read(tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2000000001\r\n\r\n"
    said, retryable = await outcome(tmp_path, Reply(head, End.HANG))
    assert said == "the file is larger than the 2000 MB that are taken (max_bytes)"
    assert retryable is False


async def test_a_host_that_does_not_say_how_much_it_sends_is_stopped_at_the_limit(
    tmp_path: Path,
) -> None:
    endless = answer(WAV + bytes(3_000_000), length=False)
    said, _ = await outcome(tmp_path, Reply(endless, End.HANG), max_bytes=1_000_000)
    assert said == "the file is larger than the 1 MB that are taken (max_bytes)"


async def test_more_than_the_declared_length_is_not_taken(tmp_path: Path) -> None:
    """Whether the lie is seen depends on how TCP cuts it; never is more than declared kept."""
    to, lie = tmp_path / "file", f"Content-Length: {len(WAV)}"
    async with host(Reply(answer(WAV + bytes(3_000_000), lie, length=False), End.HANG)) as peer:
        with suppress(FetchError):
            await fetched(to, peer)
    assert not to.exists() or to.read_bytes() == WAV


async def test_less_than_the_declared_length_is_a_broken_transfer(tmp_path: Path) -> None:
    lie = Reply(answer(WAV, "Content-Length: 2000000000", length=False), End.HANG)
    assert await outcome(tmp_path, lie, stall_timeout_s=0.1) == (
        "the transfer from records.example broke off again and again, the last time after "
        f"{len(WAV)} of 2000000000 bytes",
        True,
    )


async def test_a_stalled_transfer_is_given_up(tmp_path: Path) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nRIFF\r\n"
    said, retryable = await outcome(tmp_path, Reply(head, End.HANG), stall_timeout_s=0.05)
    assert said == (
        "the transfer from records.example broke off again and again, the last time after "
        "4 of an unknown number of bytes"
    )
    assert retryable is True


async def test_a_host_that_says_nothing_is_given_up(tmp_path: Path) -> None:
    assert await outcome(tmp_path, Reply(b"", End.HANG), stall_timeout_s=0.05) == (
        "records.example does not answer: nothing came for 0.05 s",
        True,
    )


async def test_the_total_time_is_limited(tmp_path: Path) -> None:
    cut = answer(WAV)[:-1]
    assert await outcome(tmp_path, Reply(cut, End.HANG), total_timeout_s=0.2) == (
        "the transfer took longer than 0.2 s",
        True,
    )


async def test_a_cancelled_fetch_leaves_no_file(tmp_path: Path) -> None:
    to, begun = tmp_path / "file", asyncio.Event()
    cut = answer(WAV + bytes(2_000_000))[:-1]
    async with host(Reply(cut, End.HANG)) as peer:
        fetching = asyncio.create_task(
            fetch(peer.url(), to, QUICK, rules=loopback_rules(), progress=lambda part: begun.set())
        )
        await asyncio.wait_for(begun.wait(), 10)
        assert to.exists()
        fetching.cancel()
        with pytest.raises(asyncio.CancelledError):
            await fetching
    assert not to.exists()


async def test_a_disk_that_is_full_is_told(tmp_path: Path) -> None:
    to = tmp_path / "file"
    to.symlink_to("/dev/full")
    async with host(Reply(answer(WAV))) as peer:
        error = await refused(peer.url(), to)
    assert str(error) == "this server cannot store the file: No space left on device"
    assert error.retryable is True


# --- broken transfers


IMPATIENT = config(stall_timeout_s=0.3)


def broken(whole: bytes) -> Reply:
    """All of it but the last hundred bytes, then silence."""
    return Reply(whole[:-100], End.HANG)


@pytest.mark.parametrize("end", list(End))
@pytest.mark.parametrize("cut", [1, 1000, len(WAV) - 1])
async def test_a_broken_transfer_goes_on_where_it_broke(tmp_path: Path, cut: int, end: End) -> None:
    to, first = tmp_path / "file", Reply(answer(WAV, TAG)[: cut - len(WAV)], end)
    async with host(first, honest) as peer:
        got = await fetched(to, peer, config(stall_timeout_s=0.3))
    assert got == Fetched(to, len(WAV), "audio/wav", "call.wav")
    assert to.read_bytes() == WAV
    if end is End.HANG:  # the others may take bytes on their way with them
        assert peer.header("Range") == f"bytes={cut}-"
        assert peer.header("If-Range") == '"1"'
    assert len(peer.requests) == 2


async def test_a_date_tells_too_whether_the_file_is_the_same(tmp_path: Path) -> None:
    date = "Sun, 06 Nov 1994 08:49:37 GMT"
    dated = [f"Last-Modified: {date}", "Date: Mon, 07 Nov 1994 08:49:37 GMT"]
    async with host(broken(answer(WAV, *dated)), Reply(part(len(WAV) - 100))) as peer:
        assert (await fetched(tmp_path / "file", peer, IMPATIENT)).bytes == len(WAV)
    assert peer.header("If-Range") == date


async def test_a_file_that_nothing_identifies_is_fetched_anew(tmp_path: Path) -> None:
    to = tmp_path / "file"
    async with host(Reply(answer(WAV, 'ETag: W/"1"')[:-100]), honest) as peer:
        await fetched(to, peer)
    assert to.read_bytes() == WAV
    assert peer.header("Range") is None


async def test_a_file_that_has_changed_meanwhile_is_fetched_anew(tmp_path: Path) -> None:
    to, other = tmp_path / "file", b"OggS" + bytes(500)
    async with host(Reply(answer(WAV, TAG)[:-100]), Reply(answer(other, 'ETag: "2"'))) as peer:
        assert await fetched(to, peer) == Fetched(to, 504, "audio/ogg", "call.wav")
    assert to.read_bytes() == other


@pytest.mark.parametrize(
    "wrong",
    [
        part(0),
        part(len(WAV) - 50),
        part(len(WAV) - 100, total=len(WAV) + 1),
        answer(WAV[-100:], status="206 Partial Content"),
        answer(status="416 Range Not Satisfiable"),
        answer(b"x", "Content-Range: bytes x-y/z", status="206 Partial Content"),
    ],
)
async def test_a_part_that_does_not_fit_is_never_put_together(tmp_path: Path, wrong: bytes) -> None:
    to = tmp_path / "file"
    async with host(broken(answer(WAV, TAG)), Reply(wrong), honest) as peer:
        await fetched(to, peer, IMPATIENT)
    assert to.read_bytes() == WAV
    assert len(peer.requests) == 3


async def test_parts_of_a_file_whose_size_nobody_knows(tmp_path: Path) -> None:
    to, chunked = tmp_path / "file", (TAG, "Transfer-Encoding: chunked")
    cut = answer(b"7d0\r\n" + WAV[:2000] + b"\r\n", *chunked, length=False)
    async with host(Reply(cut, End.HANG), Reply(part(2000, 3000)), honest) as peer:
        await fetched(to, peer, IMPATIENT)
    assert to.read_bytes() == WAV
    assert peer.header("Range") == "bytes=3000-"


async def test_a_host_that_restarts_is_waited_for(tmp_path: Path) -> None:
    down = Reply(answer(status="503 Service Unavailable"))
    async with host(Reply(answer(WAV, TAG)[:-100]), down, honest) as peer:
        assert (await fetched(tmp_path / "file", peer)).bytes == len(WAV)


async def test_a_link_that_has_expired_meanwhile_ends_it(tmp_path: Path) -> None:
    gone = Reply(answer(status="403 Forbidden"))
    said, retryable = await outcome(tmp_path, Reply(answer(WAV, TAG)[:-100]), gone)
    assert said.startswith("records.example does not let this server have the file (HTTP 403)")
    assert retryable is False


async def test_a_web_page_in_place_of_the_rest_is_seen(tmp_path: Path) -> None:
    said, _ = await outcome(tmp_path, Reply(answer(WAV, TAG)[:-100]), Reply(answer(b"<html>", TAG)))
    assert said == "records.example answered with a web page, not audio"


# --- redirects


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


def test_the_error_survives_a_queue() -> None:
    copy = pickle.loads(pickle.dumps(FetchError("no", retryable=True)))
    assert (str(copy), copy.retryable) == ("no", True)
