"""Takes a multipart form: its file goes to disk as it comes, never into memory as a whole."""

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final
from urllib.parse import unquote
from uuid import uuid4

from aiohttp import BodyPartReader, MultipartReader, web

from ruasr_tel_adapters.rest.problems import Problem, invalid_field

WRITE_BYTES: Final = 2**20
"""Written at once: one hop to a thread per MiB."""
FIELD_BYTES_MAX: Final = 2**17
"""Longest other field of a form: metadata is the longest one."""
FIELDS_MAX: Final = 50
"""Most fields of a form."""
NAME_MAX: Final = 200
"""Longest file name that is kept."""
_ENCODINGS: Final = ("", "binary", "8bit", "7bit")
"""RFC 7578 4.7 forbids the others."""


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A form that came.

    Attributes:
        path: where its file lies, on disk for certain.
        name: what the client calls the file; its last part, not trusted any further.
        fields: the other fields.
    """

    path: Path
    name: str
    fields: dict[str, str]


async def receive(request: web.Request, folder: Path, limit: int, file_field: str) -> Uploaded:
    """Take a form.

    Args:
        request: with a multipart body.
        folder: where the file is to lie.
        limit: longest file in bytes.
        file_field: name of the field with the file.

    Raises:
        Problem: 400, it cannot be read; 413, it is too long; 422, the file is missing or there
            twice; 507, the disk is full. Nothing is left on the disk then.
    """
    if (request.content_length or 0) > limit + FIELDS_MAX * FIELD_BYTES_MAX:
        raise _too_long(limit)
    fields: dict[str, str] = {}
    path: Path | None = None
    name = ""
    try:
        async for part in _parts(request):
            if part.name != file_field:
                fields[part.name or ""] = await _text(part)
            elif path is not None:
                raise invalid_field(file_field, "there twice")
            else:
                name = _name(part.filename)
                path = folder / f"{uuid4()}{_suffix(name)}"
                await _store(part, path, limit)
        if path is None:
            raise invalid_field(file_field, "no such part with a file in the form")
    except BaseException:
        if path is not None:
            path.unlink(missing_ok=True)
        raise
    return Uploaded(path, name, fields)


async def _parts(request: web.Request) -> AsyncIterator[BodyPartReader]:
    """Yield the parts of a form; every fault of the form is a problem."""
    try:
        reader = await request.multipart()
        count = 0
        while (part := await reader.next()) is not None:
            count += 1
            if count > FIELDS_MAX:
                raise Problem(400, f"more than {FIELDS_MAX} parts in the form")
            if isinstance(part, MultipartReader):
                raise Problem(400, "a form within the form")
            encoding = part.headers.get("Content-Transfer-Encoding", "").lower()
            if encoding not in _ENCODINGS:
                raise Problem(400, f"a part is encoded as {encoding}, which forms may not be")
            yield part
    except (ValueError, AssertionError, RuntimeError, EOFError) as error:
        raise Problem(400, f"not a multipart form that can be read ({error})") from error


async def _text(part: BodyPartReader) -> str:
    data = b""
    while chunk := await part.read_chunk():
        data += chunk
        if len(data) > FIELD_BYTES_MAX:
            raise Problem(413, f"{part.name}: at most {FIELD_BYTES_MAX} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise invalid_field(part.name or "", "not UTF-8") from error


async def _store(part: BodyPartReader, path: Path, limit: int) -> None:
    """Write a part to disk and see that it is there after a power cut."""
    received = 0
    try:
        with await asyncio.to_thread(path.open, "xb") as file:
            async for block in _blocks(part):
                received += len(block)
                if received > limit:
                    raise _too_long(limit)
                await asyncio.to_thread(file.write, block)
            await asyncio.to_thread(_sync, file)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise Problem(507, "there is no room left for it on the server's disk") from error
        raise


async def _blocks(part: BodyPartReader) -> AsyncIterator[bytes]:
    """Yield a part in blocks that are worth a write."""
    block = bytearray()
    while chunk := await part.read_chunk(WRITE_BYTES):
        block += chunk
        if len(block) >= WRITE_BYTES:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _too_long(limit: int) -> Problem:
    return Problem(413, f"a recording has at most {limit} bytes (doors.rest.max_upload_bytes)")


def _name(said: str | None) -> str:
    """Return the last part of a file name, without what no name should have.

    Clients write names in UTF-8, some (browsers in part, aiohttp) percent-encoded (RFC 7578 4.2).
    """
    last = PurePosixPath(unquote(said or "").replace("\\", "/")).name
    return "".join(char for char in last if char.isprintable())[-NAME_MAX:]


def _suffix(name: str) -> str:
    """Return a file name's suffix, by which files without a header are told apart."""
    suffix = PurePosixPath(name).suffix.lower()
    return suffix if suffix[1:].isascii() and suffix[1:].isalnum() and len(suffix) <= 8 else ""
