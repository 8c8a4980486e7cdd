"""Installs a model whole or not at all, and takes installed ones out again.

Everything happens in a folder beside the models first; one rename makes it an installed model. What
had come of an interrupted download stays there for the next attempt, and nowhere else.
"""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ruasr_tel.errors import ModelLoadError, ModelPullError
from ruasr_tel.models import archives, fetch
from ruasr_tel.models.catalog import Catalog, Model
from ruasr_tel.models.entries import ModelEntry, Precision
from ruasr_tel.models.manifest import MANIFEST_NAME, Manifest
from ruasr_tel.models.probe import OPTIONAL, find_files, megabytes

STAGING_NAME = ".staging"
_OLD_NAME = "old"
_NOT_OF_A_MODEL = {".git", ".gitattributes", ".cache", MANIFEST_NAME}


@dataclass(frozen=True, slots=True)
class PullOptions:
    """How to bring a model.

    Attributes:
        origin: the operator's own folder or archive; None: from where the catalogue says.
        precision: which of the files that there are twice.
        endpoint: address of the hub or of a mirror of it; None: huggingface.co.
        archive_mirror: takes the place of the address before an archive's file name.
        accept_licence: whether the operator accepts a licence that is not plainly commercial.
    """

    origin: Path | None = None
    precision: Precision = "int8"
    endpoint: str | None = None
    archive_mirror: str | None = None
    accept_licence: bool = False


def pull(
    catalog: Catalog,
    entry: ModelEntry,
    options: PullOptions,
    probe: Callable[[Model], None] | None = None,
    tell: Callable[[str], None] = lambda sentence: None,
) -> Model:
    """Bring `entry` into the models folder; return it installed.

    Args:
        catalog: the models folder.
        entry: the model.
        options: how.
        probe: loads the model for a try before it is installed; raises `ModelLoadError`.
        tell: what is being done, for people.

    Raises:
        ModelPullError: it was not brought; what was installed before is as it was.
        ModelLoadError: what came is no such model; likewise.
    """
    if not entry.fetchable and options.origin is None:
        raise ModelPullError(
            f"{entry.name} comes with ruasr-tel; bring it back with: {catalog.bring_command(entry)}"
        )
    if entry.needs_consent and not options.accept_licence:
        raise ModelPullError(
            f"the licence of {entry.name} is {entry.licence}, which may not allow commercial use; "
            f"read {entry.licence_source or entry.source.page}, then add --accept-licence"
        )
    with _staging(catalog, entry) as staging, _room(staging):
        model = Model(entry, staging / "model")
        if options.precision == "full" and entry.precisions == {"int8"}:
            tell(f"the catalogue knows {entry.name} in int8 only; that is brought")
        source = _bring(model, staging, options, tell)
        for path in lacking(model, options.precision):
            tell(f"{source} has no {path}")
        model.check(_provider_of(options.precision))
        model.check_rest()
        if probe is not None:
            tell("loading it for a try")
            probe(model)
        paths = _files_in(model.folder)
        Manifest.of(entry, model.folder, paths, source).write(model.folder)
        _keep(Model(entry, catalog.folder_of(entry)), model.folder, tell)
        _install(model.folder, catalog.folder_of(entry), staging)
    return Model(entry, catalog.folder_of(entry))


def lacking(model: Model, precision: Precision) -> list[str]:
    """Return which files of a precision are not here, of a model that is published in both."""
    return [
        each.path
        for each in model.entry.wanted(precision)
        if each.precision != "any"
        and len(model.entry.precisions) > 1
        and not (model.folder / each.path).is_file()
    ]


def verify(model: Model) -> str:
    """Check every file of an installed model; return what it was checked against.

    Raises:
        ModelLoadError: a file is missing, damaged, or not that of the model.
    """
    model.check()
    model.check_rest()
    manifest = Manifest.read(model.folder)
    if manifest is None:
        known = sum(each.sha256 is not None for each in model.entry.content)
        return f"the catalogue, which has {known} digest(s); `models pull` writes down all"
    manifest.check(model.folder)
    return f"{len(manifest.files)} digest(s) written down when it came from {manifest.source}"


