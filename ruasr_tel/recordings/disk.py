"""A file written from the event loop, in threads, so that a slow disk holds up no call."""

import asyncio
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Self, TypeVar

from ruasr_tel.errors import FetchError

_Result = TypeVar("_Result")


@contextmanager
def whole_or_none(path: Path) -> Iterator[None]:
    """Leave no file behind if the block fails or is cancelled."""
    try:
        yield
    except BaseException:
        path.unlink(missing_ok=True)
        raise


class DiskFile:
    """A file open for writing; close it.

    Every method raises a `FetchError`, retryable, when the disk is full or not there.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    @classmethod
    async def create(cls, path: Path) -> Self:
        """Open a new file, or an old one emptied."""
        return cls(await _in_thread(lambda: path.open("wb")))

    async def append(self, data: bytes) -> None:
        """Write at the end, through to the system."""

        def write() -> None:
            self._file.write(data)
            self._file.flush()  # a full disk shows here, not when the file is closed

        await _in_thread(write)

    async def sync(self) -> None:
        """Bring what was written to the disk itself: a power cut leaves it there."""
        await _in_thread(lambda: os.fsync(self._file.fileno()))

    async def empty(self) -> None:
        """Throw away what was written."""

        def truncate() -> None:
            self._file.seek(0)
            self._file.truncate()

        await _in_thread(truncate)

    async def close(self) -> None:
        """Close it; what could not be written was told before."""
        with suppress(FetchError):
            await _in_thread(self._file.close)


async def _in_thread(call: Callable[[], _Result]) -> _Result:
    try:
        return await asyncio.to_thread(call)
    except OSError as exc:
        sentence = f"this server cannot store the file: {exc.strerror}"
        raise FetchError(sentence, retryable=True) from exc
