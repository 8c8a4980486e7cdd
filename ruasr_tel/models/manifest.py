"""What was installed of a model: its files with sizes and digests, beside them in one JSON file.

It makes `models verify` possible for files whose digests nobody published beforehand, and an
archive of `models pack` checkable on a machine without a network.
"""

import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Self

from ruasr_tel.errors import ModelLoadError
from ruasr_tel.models.entries import ModelEntry
from ruasr_tel.models.probe import Known, check_known

MANIFEST_NAME = "ruasr-model.json"
FORMAT = 1
"""Version of the file; a reader refuses others."""
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One installed file.

    Attributes:
        path: below the model's folder, with `/`.
        size_bytes: its size.
        sha256: its digest.
    """

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was installed of a model.

    Attributes:
        model: its name in the catalogue.
        source: where it came from: a page, or the operator's folder or archive.
        revision: the commit of its repository, or None.
        licence: SPDX name of its licence.
        files: every file, sorted by path.
    """

    model: str
    source: str
    revision: str | None
    licence: str
    files: tuple[FileRecord, ...]

    @classmethod
    def of(cls, entry: ModelEntry, folder: Path, paths: Iterable[str], source: str) -> Self:
        """Return the manifest of `paths` below `folder`, which are read and hashed."""
        files = tuple(record(folder, path) for path in sorted(set(paths)))
        return cls(entry.name, source, entry.source.revision, entry.licence, files)

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Return the manifest in `folder`, or None where there is none.

        Raises:
            ModelLoadError: it is damaged, or of a later version.
        """
        path = folder / MANIFEST_NAME
        try:
            content = json.loads(path.read_text("utf-8"))
            if content.pop("format") != FORMAT:
                raise ModelLoadError(f"{path} is of a later ruasr-tel; update this one")
            content["files"] = tuple(_inside(FileRecord(**each)) for each in content["files"])
            return cls(**content)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
            raise ModelLoadError(f"{path} is damaged ({exc}); bring the model again") from exc

    def text(self) -> str:
        """Return it as JSON, always the same for the same content."""
        content = {"format": FORMAT, **asdict(self)}
        return json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True) + "\n"

    def write(self, folder: Path) -> None:
        """Put it into `folder`."""
        (folder / MANIFEST_NAME).write_text(self.text(), "utf-8")

    def check(self, folder: Path) -> None:
        """Check every file of it in `folder`.

        Raises:
            ModelLoadError: one is missing or has changed; names it.
        """
        for each in self.files:
            path = folder / each.path
            if not path.is_file():
                raise ModelLoadError(f"{path} is missing; bring the model again")
            check_known(path, Known(each.size_bytes, each.sha256))


def record(folder: Path, path: str) -> FileRecord:
    """Return the size and digest of the file at `path` below `folder`."""
    with (folder / path).open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return FileRecord(path, (folder / path).stat().st_size, digest)


def _inside(each: FileRecord) -> FileRecord:
    """Refuse a record that leads out of the folder: an archive's manifest is foreign input.

    Raises:
        ValueError: it does, or its size or digest is none.
        TypeError: something in it is no text.
    """
    if not isinstance(each.size_bytes, int) or not _SHA256.fullmatch(each.sha256):
        raise ValueError(f"{each.path!r} has no size and SHA-256")
    parts = PurePosixPath(each.path).parts
    if not parts or each.path.startswith("/") or ".." in parts or "\\" in each.path:
        raise ValueError(f"{each.path!r} is no path below a folder")
    return each
