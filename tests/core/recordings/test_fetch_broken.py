from pathlib import Path

import pytest

from ruasr_tel.recordings.fetch import Fetched
from tests.core.recordings.fetching import TAG, WAV, config, fetched, honest, outcome, part
from tests.core.recordings.peers import End, Reply, answer, host

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
