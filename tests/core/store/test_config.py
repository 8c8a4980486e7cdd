from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError
from sqlalchemy.engine import make_url

from ruasr_tel.store import StoreConfig, state_dir


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"STATE_DIRECTORY": "/var/lib/ruasr-tel"}, "/var/lib/ruasr-tel"),
        ({"STATE_DIRECTORY": "/var/lib/a:/var/lib/b", "XDG_STATE_HOME": "/x"}, "/var/lib/a"),
        ({"STATE_DIRECTORY": "", "XDG_STATE_HOME": "/x"}, "/x/ruasr_tel"),
        ({"XDG_STATE_HOME": "relative is ignored"}, "~/.local/state/ruasr_tel"),
        ({}, "~/.local/state/ruasr_tel"),
    ],
)
def test_the_state_folder_is_systemds_or_the_users(environ: dict[str, str], folder: str) -> None:
    assert state_dir(environ) == Path(folder).expanduser()


def test_the_default_is_a_file_in_the_state_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/with space%20?#")
    url = make_url(StoreConfig().address())
    assert (url.drivername, url.database) == ("sqlite", "/var/lib/with space%20?#/ruasr.db")


def test_a_password_is_in_the_address_alone() -> None:
    config = StoreConfig(url=SecretStr("postgresql://ruasr:s3cr3t@db/history"))
    assert config.address() == "postgresql://ruasr:s3cr3t@db/history"
    assert "s3cr3t" not in repr(config) + config.model_dump_json()


def test_a_profile_may_be_kept_longer_or_for_ever() -> None:
    config = StoreConfig(keep_days_by_profile={"law": None, "digits": 7})
    assert config.keep("default") == timedelta(days=90)
    assert config.keep("digits") == timedelta(days=7)
    assert config.keep("law") is None
    assert StoreConfig(keep_days=None).keep("default") is None


@pytest.mark.parametrize("days", [0, -1, 36_501])
def test_days_have_bounds(days: int) -> None:
    with pytest.raises(ValidationError):
        StoreConfig(keep_days=days)
    with pytest.raises(ValidationError):
        StoreConfig(keep_days_by_profile={"digits": days})
