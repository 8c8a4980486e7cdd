"""The files of recordings: one folder each, and one for uploads on their way in."""

import contextlib
import fcntl
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePath
from typing import IO
from uuid import UUID

from pydantic import TypeAdapter

from ruasr_tel.errors import ConfigError
from ruasr_tel.recordings.model import Transcript

UPLOADS = "uploads"
"""Where a door puts a file while it comes in."""

_AUDIO = "audio"
_PART = "part"
_TRANSCRIPT = "transcript.json"
_SUFFIX = re.compile(r"\.[a-z0-9]{1,8}")
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TRANSCRIPTS = TypeAdapter(Transcript)


class Files:
    """The folder of all recordings. Its methods block, for milliseconds.

    Args:
        folder: the folder, absolute.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock: IO[bytes] | None = None

    @property
    def uploads(self) -> Path:
        """The folder for uploads; on the same disk as where they are moved to."""
        return self.folder / UPLOADS

    def open(self, machine: str) -> None:
        """Make the folders, and keep a second server of the same name out.

        Raises:
            ConfigError: they cannot be written, or another server uses them.
        """
        try:
            self.uploads.mkdir(parents=True, exist_ok=True, mode=0o700)
            name = re.sub(r"[^\w.-]+", "-", machine)[-100:]
            self._lock = (self.folder / f"{name}.lock").open("wb")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self.close()
            raise ConfigError(
                f"another server keeps its recordings in {self.folder}; set recordings.dir apart"
            ) from error
        except OSError as error:
            raise ConfigError(
                f"recordings.dir {self.folder} cannot be used: {error.strerror}"
            ) from error

    def close(self) -> None:
        """Let another server in."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def adopt(self, id: str, upload: Path, name: str) -> Path:
        """Move an upload into its recording's folder; return where it is now."""
        to = self._of(id) / f"{_AUDIO}{suffix(name or upload.name)}"
        to.parent.mkdir(exist_ok=True, mode=0o700)
        upload.replace(to)
        return to

    def incoming(self, id: str) -> Path:
        """Return where to fetch a recording to, before it is whole."""
        folder = self._of(id)
        folder.mkdir(exist_ok=True, mode=0o700)
        return folder / f"{_AUDIO}.{_PART}"

    def arrived(self, id: str, name: str) -> None:
        """Call a fetched file whole; its name tells what a file without a header holds."""
        part = self.incoming(id)
        part.replace(part.with_name(f"{_AUDIO}{suffix(name)}"))

    def audio(self, id: str) -> Path | None:
        """Return a recording's whole file, or None."""
        found = (path for path in self._of(id).glob(f"{_AUDIO}*") if path.suffix != f".{_PART}")
        return next(found, None)

    def keep_transcript(self, id: str, transcript: Transcript) -> None:
        """Write what recognition gave, whole or not at all."""
        path = self._of(id) / _TRANSCRIPT
        part = path.with_suffix(f".{_PART}")
        with part.open("wb") as file:
            file.write(_TRANSCRIPTS.dump_json(transcript))
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)

    def transcript(self, id: str) -> Transcript | None:
        """Return what recognition gave, or None if it has not."""
        try:
            return _TRANSCRIPTS.validate_json((self._of(id) / _TRANSCRIPT).read_bytes())
        except FileNotFoundError:
            return None

    def drop_transcript(self, id: str) -> None:
        """Delete what recognition gave; the store has the result."""
        (self._of(id) / _TRANSCRIPT).unlink(missing_ok=True)

    def orphans(self, older_than_s: float) -> list[str]:
        """Return the ids of folders that nobody has touched for so long; uploads as old go."""
        before_s = time.time() - older_than_s
        for upload in _older(self.uploads, before_s, lambda status: status.st_ctime):
            upload.unlink(missing_ok=True)
        folders = _older(self.folder, before_s, lambda status: status.st_mtime)
        return [folder.name for folder in folders if _ID.fullmatch(folder.name)]

    def forget(self, ids: Iterable[str]) -> None:
        """Delete everything of recordings; unknown ones are none."""
        for id in ids:
            shutil.rmtree(self._of(id), ignore_errors=True)

    def _of(self, id: str) -> Path:
        return self.folder / str(UUID(id))  # an id is never a path


def _older(
    folder: Path, before_s: float, touched_s: Callable[[os.stat_result], float]
) -> Iterator[Path]:
    """Yield what nobody has touched since; a link has its file's mtime, but a ctime of its own."""
    for path in folder.iterdir():
        with contextlib.suppress(FileNotFoundError):  # taken over or deleted meanwhile
            if touched_s(path.stat()) < before_s:
                yield path


def suffix(name: str) -> str:
    """Return the suffix of a name that strangers gave, if it is plain; else nothing."""
    given = PurePath(name).suffix.lower()
    return given if _SUFFIX.fullmatch(given) and given != f".{_PART}" else ""
