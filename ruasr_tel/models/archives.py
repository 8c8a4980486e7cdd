"""Packs a model into one archive, and unpacks archives that somebody else made, safely.

Ours are plain tar files, byte for byte the same for the same model: sorted, without times and
owners, the manifest first; weights hardly get smaller, so they are not compressed. Foreign ones are
zip (alphacephei.com) and tar.bz2 (sherpa-onnx's releases); they may hold files and folders, nothing
else, and nothing that leads out of the folder they are unpacked into.
"""

import contextlib
import io
import lzma
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from ruasr_tel.errors import ModelPullError
from ruasr_tel.models.manifest import MANIFEST_NAME, Manifest

MAX_FILES = 10_000
"""No model has more; the largest we know, a Kaldi model with rescoring, has some 40 files."""
MAX_BYTES = 20 * 2**30
"""Unpacked; the largest model we know (vosk-model-ru-0.10) has 2.5 GB."""
_BLOCK_BYTES = 2**20
_DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    NotImplementedError,  # a method that zipfile has not
    zlib.error,
    lzma.LZMAError,
    EOFError,
    ValueError,
)

Member = tuple[str, IO[bytes] | None]
"""A name with `/`, and the content of a file or None for a folder."""


def pack(manifest: Manifest, folder: Path, target: Path) -> None:
    """Write the files of `manifest` in `folder` to the archive `target`, whole or not at all.

    Raises:
        ModelPullError: the archive cannot be written, or `target` is there and no file.
    """
    if target.exists() and not target.is_file():  # a device would become a file
        raise ModelPullError(f"{target} is no file; name one, such as {manifest.model}.tar")
    partial = target.with_name(f"{target.name}.part")
    try:
        with tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as tar:
            text = manifest.text().encode()
            tar.addfile(_header(f"{manifest.model}/{MANIFEST_NAME}", len(text)), io.BytesIO(text))
            for each in manifest.files:
                with (folder / each.path).open("rb") as stream:
                    tar.addfile(_header(f"{manifest.model}/{each.path}", each.size_bytes), stream)
        partial.replace(target)
    except OSError as exc:
        raise ModelPullError(f"{target} cannot be written: {exc.strerror or exc}") from exc
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack `archive` into the empty `folder`; return the one with the model in it.

    Raises:
        ModelPullError: no archive, a damaged one, or one that no model is packed like.
        OSError: it cannot be read, or what is in it not written.
    """
    try:
        with contextlib.closing(_members(archive)) as members:
            _write(archive, members, folder)
    except (*_DAMAGED, OSError) as exc:
        if isinstance(exc, OSError) and exc.errno is not None:
            raise  # of the system; those of bz2 and gzip have no number
        raise ModelPullError(f"{archive} is damaged or no archive ({exc})") from exc
    inside = list(folder.iterdir())
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else folder


def _header(name: str, size_bytes: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)  # its own defaults: mode 0644, time 0, owner 0
    info.size = size_bytes
    return info


def _members(archive: Path) -> Generator[Member]:
    """Return what is in a zip or tar file, in its order."""
    if zipfile.is_zipfile(archive):
        return _zip_members(archive)
    return _tar_members(archive)


def _zip_members(archive: Path) -> Generator[Member]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)  # Unix mode, 0 if made elsewhere
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR) or info.flag_bits & 1:
                raise ModelPullError(
                    f"{archive}: {info.filename!r} is a link, or encrypted; no model needs that"
                )
            if info.is_dir():
                yield info.filename, None
                continue
            with opened.open(info) as stream:
                yield info.filename, stream


def _tar_members(archive: Path) -> Generator[Member]:
    with tarfile.open(archive, "r:*") as opened:
        for info in opened:
            if not (info.isreg() or info.isdir()):
                raise ModelPullError(
                    f"{archive}: {info.name!r} is a link or a device; no model needs that"
                )
            yield info.name, opened.extractfile(info) if info.isreg() else None
        assert opened.fileobj is not None
        for _ in range(MAX_BYTES // _BLOCK_BYTES):  # the checksum of gzip and xz comes last
            if not opened.fileobj.read(_BLOCK_BYTES):
                break


def _write(archive: Path, members: Iterator[Member], folder: Path) -> None:
    left = MAX_BYTES
    for number, (name, stream) in enumerate(members, 1):
        if number > MAX_FILES:
            raise ModelPullError(f"{archive} holds more than {MAX_FILES} files; it is no model")
        path = folder / _safe(archive, name)
        if stream is None:
            path.mkdir(parents=True, exist_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as target:
            while block := stream.read(_BLOCK_BYTES):
                left -= len(block)
                if left < 0:
                    raise ModelPullError(
                        f"{archive} holds more than {MAX_BYTES // 2**30} GiB; it is no model"
                    )
                target.write(block)


def _safe(archive: Path, name: str) -> PurePosixPath:
    """Return a member's name as a path that stays inside.

    Raises:
        ModelPullError: it is absolute, climbs, or is meant for another system.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name or "\0" in name:
        raise ModelPullError(f"{archive}: {name!r} leads out of its folder; it is no model")
    return path
