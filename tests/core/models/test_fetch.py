"""Downloads with the real huggingface-hub from a server that answers like the hub."""

import errno
import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ruasr_tel.errors import ModelPullError
from ruasr_tel.models import fetch
from ruasr_tel.models.entries import Source
from ruasr_tel.models.fetch import DiskFull, download, git_blob, look_up, look_up_archive
from ruasr_tel.models.probe import Known
from tests.core.models.hub_server import Hub, serving

LARGE, SMALL = "am/encoder.onnx", "tokens.txt"
CONTENT = {LARGE: bytes(range(256)) * 400, SMALL: "<blk> 0\nа 1\n".encode()}
SOURCE = Source(page="https://example.org/model", hub="owner/name", revision="a" * 40)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)  # 10 MB in life
    with serving(Hub(dict(CONTENT))) as running:
        yield running


def bring(hub: Hub, path: str, target: Path, known: Known | None = None) -> None:
    download(look_up(SOURCE, path, hub.url), target, known)


@pytest.mark.parametrize("path", [LARGE, SMALL])
def test_a_file_comes_whole_from_the_pinned_commit(hub: Hub, tmp_path: Path, path: str) -> None:
    bring(hub, path, tmp_path / "deep" / "file")
    assert (tmp_path / "deep" / "file").read_bytes() == CONTENT[path]
    assert hub.asked[0] == f"HEAD /owner/name/resolve/{'a' * 40}/{path}"
    assert [each.name for each in (tmp_path / "deep").iterdir()] == ["file"]


def test_what_the_hub_says_of_a_file(hub: Hub) -> None:
    large, small = (look_up(SOURCE, path, hub.url) for path in (LARGE, SMALL))
    assert (large.size_bytes, large.tag) == (
        len(CONTENT[LARGE]),
        hashlib.sha256(CONTENT[LARGE]).hexdigest(),
    )
    assert (small.size_bytes, len(small.tag or "")) == (len(CONTENT[SMALL]), 40)


def test_without_a_pinned_commit_the_main_branch_is_taken(hub: Hub) -> None:
    look_up(Source(page="p", hub="owner/name"), SMALL, hub.url)
    assert hub.asked == [f"HEAD /owner/name/resolve/main/{SMALL}"]


