import asyncio
import errno
import os
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from ruasr_tel_adapters.rest import RestConfig
from tests.adapters.rest.fakes import Rest, listening

FORM = {"Content-Type": "multipart/form-data; boundary=b"}


def part(name: str, body: bytes, more: bytes = b"") -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="' + name.encode() + b'"; filename="a.wav"'
    return head + b"\r\n" + more + b"\r\n" + body + b"\r\n"


FILE = part("upload", b"RIFF")


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        (b"--b--\r\n", 422, "upload: no such part with a file in the form"),
        (FILE + FILE + b"--b--\r\n", 422, "upload: there twice"),
        (FILE + part("x", b"\xff") + b"--b--\r\n", 422, "x: not UTF-8"),
        (FILE + part("x", b"y" * 140_000) + b"--b--\r\n", 413, "x: at most 131072 bytes"),
        (FILE + part("x", b"y") * 60 + b"--b--\r\n", 400, "more than 50 parts in the form"),
        (FILE + part("x", b"y", b"Content-Transfer-Encoding: base64\r\n"), 400, "a part is enc"),
        (
            FILE + part("x", b"y", b"Content-Type: multipart/mixed; boundary=c\r\n"),
            400,
            "a form wi",
        ),
        (FILE + b"--b\r\nfoo\r\n\r\n", 400, "the body cannot be read: Invalid HTTP header"),
        (b"nonsense", 400, "not a multipart form that can be read"),
        (b"", 400, "not a multipart form that can be read"),
        (FILE, 400, "not a multipart form that can be read"),
    ],
)
async def test_a_bad_form_is_refused_and_leaves_nothing(
    rest: Rest, body: bytes, status: int, detail: str
) -> None:
    problem = await rest.json("POST", "/v1/recordings", status, data=body, headers=FORM)
    assert problem["detail"].startswith(detail)
    assert list(rest.recordings.uploads.iterdir()) == []


async def test_a_form_without_a_boundary_is_refused(rest: Rest) -> None:
    headers = {"Content-Type": "multipart/form-data"}
    problem = await rest.json("POST", "/v1/recordings", 400, data=FILE, headers=headers)
    assert problem["detail"].startswith("not a multipart form that can be read")


@pytest.mark.parametrize("said", [True, False])
async def test_a_recording_over_the_limit_is_refused(tmp_path: Path, said: bool) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield part("upload", b"")[:-2]
        for _ in range(200):
            yield b"x" * 65_536
        yield b"\r\n--b--\r\n"

    async with listening(tmp_path, RestConfig(max_upload_bytes=2**20)) as rest:
        headers = {**FORM, "Content-Length": "99999999"} if said else FORM
        async with rest.client.post("/v1/recordings", data=body(), headers=headers) as response:
            assert response.status == 413
            problem = await response.json()
        assert problem["detail"] == (
            "a recording has at most 1048576 bytes (doors.rest.max_upload_bytes)"
        )
        assert list(rest.recordings.uploads.iterdir()) == []


async def test_a_client_that_leaves_while_sending_leaves_nothing(rest: Rest) -> None:
    _, writer = await _connect(rest)
    writer.write(
        b"POST /v1/recordings HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\n\r\n" + FILE[:-2] + b"x" * 3_000_000
    )
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    await rest.door.close()  # waits for the handler
    assert list(rest.recordings.uploads.iterdir()) == []
    assert rest.recordings.orders == []


async def test_a_full_disk_is_said(rest: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("os.fsync", full)
    form = aiohttp.FormData()
    form.add_field("upload", b"RIFF", filename="a.wav")
    problem = await rest.json("POST", "/v1/recordings", 507, data=form)
    assert problem["detail"] == "there is no room left for it on the server's disk"
    assert list(rest.recordings.uploads.iterdir()) == []


async def _connect(rest: Rest) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = rest.door.url.removeprefix("http://").partition(":")
    return await asyncio.open_connection(host, int(port))
