import json
from pathlib import Path

import pytest

from ruasr_tel.errors import ModelLoadError
from ruasr_tel.models.entries import ModelEntry
from ruasr_tel.models.manifest import MANIFEST_NAME, FileRecord, Manifest

ENTRY = ModelEntry.model_validate(
    {
        "name": "a",
        "family": "nemo_ctc",
        "folder": "a",
        "files": {},
        "licence": "MIT",
        "source": {"page": "p", "hub": "o/n", "revision": "1" * 40},
    }
)

SOUND = {"size_bytes": 1, "sha256": "0" * 64}


@pytest.fixture
def written(tmp_path: Path) -> Manifest:
    (tmp_path / "am").mkdir()
    (tmp_path / "am/x.onnx").write_bytes(b"weights")
    (tmp_path / "tokens.txt").write_bytes(b"")
    manifest = Manifest.of(ENTRY, tmp_path, ["tokens.txt", "am/x.onnx"], "somewhere")
    manifest.write(tmp_path)
    return manifest


def test_it_is_what_was_installed(tmp_path: Path, written: Manifest) -> None:
    first, second = written.files
    assert (written.model, written.source, written.revision) == ("a", "somewhere", "1" * 40)
    assert first == FileRecord(
        "am/x.onnx", 7, "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c"
    )
    assert (second.path, second.size_bytes) == ("tokens.txt", 0)
    assert Manifest.read(tmp_path) == written
    written.check(tmp_path)


def test_a_folder_without_one_has_none(tmp_path: Path) -> None:
    assert Manifest.read(tmp_path) is None


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("am/x.onnx", b"weightz", "is damaged: SHA-256"),
        ("am/x.onnx", b"weight", "is cut off: 6 bytes, expected 7"),
        ("tokens.txt", None, "tokens.txt is missing; bring the model again"),
    ],
)
def test_a_file_that_changed_is_named(
    tmp_path: Path, written: Manifest, name: str, content: bytes | None, says: str
) -> None:
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelLoadError, match=says):
        written.check(tmp_path)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": 2}, "is of a later ruasr-tel; update this one"),
        ({"extra": 1}, "is damaged"),
        ({"files": [{"path": "../x", **SOUND}]}, "no path below a folder"),
        ({"files": [{"path": "/etc/x", **SOUND}]}, "no path below a folder"),
        ({"files": [{"path": "x"}]}, "is damaged"),
        ({"files": 7}, "is damaged"),
        ({"files": [{"path": "x", "size_bytes": 1, "sha256": 7}]}, "is damaged"),
        ({"files": [{"path": "x", "size_bytes": 1, "sha256": "7"}]}, "is damaged"),
        ({"files": [{"path": "x", "size_bytes": "1", "sha256": "0" * 64}]}, "is damaged"),
        ({"files": [{"path": 7, **SOUND}]}, "is damaged"),
    ],
)
def test_a_foreign_one_is_not_trusted(
    tmp_path: Path, written: Manifest, change: dict[str, object], says: str
) -> None:
    path = tmp_path / MANIFEST_NAME
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ModelLoadError, match=says):
        Manifest.read(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "7", "{}", "\0", '"x"', "[" * 100_000])
def test_nonsense_is_damaged(tmp_path: Path, content: str) -> None:
    (tmp_path / MANIFEST_NAME).write_text(content)
    with pytest.raises(ModelLoadError, match="is damaged"):
        Manifest.read(tmp_path)
