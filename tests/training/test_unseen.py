import shutil
from pathlib import Path

import pytest

from models.training import guard, unseen
from ruasr_tel.accuracy.manifest import read_manifest
from ruasr_tel.errors import ConfigError


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for RHVoice-test that writes what it is told to say."""
    path = tmp_path / "RHVoice-test"
    path.write_text('#!/bin/sh\n[ "$2" = irina ] || { echo "no voice" >&2; exit 1; }\ncat > "$4"\n')
    path.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda _name: str(path))
    return path


@pytest.mark.usefixtures("program")
def test_every_sentence_is_spoken_and_listed(tmp_path: Path) -> None:
    manifest = unseen.speak(tmp_path / "irina")
    items = read_manifest(manifest)
    assert [item.text for item in items] == guard.unseen()
    assert items[0].path.read_text("utf-8") == items[0].text


@pytest.mark.usefixtures("program")
def test_a_voice_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="did not speak as anna: no voice"):
        unseen.speak(tmp_path, ["да"], voice="anna")


def test_a_missing_program_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(ConfigError, match="no program RHVoice-test"):
        unseen.speak(tmp_path)