def test_a_connection_that_breaks_is_taken_up_again(hub: Hub, tmp_path: Path) -> None:
    hub.cut[LARGE] = 50_000
    bring(hub, LARGE, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT[LARGE]
    assert "bytes=50000-" in hub.ranges()


def test_the_next_attempt_goes_on_where_the_last_one_stopped(hub: Hub, tmp_path: Path) -> None:
    target = tmp_path / "file"
    remote = look_up(SOURCE, LARGE, hub.url)
    partial = fetch._partial(remote, target)
    partial.write_bytes(CONTENT[LARGE][:70_000])
    download(remote, target)
    assert target.read_bytes() == CONTENT[LARGE]
    assert hub.ranges()[0] == "bytes=70000-"
    assert not partial.exists()


@pytest.mark.parametrize("begun", [0, 1, len(CONTENT[LARGE]) - 1, len(CONTENT[LARGE])])
def test_any_beginning_is_gone_on_from(hub: Hub, tmp_path: Path, begun: int) -> None:
    remote = look_up(SOURCE, LARGE, hub.url)
    fetch._partial(remote, tmp_path / "file").write_bytes(CONTENT[LARGE][:begun])
    download(remote, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT[LARGE]
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_beginning_that_is_too_long_is_begun_anew(hub: Hub, tmp_path: Path) -> None:
    remote = look_up(SOURCE, LARGE, hub.url)
    fetch._partial(remote, tmp_path / "file").write_bytes(CONTENT[LARGE] + b"more")
    download(remote, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT[LARGE]
    assert hub.ranges() == []


def test_a_server_that_names_no_version_is_asked_for_all(hub: Hub, tmp_path: Path) -> None:
    remote = replace(look_up(SOURCE, LARGE, hub.url), tag=None)
    fetch._partial(remote, tmp_path / "file").write_bytes(b"of an older version")
    download(remote, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT[LARGE]
    assert hub.ranges() == []


def test_what_is_whole_already_is_not_brought_again(hub: Hub, tmp_path: Path) -> None:
    bring(hub, LARGE, tmp_path / "file")
    before = len(hub.asked)
    bring(hub, LARGE, tmp_path / "file")
    assert [line.split()[0] for line in hub.asked[before:]] == ["HEAD"]
    (tmp_path / "file").write_bytes(b"another version")
    bring(hub, LARGE, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT[LARGE]


def test_what_no_digest_vouches_for_is_brought_again(hub: Hub, tmp_path: Path) -> None:
    hub.files["model.zip"] = CONTENT[LARGE]
    (tmp_path / "model.zip").write_bytes(b"of who knows when")
    download(look_up_archive(f"{hub.url}/archives/model.zip"), tmp_path / "model.zip")
    assert (tmp_path / "model.zip").read_bytes() == CONTENT[LARGE]


def test_the_beginning_of_another_version_is_not_gone_on_from(hub: Hub, tmp_path: Path) -> None:
    old = look_up(SOURCE, LARGE, hub.url)
    fetch._partial(old, tmp_path / "file").write_bytes(CONTENT[LARGE][:70_000])
    hub.files[LARGE] = CONTENT[LARGE][::-1]
    bring(hub, LARGE, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == hub.files[LARGE]
    assert hub.ranges()[0:1] != ["bytes=70000-"]


def test_a_server_that_sends_all_again_does_no_harm(hub: Hub, tmp_path: Path) -> None:
    remote = look_up(SOURCE, LARGE, hub.url)
    fetch._partial(remote, tmp_path / "file").write_bytes(CONTENT[LARGE][:70_000])
    hub.ignores_range = True
    download(remote, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT[LARGE]


@pytest.mark.parametrize("path", [LARGE, SMALL])
def test_other_bytes_than_announced_are_not_kept(hub: Hub, tmp_path: Path, path: str) -> None:
    hub.lies[path] = bytes(len(CONTENT[path]))
    with pytest.raises(ModelPullError, match="brought another file than expected, and nothing"):
        bring(hub, path, tmp_path / "file")
    assert list(tmp_path.iterdir()) == []


def test_another_digest_than_the_catalogues_is_refused(hub: Hub, tmp_path: Path) -> None:
    known = Known(len(CONTENT[LARGE]), "0" * 64)
    with pytest.raises(ModelPullError, match=r"is damaged: SHA-256 .* expected 000000000000"):
        bring(hub, LARGE, tmp_path / "file", known)
    assert list(tmp_path.iterdir()) == []


def test_another_size_than_the_catalogues_is_not_even_begun(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(ModelPullError, match="has 102400 bytes, but the catalogue says 7"):
        bring(hub, LARGE, tmp_path / "file", Known(7))
    assert [line.split()[0] for line in hub.asked] == ["HEAD"]


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (401, "is not for us (HTTP 401); if it is behind a login, accept its terms on https://ex"),
        (403, "set HF_TOKEN"),
        (404, "is not there (HTTP 404); see https://example.org/model"),
        (500, "the server answers HTTP 500; try again later"),
    ],
)
def test_a_hub_that_refuses_is_quoted(hub: Hub, status: int, says: str) -> None:
    hub.status[LARGE] = status
    with pytest.raises(ModelPullError) as caught:
        look_up(SOURCE, LARGE, hub.url)
    assert says in str(caught.value)


def test_a_hub_that_refuses_in_the_middle_leaves_the_beginning(hub: Hub, tmp_path: Path) -> None:
    remote = look_up(SOURCE, LARGE, hub.url)
    partial = fetch._partial(remote, tmp_path / "file")
    partial.write_bytes(CONTENT[LARGE][:9])
    hub.status[LARGE] = 500
    with pytest.raises(ModelPullError, match="HTTP 500"):
        download(remote, tmp_path / "file")
    assert [each.name for each in tmp_path.iterdir()] == [partial.name]


def test_a_hub_that_is_not_there_comes_with_the_ways_around(hub: Hub) -> None:
    with pytest.raises(ModelPullError) as caught:
        look_up(SOURCE, LARGE, "http://127.0.0.1:9")  # discard, RFC 863: nobody listens there
    assert "cannot be reached" in str(caught.value)
    assert "set models.endpoint to a mirror" in str(caught.value)
    assert "`ruasr-tel models pack`, then `models pull --from`" in str(caught.value)


@pytest.mark.parametrize(
    ("number", "kind", "says"),
    [
        (errno.ENOSPC, DiskFull, "is full; nothing was installed"),
        (errno.EROFS, ModelPullError, "cannot be written: Read-only file system"),
    ],
)
def test_a_disk_that_takes_no_more_is_named(
    hub: Hub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    kind: type[ModelPullError],
    says: str,
) -> None:
    def refuse(*args: Any, **more: Any) -> None:
        raise OSError(number, "Read-only file system")

    monkeypatch.setattr("huggingface_hub.file_download.http_get", refuse)
    with pytest.raises(kind) as caught:
        bring(hub, LARGE, tmp_path / "file")
    assert str(tmp_path) in str(caught.value)
    assert says in str(caught.value)


def test_an_archive_comes_from_any_web_server(hub: Hub, tmp_path: Path) -> None:
    hub.files["model.zip"] = CONTENT[LARGE]
    remote = look_up_archive(f"{hub.url}/archives/model.zip")
    assert (remote.name, remote.size_bytes) == ("model.zip", len(CONTENT[LARGE]))
    hub.cut["model.zip"] = 1234
    download(remote, tmp_path / "model.zip")
    assert (tmp_path / "model.zip").read_bytes() == CONTENT[LARGE]
    with pytest.raises(ModelPullError, match=r"archives/none\.zip is not there \(HTTP 404\)"):
        look_up_archive(f"{hub.url}/archives/none.zip")


def test_the_id_that_git_gives(tmp_path: Path) -> None:
    """Pro Git, 10.2: `echo 'test content' | git hash-object -w --stdin`."""
    (tmp_path / "file").write_bytes(b"test content\n")
    assert git_blob(tmp_path / "file") == "d670460b4b4aece5915caf5c68d12f560a9fe3e4"