def pack(model: Model, target: Path) -> None:
    """Write an installed model to an archive for `pull --from` on another machine.

    Raises:
        ModelLoadError: the model is not as it should be.
        ModelPullError: the archive cannot be written.
    """
    verify(model)
    manifest = Manifest.read(model.folder) or Manifest.of(
        model.entry, model.folder, _wanted_of(model, "any"), model.entry.source.page
    )
    archives.pack(manifest, model.folder, target)


def remove(catalog: Catalog, entry: ModelEntry) -> int:
    """Delete an installed model; return how many bytes that frees.

    Raises:
        ModelPullError: it comes with ruasr-tel, is not here, or cannot be deleted.
    """
    folder = catalog.folder_of(entry)
    if entry.embedded:
        raise ModelPullError(f"{entry.name} comes with ruasr-tel and stays")
    if not folder.exists():
        raise ModelPullError(f"{entry.name} is not in {folder}")
    freed = sum((folder / path).stat().st_size for path in _files_in(folder))
    try:
        if folder.is_symlink():
            folder.unlink()
            return 0
        with _staging(catalog, entry) as staging:
            folder.rename(staging / "removed")
            shutil.rmtree(staging)
    except OSError as exc:
        raise ModelPullError(f"{folder} cannot be deleted: {exc.strerror}") from exc
    return freed


@contextlib.contextmanager
def _staging(catalog: Catalog, entry: ModelEntry) -> Iterator[Path]:
    """Give a folder on the disk of the models, to one of us at a time."""
    folder = catalog.models_dir / STAGING_NAME / entry.folder
    with contextlib.ExitStack() as stack:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = stack.enter_context((folder.parent / f"{entry.folder}.lock").open("w"))
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _bring_back(folder / _OLD_NAME, catalog.folder_of(entry))  # we may have been killed
        except BlockingIOError as exc:
            raise ModelPullError(f"{entry.name} is being brought by another process") from exc
        except OSError as exc:
            raise ModelPullError(
                f"{exc.filename or folder}: {exc.strerror}; do this as the user whom the models "
                "belong to, or set models.dir"
            ) from exc
        yield folder
        shutil.rmtree(folder, ignore_errors=True)  # done; after an error the beginnings stay


@contextlib.contextmanager
def _room(staging: Path) -> Iterator[None]:
    """Leave nothing on a full disk, and nothing that is no beginning of a download."""
    try:
        yield
    except (fetch.DiskFull, ModelLoadError):
        shutil.rmtree(staging, ignore_errors=True)
        raise
    except OSError as exc:
        shutil.rmtree(staging, ignore_errors=True)
        raise ModelPullError(
            f"{exc.filename or staging}: {exc.strerror or exc}; nothing was installed"
        ) from exc


def _bring(model: Model, staging: Path, options: PullOptions, tell: Callable[[str], None]) -> str:
    """Fill the model's folder; return where that came from."""
    if options.origin is not None:
        tell(f"from {options.origin}")
        _from_origin(model, staging, options.origin, options.precision)
        return options.origin.name
    if model.entry.source.hub is not None:
        return _from_hub(model, options, tell)
    return _from_archive(model, staging, options, tell)


def _from_hub(model: Model, options: PullOptions, tell: Callable[[str], None]) -> str:
    source = model.entry.source
    offered = {}
    for each in model.entry.wanted(options.precision):
        try:
            offered[each.path] = fetch.look_up(source, each.path, options.endpoint)
        except fetch.NotThere:
            if not each.optional:
                raise
            tell(f"{source.hub} has no {each.path}; the model works without it")
    total = sum(remote.size_bytes or 0 for remote in offered.values())
    tell(f"{len(offered)} file(s), {megabytes(total)}, from {options.endpoint or 'the hub'}")
    _expect_room(model.folder.parent, total)
    known = model.known()
    for path, remote in offered.items():
        target = model.folder / path
        fetch.download(remote, target, known[target])
    return f"{source.hub}@{source.revision or 'main'}"


def _from_archive(
    model: Model, staging: Path, options: PullOptions, tell: Callable[[str], None]
) -> str:
    url = model.entry.source.archive
    assert url is not None
    if options.archive_mirror is not None:
        url = f"{options.archive_mirror.rstrip('/')}/{url.rsplit('/', 1)[-1]}"
    remote = fetch.look_up_archive(url)
    tell(f"{megabytes(remote.size_bytes or 0)} from {url}")
    _expect_room(staging, 2 * (remote.size_bytes or 0))
    archive = staging / fetch.version(remote) / remote.name
    if remote.tag is None or not archive.exists():
        fetch.download(remote, archive)
    try:
        _from_origin(model, staging, archive, options.precision)
    except Exception:
        archive.unlink()  # it is damaged: going on from it would never mend it
        raise
    return url


