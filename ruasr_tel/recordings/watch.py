"""A folder whose recordings become jobs: the seed's `local_asr`, durable.

A file is taken when it has not changed for a while, so one that is still being copied is left
alone. It stays where it is until its result is written; after a restart it is found again, and its
idempotency key leads to the same job.
"""

import asyncio
import contextlib
import json
import os
import shutil
import stat
import uuid
from enum import StrEnum
from pathlib import Path
from typing import Protocol

import structlog
from pydantic import Field

from ruasr_tel.errors import ConfigError, RuasrError
from ruasr_tel.recordings.model import Channels, Order, Recording, State
from ruasr_tel.recordings.render import Form, render, to_json
from ruasr_tel.section import Section

REASON = ".error.txt"
"""What a file that became no text gets beside it; a file that has one is not tried again."""

_log = structlog.get_logger(__name__)


class Written(StrEnum):
    """What is written of a result."""

    JSON = "json"
    MD = "md"


class Afterwards(StrEnum):
    """What becomes of a file that is done."""

    KEEP = "keep"
    DELETE = "delete"
    MOVE = "move"


class WatchConfig(Section):
    """A folder whose files become recordings."""

    folder: Path | None = None
    """The folder, with all below it; null watches none."""
    out: Path | None = None
    """Where results are written; null is beside the file."""
    write: Written = Written.JSON
    """`json` is the whole result, `md` a page for people."""
    after: Afterwards = Afterwards.MOVE
    """What becomes of a file when its result is written: `keep`, `delete`, or `move`."""
    done: Path | None = None
    """Where files are moved to; null is a folder `done` in the watched one."""
    every_s: float = Field(2.0, gt=0, le=3600)
    """Seconds between two looks. A file that did not change between them is taken."""
    channels: Channels = Channels.AUTO
    """What to do with channels."""
    profile: str | None = None
    """How to listen; null is the default."""


class Jobs(Protocol):
    """What a watch needs of recordings."""

    @property
    def uploads(self) -> Path:
        """Where an upload lies before it is submitted."""
        ...

    async def submit(self, order: Order) -> tuple[Recording, bool]:
        """Accept an order."""
        ...

    async def get(self, id: str) -> Recording | None:
        """Return a recording."""
        ...


