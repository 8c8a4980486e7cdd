"""Catalogues that cannot be read, and where the one that counts is found."""

import json
import shutil
from importlib import metadata
from pathlib import Path

import pytest
import yaml

from ruasr_tel.errors import ConfigError
from ruasr_tel.models.catalog import Catalog, default_models_dir
from tests.core.broken_models import MODELS_DIR

ENTRY = {
    "name": "a",
    "family": "nemo_ctc",
    "folder": "a",
    "files": {"model": ["m.onnx"], "tokens": ["tokens.txt"]},
    "licence": "MIT",
    "source": {"page": "here"},
}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (":\n  - [", "is not YAML"),
        ("[]", "models: Input should be a valid dictionary"),
        ({"default": "a", "recommended": "a", "models": []}, "a is none of the models"),
        (
            {"default": "a", "recommended": "a", "models": [ENTRY, {**ENTRY, "name": "A"}]},
            "names used twice: a",
        ),
        (
            {"default": "a", "recommended": "a", "models": [{**ENTRY, "family": "whisper"}]},
            "models.0.family: Input should be 'nemo_ctc'",
        ),
        (
            {"default": "a", "recommended": "a", "models": [{**ENTRY, "licens": "MIT"}]},
            "models.0.licens: Extra inputs are not permitted",
        ),
        (
            {"default": "a", "recommended": "a", "models": [{**ENTRY, "segment": {"min_s": 16}}]},
            "min_s 16.0 <= best_s 15.0 <= max_s 20.0",
        ),
        (
            {
                "default": "a",
                "recommended": "a",
                "models": [{**ENTRY, "content": [{"path": "../x"}]}],
            },
            "'../x' is no path below a folder",
        ),
        (
            {
                "default": "a",
                "recommended": "a",
                "models": [{**ENTRY, "source": {"page": "p", "hub": "x"}}],
            },
            "'x' is no repository like owner/name",
        ),
        (
            {
                "default": "a",
                "recommended": "a",
                "models": [{**ENTRY, "calibration": [[0.5, 0.4], [0.4, 0.5]]}],
            },
            "points of probabilities, rising in both",
        ),
    ],
)
def test_a_bad_catalogue_ends_in_a_sentence(tmp_path: Path, content: object, says: str) -> None:
    path = tmp_path / "catalog.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content), "utf-8")
    with pytest.raises(ConfigError) as caught:
        Catalog.load(tmp_path)
    assert str(caught.value).startswith(str(path))
    assert says in str(caught.value)


def test_a_missing_catalogue_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"catalog\.yaml cannot be read: No such file"):
        Catalog.load(tmp_path)


class FakeDistribution:
    """Stands for the installed ruasr-tel; `direct_url` is what its PEP 610 record says."""

    def __init__(self, direct_url: object) -> None:
        self._direct_url = direct_url

    def read_text(self, name: str) -> str | None:
        assert name == "direct_url.json"
        return None if self._direct_url is None else json.dumps(self._direct_url)


def install(monkeypatch: pytest.MonkeyPatch, prefix: Path, direct_url: object) -> None:
    found = FakeDistribution(direct_url)
    monkeypatch.setattr("ruasr_tel.models.catalog.metadata.distribution", lambda name: found)
    monkeypatch.setattr("ruasr_tel.models.catalog.sysconfig.get_path", lambda name: str(prefix))


def with_catalogue(folder: Path) -> Path:
    folder.mkdir(parents=True)
    shutil.copy(MODELS_DIR / "catalog.yaml", folder)
    return folder


def test_the_models_folder_here_comes_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    install(monkeypatch, tmp_path / "prefix", None)
    with_catalogue(tmp_path / "prefix/share/ruasr_tel/models")
    with_catalogue(tmp_path / "models")
    assert default_models_dir() == Path("models")


def test_the_models_folder_of_a_wheel(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    install(monkeypatch, tmp_path / "prefix", {"url": "file:///x.whl", "archive_info": {}})
    place = with_catalogue(tmp_path / "prefix/share/ruasr_tel/models")
    assert default_models_dir() == place


def test_the_models_folder_of_an_editable_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    source = tmp_path / "source tree"
    url = source.as_uri()
    assert "%20" in url
    install(monkeypatch, tmp_path / "prefix", {"url": url, "dir_info": {"editable": True}})
    place = with_catalogue(source / "models")
    assert default_models_dir() == place


def test_no_models_folder_names_the_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path / "prefix"))

    def absent(name: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr("ruasr_tel.models.catalog.metadata.distribution", absent)
    with pytest.raises(ConfigError) as caught:
        default_models_dir()
    assert str(caught.value) == (
        f"no catalog.yaml in {tmp_path}/models, {tmp_path}/prefix/share/ruasr_tel/models; "
        "set the models folder in the configuration"
    )
