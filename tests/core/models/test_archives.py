import contextlib
import errno
import io
import os
import random
import stat
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruasr_tel.errors import ModelPullError
from ruasr_tel.models import archives
from ruasr_tel.models.archives import pack, unpack
from ruasr_tel.models.manifest import MANIFEST_NAME, FileRecord, Manifest, record

CONTENT = {"am/x.onnx": b"weights" * 9999, "tokens.txt": b"<blk> 0\n"}


def model_in(folder: Path) -> Manifest:
    for name, content in CONTENT.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    files = tuple(record(folder, name) for name in sorted(CONTENT))
    return Manifest("mini", "the hub", None, "MIT", files)


def test_what_is_packed_comes_out_again(tmp_path: Path) -> None:
    manifest = model_in(tmp_path / "model")
    pack(manifest, tmp_path / "model", tmp_path / "mini.tar")
    (tmp_path / "out").mkdir()
    folder = unpack(tmp_path / "mini.tar", tmp_path / "out")
    assert folder == tmp_path / "out" / "mini"
    assert {name: (folder / name).read_bytes() for name in CONTENT} == CONTENT
    assert Manifest.read(folder) == manifest
    manifest.check(folder)


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    for copy in ("one", "two"):
        manifest = model_in(tmp_path / copy)
        (tmp_path / copy / "tokens.txt").chmod(0o600)
        pack(manifest, tmp_path / copy, tmp_path / f"{copy}.tar")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as tar:
        assert tar.getnames()[0] == f"mini/{MANIFEST_NAME}"
        assert {(each.mtime, each.mode, each.uid, each.uname) for each in tar} == {
            (0, 0o644, 0, "")
        }


def test_an_archive_that_cannot_be_written_leaves_none(tmp_path: Path) -> None:
    manifest = model_in(tmp_path / "model")
    with pytest.raises(ModelPullError, match=r"mini\.tar cannot be written: Not a directory"):
        pack(manifest, tmp_path / "model", tmp_path / "model/tokens.txt/mini.tar")
    missing = Manifest("mini", "", None, "", (*manifest.files, FileRecord("gone", 1, "")))
    with pytest.raises(ModelPullError, match=r"mini\.tar cannot be written: No such file"):
        pack(missing, tmp_path / "model", tmp_path / "mini.tar")
    assert [each.name for each in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("kind", ["folder", "root", "dot", "pipe"])
def test_only_a_file_is_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    manifest = model_in(tmp_path / "model")
    monkeypatch.chdir(tmp_path)
    target = {"folder": tmp_path, "root": Path("/"), "dot": Path()}.get(kind, tmp_path / "pipe")
    if kind == "pipe":
        os.mkfifo(target)
    with pytest.raises(ModelPullError, match=r"is no file; name one, such as mini\.tar"):
        pack(manifest, tmp_path / "model", target)
    assert kind != "pipe" or target.is_fifo()
    assert not list(tmp_path.glob("*.part"))


def test_an_older_archive_is_written_over(tmp_path: Path) -> None:
    manifest = model_in(tmp_path / "model")
    (tmp_path / "mini.tar").write_bytes(b"an older one")
    pack(manifest, tmp_path / "model", tmp_path / "mini.tar")
    assert tarfile.is_tarfile(tmp_path / "mini.tar")


def zipped(target: Path, *members: tuple[str | zipfile.ZipInfo, bytes]) -> Path:
    with zipfile.ZipFile(target, "w") as opened:
        for name, content in members:
            opened.writestr(name, content)
    return target


def tarred(target: Path, *members: tuple[str | tarfile.TarInfo, bytes], mode: str = "w") -> Path:
    with tarfile.open(target, mode) as opened:  # type: ignore[call-overload]  # modes are literals
        for name, content in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))
    return target


def into(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_every_kind_of_tar_is_read(tmp_path: Path, mode: str) -> None:
    archive = tarred(tmp_path / "m", ("vosk/am/x", b"1"), ("vosk/y", b"2"), mode=mode)
    folder = unpack(archive, into(tmp_path))
    assert (folder.name, (folder / "am/x").read_bytes()) == ("vosk", b"1")


def test_a_zip_is_read_with_or_without_a_folder_around(tmp_path: Path) -> None:
    folder = unpack(zipped(tmp_path / "a.zip", ("vosk/", b""), ("vosk/x", b"1")), into(tmp_path))
    assert folder.name == "vosk"
    (tmp_path / "flat").mkdir()
    flat = unpack(zipped(tmp_path / "b.zip", ("x", b"1"), ("am/y", b"2")), tmp_path / "flat")
    assert flat == tmp_path / "flat"


BAD_NAMES = ["../evil", "a/../../evil", "/evil", "C:/evil", "..\\evil", "a/.."]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_no_member_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    for archive in (zipped(tmp_path / "a.zip", (name, b"x")), tarred(tmp_path / "a", (name, b"x"))):
        (tmp_path / "out").mkdir(exist_ok=True)
        with pytest.raises(ModelPullError, match="leads out of its folder; it is no model"):
            unpack(archive, tmp_path / "out")
    assert not list((tmp_path / "out").iterdir())
    assert not (tmp_path / "evil").exists()


def member(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE]
)
def test_no_links_and_devices_come_out_of_a_tar(tmp_path: Path, kind: bytes) -> None:
    archive = tarred(tmp_path / "a", (member("x", kind, "/etc/passwd"), b""))
    with pytest.raises(ModelPullError, match="'x' is a link or a device; no model needs that"):
        unpack(archive, into(tmp_path))


