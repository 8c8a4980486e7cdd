"""Brings single files of a model: from the hub by huggingface-hub, or from any web server.

Only this module imports huggingface_hub. A file comes under another name first and goes on where
it stopped, as long as the server still has the same; its digest is checked before it gets its own.
"""

import contextlib
import errno
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruasr_tel.errors import ModelLoadError, ModelPullError
from ruasr_tel.models.entries import Source
from ruasr_tel.models.probe import Known, check_known

_SHA256 = re.compile(r"[0-9a-f]{64}")  # of a file in git-lfs
_GIT_BLOB = re.compile(r"[0-9a-f]{40}")  # of any other file
_BLOCK_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class Remote:
    """A file that a server offers.

    Attributes:
        url: where it is.
        name: for people.
        size_bytes: its size, or None if the server does not say.
        tag: what the server calls this version of it, or None; the hub's are digests.
        headers: to ask for it with.
    """

    url: str
    name: str
    size_bytes: int | None
    tag: str | None
    headers: Mapping[str, str] = field(default_factory=dict)


def look_up(source: Source, path: str, endpoint: str | None = None) -> Remote:
    """Return what the hub says of one file of a repository.

    Args:
        source: the repository, and its commit or None for the newest.
        path: of the file in it.
        endpoint: address of the hub or of a mirror; None: huggingface.co.

    Raises:
        ModelPullError: the hub is not there, or has no such file for us.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # in its docs

    assert source.hub is not None
    url = hf_hub_url(source.hub, path, revision=source.revision, endpoint=endpoint)
    try:
        found = get_hf_file_metadata(url)
    except Exception as exc:  # its own, those of the HTTP library, and the system's
        raise _refusal(url, source.page, exc) from exc
    return Remote(url, path, found.size, found.etag, build_hf_headers(library_name="ruasr-tel"))


def look_up_archive(url: str) -> Remote:
    """Return what a web server says of one file.

    Raises:
        ModelPullError: it is not there, or has no such file.
    """
    from huggingface_hub.utils import (  # type: ignore[attr-defined]  # in its docs
        get_session,
        hf_raise_for_status,
    )

    try:
        answer = get_session().head(url, follow_redirects=True, timeout=30)
        hf_raise_for_status(answer)
    except Exception as exc:  # as above
        raise _refusal(url, url, exc) from exc
    size = answer.headers.get("Content-Length", "")
    tag = answer.headers.get("ETag") or answer.headers.get("Last-Modified")
    return Remote(url, url.rsplit("/", 1)[-1], int(size) if size.isdecimal() else None, tag)


def download(remote: Remote, target: Path, known: Known | None = None) -> None:
    """Bring `remote` to `target`; go on where an earlier attempt stopped.

    What lies at `target` already is taken where a digest says that it is the same file.

    Raises:
        ModelPullError: the server stopped, the disk is full, or another file came.
    """
    known = known or Known()
    if known.size_bytes and remote.size_bytes and known.size_bytes != remote.size_bytes:
        raise ModelPullError(
            f"{remote.url} has {remote.size_bytes} bytes, but the catalogue says "
            f"{known.size_bytes}: it is another file; nothing was installed"
        )
    if target.exists() and (known.sha256 or _digest(remote)):
        with contextlib.suppress(ModelLoadError):
            return _expect(remote, target, known)  # an earlier attempt got as far
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial(remote, target)
    try:
        _transfer(remote, partial)
    except OSError as exc:
        raise _disk(partial, exc) from exc
    _check(remote, partial, known)
    partial.replace(target)


def version(remote: Remote) -> str:
    """Return a short name of what the server offers; another one when that changes."""
    return hashlib.sha256(f"{remote.url} {remote.tag}".encode()).hexdigest()[:12]


def _partial(remote: Remote, target: Path) -> Path:
    """Return where the beginning of this version of the file is kept."""
    partial = target.with_name(f"{target.name}.{version(remote)}.part")
    begun = partial.stat().st_size if partial.exists() else 0
    if remote.tag is None or (remote.size_bytes is not None and begun > remote.size_bytes):
        partial.unlink(missing_ok=True)
    return partial


def _transfer(remote: Remote, partial: Path) -> None:
    from huggingface_hub.file_download import http_get

    with partial.open("ab") as stream:
        try:
            http_get(
                remote.url,
                stream,
                resume_size=stream.tell(),
                headers=dict(remote.headers),
                expected_size=remote.size_bytes,
                displayed_filename=remote.name,
            )
        except OSError as exc:
            if exc.errno is not None:
                raise
            raise _refusal(remote.url, remote.url, exc) from exc  # of the HTTP library
        except Exception as exc:
            raise _refusal(remote.url, remote.url, exc) from exc


def _check(remote: Remote, partial: Path, known: Known) -> None:
    """Check what came; forget it if it is not what was expected."""
    try:
        _expect(remote, partial, known)
    except ModelLoadError as exc:
        partial.unlink()
        raise ModelPullError(
            f"{remote.url} brought another file than expected, and nothing was installed ({exc})"
        ) from exc


def _expect(remote: Remote, path: Path, known: Known) -> None:
    """Check a file against the catalogue and against what the hub says of it."""
    check_known(path, known)
    digest = _digest(remote)
    if digest and _SHA256.fullmatch(digest):
        check_known(path, Known(remote.size_bytes, digest))
    elif digest and git_blob(path) != digest:
        raise ModelLoadError(f"{path} is damaged: git blob {git_blob(path)[:12]}…")


def _digest(remote: Remote) -> str | None:
    """Return the digest that a server calls the file by, or None where its tag is none."""
    tag = remote.tag or ""
    return tag if _SHA256.fullmatch(tag) or _GIT_BLOB.fullmatch(tag) else None


def git_blob(path: Path) -> str:
    """Return the id that git gives to the content of `path` (git-hash-object)."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def _disk(path: Path, exc: OSError) -> ModelPullError:
    if exc.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"the disk of {path.parent} is full; nothing was installed")
    return ModelPullError(f"{path} cannot be written: {exc.strerror}; nothing was installed")


class NotThere(ModelPullError):
    """The server has no such file."""


class DiskFull(ModelPullError):
    """There is no room for the model; what had come of it is deleted, too."""


def _refusal(url: str, page: str, exc: Exception) -> ModelPullError:
    """Return what to tell the operator of an HTTP client's exception."""
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    status: Any = getattr(getattr(exc, "response", None), "status_code", None)
    if isinstance(exc, GatedRepoError | RepositoryNotFoundError) or status in (401, 403):
        cure = f"if it is behind a login, accept its terms on {page} and set HF_TOKEN"
        return ModelPullError(f"{url} is not for us (HTTP {status}); {cure}")
    if status == 404:
        return NotThere(f"{url} is not there (HTTP 404); see {page}")
    if status is not None:
        return ModelPullError(f"{url}: the server answers HTTP {status}; try again later")
    reason = " ".join(str(exc).split())[:200] or type(exc).__name__
    return ModelPullError(
        f"{url} cannot be reached ({reason}); try again, set models.endpoint to a mirror, or bring "
        "the model from another machine: `ruasr-tel models pack`, then `models pull --from`"
    )
