from pathlib import Path

import pytest
from pydantic import SecretStr

from ruasr_tel.recordings.config import RecordingsConfig


def test_everything_lies_in_the_state_folder_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    config = RecordingsConfig()
    assert config.folder() == tmp_path / "recordings"
    assert config.database_url() == f"sqlite:///{tmp_path}/recordings/jobs.db"
    monkeypatch.chdir(tmp_path)
    assert RecordingsConfig(dir=Path("here")).folder() == tmp_path / "here"


def test_a_database_is_taken_as_it_is_and_not_shown() -> None:
    config = RecordingsConfig(database=SecretStr("postgresql://u:secret@h/jobs"))
    assert config.database_url() == "postgresql://u:secret@h/jobs"
    assert "secret" not in repr(config)