def _from_origin(model: Model, staging: Path, origin: Path, precision: Precision) -> None:
    """Copy what belongs to the model out of a folder or an archive, checked."""
    if origin.is_dir():
        folder = origin
    elif origin.is_file():
        unpacked = staging / "unpacked"
        shutil.rmtree(unpacked, ignore_errors=True)
        unpacked.mkdir()
        folder = archives.unpack(origin, unpacked)
    else:
        raise ModelPullError(f"{origin} is neither a folder nor an archive")
    manifest = Manifest.read(folder)
    if manifest is not None and manifest.model != model.entry.name:
        raise ModelPullError(f"{origin} holds the model {manifest.model}, not {model.entry.name}")
    given = Model(model.entry, folder)
    given.check(_provider_of(precision))
    paths = [each.path for each in manifest.files] if manifest else _wanted_of(given, precision)
    given.check_rest(paths)
    if manifest is not None:
        manifest.check(folder)
    shutil.rmtree(model.folder, ignore_errors=True)
    _expect_room(staging, sum((folder / path).stat().st_size for path in paths))
    for path in paths:
        target = model.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(folder / path, target)


def _provider_of(precision: Precision) -> str:
    """Return what a model of that precision runs on."""
    return "cuda" if precision == "full" else "cpu"


def _wanted_of(model: Model, precision: Precision) -> list[str]:
    """Return which files of a folder belong to the model: all, where the catalogue names none."""
    if not model.entry.content:
        return _files_in(model.folder)
    named = [each.path for each in model.entry.wanted(precision)]
    found = find_files(
        model.folder,
        model.entry.files,
        full_precision=precision == "full",
        optional=OPTIONAL.get(model.entry.family, ()),
    )
    parts = [path.relative_to(model.folder).as_posix() for path in found.values()]
    there = [path for path in named if (model.folder / path).is_file()]
    return sorted({*parts, *there})


def _files_in(folder: Path) -> list[str]:
    """Return every file below `folder` that can belong to a model."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
        and not path.name.endswith(".part")
        and not _NOT_OF_A_MODEL & set(path.relative_to(folder).parts)
    )


def _expect_room(folder: Path, size_bytes: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < size_bytes:
        raise fetch.DiskFull(
            f"the disk of {folder} has {megabytes(free)} free, the model needs "
            f"{megabytes(size_bytes)}; nothing was installed"
        )


def _install(folder: Path, target: Path, staging: Path) -> None:
    """Put `folder` in the place of `target` by renames; the old one comes back if that fails."""
    for part in folder.rglob("*.part"):  # of another version of a file
        part.unlink()
    old = staging / _OLD_NAME
    shutil.rmtree(old, ignore_errors=True)
    try:
        if target.exists():
            target.rename(old)
        folder.rename(target)
    except BaseException:  # Ctrl-C, too
        _bring_back(old, target)
        raise


def _bring_back(old: Path, target: Path) -> None:
    if old.exists() and not target.exists():
        old.rename(target)


def _keep(installed: Model, folder: Path, tell: Callable[[str], None]) -> None:
    """Put into `folder` what is not of the model in the one whose place it takes."""
    kept = [path for path in _foreign_to(installed) if not (folder / path).exists()]
    for path in kept:
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(installed.folder / path, place, follow_symlinks=False)
        except OSError:  # another disk, or one without links
            shutil.copy2(installed.folder / path, place, follow_symlinks=False)
    if kept:
        tell(f"kept, for they are not of the model: {', '.join(kept)}")


def _foreign_to(model: Model) -> list[str]:
    """Return which files of a model's folder are not its own: none, where nobody names those."""
    try:
        manifest = Manifest.read(model.folder)
    except ModelLoadError:
        manifest = None
    if manifest is None and not model.entry.content:
        return []
    own = {each.path for each in model.entry.content}
    own |= {each.path for each in manifest.files} if manifest else set()
    parts = (name for names in model.entry.files.values() for name in names)
    own |= {
        path.relative_to(model.folder).as_posix()
        for name in parts
        for path in model.folder.glob(name)
    }
    return [path for path in _files_in(model.folder) if path not in own]
