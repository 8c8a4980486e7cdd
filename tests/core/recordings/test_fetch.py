import asyncio
import os
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest

from ruasr_tel.errors import FetchError
from ruasr_tel.recordings.addresses import AddressRules
from ruasr_tel.recordings.fetch import Fetched, fetch
from tests.core.recordings.fetching import (
    QUICK,
    TAG,
    WAV,
    config,
    fetched,
    honest,
    outcome,
    refused,
)
from tests.core.recordings.peers import End, Reply, answer, host, loopback_rules, names


async def test_a_recording_arrives_with_its_size_kind_and_name(tmp_path: Path) -> None:
    to, told = tmp_path / "file", list[float]()
    async with host(Reply(answer(WAV))) as peer:
        got = await fetch(peer.url(), to, QUICK, rules=loopback_rules(), progress=told.append)
    assert got == Fetched(to, len(WAV), "audio/wav", "call.wav")
    assert to.read_bytes() == WAV
    assert told == [1.0]


async def test_the_whole_file_is_on_the_disk_before_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[int, int]] = []

    def fsync(fd: int) -> None:
        status = os.fstat(fd)
        synced.append((status.st_ino, status.st_size))

    monkeypatch.setattr(os, "fsync", fsync)
    to = tmp_path / "file"
    async with host(Reply(answer(WAV))) as peer:
        await fetched(to, peer)
    assert synced == [(to.stat().st_ino, len(WAV))]


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


async def test_a_name_with_its_last_dot(tmp_path: Path) -> None:
    rules = loopback_rules(**{"records_example_": "127.0.0.1"})
    async with host(Reply(answer(WAV))) as peer:
        url = peer.url(host="Records.example.")
        assert (await fetch(url, tmp_path / "file", QUICK, rules=rules)).bytes == len(WAV)


async def test_port_0(tmp_path: Path) -> None:
    error = await refused("http://records.example:0/", tmp_path / "file")
    assert str(error).startswith("records.example cannot be reached: ")


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
