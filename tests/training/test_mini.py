from pathlib import Path

import pytest

from models.training import mini, needs
from ruasr_tel.errors import ConfigError


def test_it_says_what_it_needs_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking() -> None:
        raise ConfigError("apt-get install festival")

    monkeypatch.setattr(needs, "check", lacking)
    (tmp_path / "kept").touch()
    with pytest.raises(ConfigError, match="apt-get install festival"):
        mini.run(tmp_path, print)
    assert (tmp_path / "kept").exists()


def test_the_engines_have_the_names_of_their_sources() -> None:
    assert set(mini.engines(Path("voice"))) == set(mini._SPOKEN)


@pytest.mark.slow
def test_the_whole_recipe_runs(tmp_path: Path) -> None:
    try:
        needs.check()
    except ConfigError as missing:
        pytest.skip(str(missing))
    said: list[str] = []
    found = mini.run(tmp_path / "mini", said.append, minutes=0.3)
    assert len(said) == 7
    assert len(found) == 3
    for figures in found.values():
        assert figures["conditions"]["alaw"]["recordings"] == 16