class Watch:
    """Watches one folder.

    Args:
        config: which, and what to do.
        jobs: does it.
    """

    def __init__(self, config: WatchConfig, jobs: Jobs) -> None:
        assert config.folder is not None, "no folder, no watch"
        self._config = config
        self._folder = config.folder.absolute()  # keys of jobs name it, whoever started us where
        self._done = (config.done or config.folder / "done").absolute()
        self._jobs = jobs
        self._seen: dict[Path, tuple[int, int]] = {}
        self._ordered: dict[Path, str] = {}
        self._told: dict[Path, str] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to look.

        Raises:
            ConfigError: a folder cannot be used.
        """
        await asyncio.to_thread(self.make_folders)
        self._task = asyncio.create_task(self._run(), name="folder watch")

    def make_folders(self) -> None:
        """Make the folders that are not there.

        Raises:
            ConfigError: one cannot be made.
        """
        for folder in (self._folder, self._config.out, self._done):
            try:
                if folder is not None:
                    folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ConfigError(
                    f"watch: the folder {folder} cannot be used: {error.strerror}"
                ) from error

    async def close(self) -> None:
        """Stop looking; what is ordered goes on."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def look(self) -> None:
        """Write what is done, and order what came since the last look and has not changed.

        A file that cannot be read, or its result not be written, is named in the log, once, and
        holds up no other.
        """
        for path, id in list(self._ordered.items()):
            recording = await self._jobs.get(id)
            if recording is None or recording.state.ended or recording.result:
                del self._ordered[path]
                self._seen.pop(path, None)
                if recording is not None:
                    await asyncio.to_thread(self._finish, path, recording)
        for path, mark in (await asyncio.to_thread(self._files)).items():
            if path not in self._ordered and self._seen.get(path) == mark:
                await self._order(path, mark)
            self._seen[path] = mark

    async def _run(self) -> None:
        while True:
            try:
                await self.look()
            except (OSError, RuasrError) as error:
                _log.error("the watched folder was not looked through", error=str(error))
            except Exception:  # noqa: BLE001 - a database that is locked now may not be later
                _log.exception("the watched folder was not looked through")
            await asyncio.sleep(self._config.every_s)

    def _files(self) -> dict[Path, tuple[int, int]]:
        """Return every file that is not ours, with its size and time."""
        found: dict[Path, tuple[int, int]] = {}
        faulty: set[Path] = set()
        for folder, folders, names in os.walk(self._folder):
            folders[:] = [each for each in folders if not self._is_ours(Path(folder) / each)]
            for name in names:
                path = Path(folder) / name
                try:
                    status = path.stat()
                    # A pipe would hold up who opens it.
                    if stat.S_ISREG(status.st_mode) and not self._is_result(path):
                        found[path] = (status.st_size, status.st_mtime_ns)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    faulty.add(path)
                    self._tell(path, error)
        here = faulty | found.keys()
        self._told = {path: said for path, said in self._told.items() if path in here}
        self._seen = {path: mark for path, mark in self._seen.items() if path in found}
        return found

    def _tell(self, path: Path, error: OSError) -> None:
        """Say, once, what keeps a file from becoming a result."""
        said = error.strerror or str(error)
        if self._told.get(path) != said:
            self._told[path] = said
            _log.warning("a watched file is left where it is", file=path.name, error=said)

    def _is_ours(self, folder: Path) -> bool:
        return folder.name.startswith(".") or folder in (self._done, self._config.out)

    def _is_result(self, path: Path) -> bool:
        if path.name.startswith(".") or path.name.endswith((".json", ".md", REASON)):
            return True
        return self._target(path, REASON).exists() or (
            self._config.after is Afterwards.KEEP and self._target(path).exists()
        )

    def _target(self, path: Path, suffix: str | None = None) -> Path:
        """Return where a file's result goes: `call.wav.json`, for there may be a `call.mp3`."""
        base = self._config.out or self._folder
        relative = path.relative_to(self._folder)
        return base / relative.with_name(relative.name + (suffix or f".{self._config.write}"))

    async def _order(self, path: Path, mark: tuple[int, int]) -> None:
        upload = self._jobs.uploads / f"watch-{uuid.uuid4()}"
        try:
            await asyncio.to_thread(_link_or_copy, path, upload)
        except OSError as error:
            upload.unlink(missing_ok=True)
            self._tell(path, error)
            return
        order = Order(
            upload=upload,
            name=path.name,
            channels=self._config.channels,
            profile=self._config.profile,
            idempotency_key=f"watch:{path}:{mark[0]}:{mark[1]}",
            metadata={"path": str(path)},
        )
        try:
            recording, created = await self._jobs.submit(order)
        finally:
            upload.unlink(missing_ok=True)  # it was taken over, or refused
        self._ordered[path] = recording.id
        if created:
            _log.info("file taken from the watched folder", file=path.name, recording=recording.id)

    def _finish(self, path: Path, recording: Recording) -> None:
        try:
            if recording.result is None:
                reason = recording.reason or recording.state.value
                _write(self._target(path, REASON), f"{reason}\n")
                return
            _write(self._target(path), self._shown(recording))
            if recording.state in (State.DONE, State.DELIVERING):
                self._clear(path)
        except OSError as error:
            self._tell(path, error)

    def _shown(self, recording: Recording) -> str:
        assert recording.result is not None
        if self._config.write is Written.JSON:
            return json.dumps(to_json(recording.result), ensure_ascii=False, indent=1) + "\n"
        text = render(recording.result, Form.TEXT)
        return f"# {recording.order.name}\n\n" + text.replace("\n", "\n\n")

    def _clear(self, path: Path) -> None:
        if self._config.after is Afterwards.DELETE:
            path.unlink(missing_ok=True)
        elif self._config.after is Afterwards.MOVE:
            to = self._done / path.relative_to(self._folder)
            to.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                shutil.move(path, to)


def _link_or_copy(path: Path, to: Path) -> None:
    """Bring a file over: at no cost on the same disk, for a recording never changes in place."""
    try:
        os.link(path, to)
    except OSError:
        shutil.copyfile(path, to)


def _write(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
