import os
from pathlib import Path

import pytest

from ruasr_tel.errors import ConfigError
from ruasr_tel.models import lms


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own.npz").write_bytes(b"")
    return tmp_path


def test_a_name_is_meant_below_the_model_first(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    found = lms.find(f"own.npz:0.3 + other.arpa + {folder}/third.arpa:1:2", folder)
    assert found == f"{folder}/own.npz:0.3 + {elsewhere}/other.arpa + {folder}/third.arpa:1:2"


@pytest.mark.parametrize(
    ("lm", "expected"), [("own.npz:0.3", "{}/own.npz:0.3"), ("none", ""), ("", "")]
)
def test_the_engine_is_told_the_server_s_and_the_profiles(
    folder: Path, lm: str, expected: str
) -> None:
    assert lms.options(folder, lm, ["none", "own.npz:1"], 16) == {
        "lm": expected.format(folder),
        "lms": f"none\tnone\nown.npz:1\t{folder}/own.npz:1",
        "lm_width": 16,
    }


def test_a_changed_file_changes_the_state(folder: Path) -> None:
    told = lms.options(folder, "own.npz")
    before = lms.state(told)
    assert before == lms.state(told)
    os.utime(folder / "own.npz", ns=(1, 1))
    assert lms.state(told) != before
    (folder / "own.npz").unlink()
    assert "own.npz None" in lms.state(told)


def test_what_cannot_be_read_is_said(folder: Path) -> None:
    with pytest.raises(ConfigError, match="is not FILE"):
        lms.find("a:b", folder)
