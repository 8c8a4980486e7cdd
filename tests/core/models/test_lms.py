import os
from pathlib import Path

import pytest

from ruasr_tel.errors import ConfigError
from ruasr_tel.models import lms
from ruasr_tel.models.catalog import Catalog, Model

MODELS_DIR = Path(__file__).parents[3] / "models"


@pytest.fixture
def model(tmp_path: Path) -> Model:
    entry = Catalog.load(MODELS_DIR).resolve("ru-mini-ctc-8k").entry
    (tmp_path / "own.npz").write_bytes(b"")
    return Model(entry.model_copy(update={"lm": "own.npz:0.3"}), tmp_path)


def test_a_name_is_meant_below_the_model_first(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    found = lms.find(f"own.npz:0.3 + other.arpa + {tmp_path}/third.arpa:1:2", model)
    assert found == (f"{tmp_path}/own.npz:0.3 + {elsewhere}/other.arpa + {tmp_path}/third.arpa:1:2")


@pytest.mark.parametrize(
    ("lm", "expected"),
    [(None, "{}/own.npz:0.3"), ("own.npz", "{}/own.npz"), ("none", ""), ("", "")],
)
def test_the_models_own_is_used_unless_another_or_none_is_wanted(
    model: Model, lm: str | None, expected: str
) -> None:
    told = lms.options(model, lm, ["none", "own.npz:1"], 16)
    assert told == {
        "lm": expected.format(model.folder),
        "lms": f"none\tnone\nown.npz:1\t{model.folder}/own.npz:1",
        "lm_width": 16,
    }


def test_a_changed_file_changes_the_state(model: Model) -> None:
    told = lms.options(model)
    before = lms.state(told)
    assert before == lms.state(told)
    os.utime(model.folder / "own.npz", ns=(1, 1))
    assert lms.state(told) != before
    (model.folder / "own.npz").unlink()
    assert "own.npz None" in lms.state(told)


def test_what_cannot_be_read_is_said(model: Model) -> None:
    with pytest.raises(ConfigError, match="is not FILE"):
        lms.find("a:b", model)