def test_no_links_come_out_of_a_zip(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("x")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(ModelPullError, match="'x' is a link, or encrypted"):
        unpack(zipped(tmp_path / "a.zip", (link, b"/etc/passwd")), into(tmp_path))


def test_an_archive_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archives, "MAX_FILES", 2)
    many = tarred(tmp_path / "a", *[(str(number), b"") for number in range(3)])
    with pytest.raises(ModelPullError, match="holds more than 2 files; it is no model"):
        unpack(many, into(tmp_path))
    monkeypatch.setattr(archives, "MAX_BYTES", 10**6)
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr("x", bytes(10**7))
    (tmp_path / "out2").mkdir()
    with pytest.raises(ModelPullError, match="holds more than 0 GiB; it is no model"):
        unpack(bomb, tmp_path / "out2")


@pytest.mark.parametrize("cut", [1, 0.5, 0.0])
def test_a_damaged_archive_is_named(tmp_path: Path, cut: float) -> None:
    whole = tarred(tmp_path / "whole", ("x", b"1" * 5000), mode="w:gz").read_bytes()
    (tmp_path / "a").write_bytes(whole[: int(len(whole) * cut)] if cut < 1 else b"no archive" * 99)
    with pytest.raises(ModelPullError, match="/a is damaged or no archive"):
        unpack(tmp_path / "a", into(tmp_path))


def spoilt(whole: bytes, at: int) -> bytes:
    """Return what a bad disk makes of a file."""
    return whole[:at] + bytes(each ^ 0xFF for each in whole[at : at + 8]) + whole[at + 8 :]


@pytest.mark.parametrize(
    "method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA, "unknown method"]
)
def test_a_zip_with_a_damaged_stream_is_named(tmp_path: Path, method: int | str) -> None:
    known = method if isinstance(method, int) else zipfile.ZIP_STORED
    with zipfile.ZipFile(tmp_path / "a.zip", "w", known) as opened:
        opened.writestr("x", random.Random(1).randbytes(3000) * 2)
        begin = len(opened.filelist[0].FileHeader())
    whole = (tmp_path / "a.zip").read_bytes()
    if known == method:
        damaged = spoilt(spoilt(whole, begin), begin + 1500)
    else:  # APPNOTE.TXT 4.4.5; in the local header and in the directory
        place = whole.index(b"PK\x01\x02") + 10
        damaged = whole[:8] + b"\x61\0" + whole[10:place] + b"\x61\0" + whole[place + 2 :]
    (tmp_path / "a.zip").write_bytes(damaged)
    with pytest.raises(ModelPullError, match=r"/a\.zip is damaged or no archive"):
        unpack(tmp_path / "a.zip", into(tmp_path))


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_a_tar_with_a_damaged_stream_is_named(tmp_path: Path, mode: str) -> None:
    noise = random.Random(1).randbytes(200_000)
    archive = tarred(tmp_path / "a", ("x", noise), mode=mode)
    archive.write_bytes(spoilt(archive.read_bytes(), 100_000))
    with pytest.raises(ModelPullError, match="/a is damaged or no archive"):
        unpack(archive, into(tmp_path))


def test_a_disk_that_fails_is_not_called_a_damaged_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **more: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    archive = tarred(tmp_path / "a", ("x", b"1"))
    folder = into(tmp_path)
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(OSError, match="No space left"):
        unpack(archive, folder)


@settings(deadline=None)  # files: how long they take is the machine's business
@given(names=st.lists(st.text(max_size=12), min_size=1, max_size=5))
def test_whatever_it_holds_stays_inside_or_is_refused(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as place:
        outer = Path(place)
        (outer / "out").mkdir()
        members = [(name, b"x") for name in names if name.isprintable()]
        with contextlib.suppress(ModelPullError, OSError):
            unpack(tarred(outer / "a.tar", *members), outer / "out")
        assert {each.name for each in outer.iterdir()} == {"a.tar", "out"}
