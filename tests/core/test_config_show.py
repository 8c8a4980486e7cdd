import os
from pathlib import Path
from typing import Literal

import pytest
import yaml
from pydantic import Field

from ruasr_tel.config import Config, Loaded, config_tree, load_config
from ruasr_tel.config_env import FOREIGN_NAMES
from ruasr_tel.config_keys import fields, values
from ruasr_tel.config_show import reference, rows, to_yaml
from ruasr_tel.profile import DEFAULT_PROFILES
from ruasr_tel.section import Section

PAGE = Path(__file__).parents[2] / "docs" / "configuration.md"


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    path = tmp_path / "ruasr.yaml"
    path.write_text(
        "sinks:\n  jsonl:\n    path: 'var/событие #1.jsonl'\n"
        "profiles:\n  'no':\n    boundary: {endpoint_ms: 300}\n",
        encoding="utf-8",
    )
    environ = {"RUASR_CONFIG": str(path), "NUM_THREADS": "2", "RUASR__ENGINE__MODEL": "8000"}
    return load_config(environ=environ, overrides={"log.level": "DEBUG"})


def test_rows_are_key_value_and_origin_of_everything(loaded: Loaded, tmp_path: Path) -> None:
    shown = {key: (value, origin) for key, value, origin in rows(loaded)}
    assert list(shown) == [".".join(key) for key, _ in values(loaded.config)]
    assert shown["log.level"] == ("debug", "command line")
    assert shown["engine.model"] == ("'8000'", "environment RUASR__ENGINE__MODEL")
    assert shown["engine.threads"] == ("2", "environment NUM_THREADS")
    assert shown["engine.family"] == ("null", "default")
    file = f"file {tmp_path}/ruasr.yaml"
    assert shown["sinks.jsonl.path"] == ("'var/событие #1.jsonl'", f"{file}, line 3")
    assert shown["profiles.no.boundary.endpoint_ms"] == ("300", f"{file}, line 6")


def test_the_yaml_sets_the_same_again(loaded: Loaded, tmp_path: Path) -> None:
    again = tmp_path / "again.yaml"
    again.write_text(to_yaml(loaded), encoding="utf-8")
    assert load_config(again, environ={}).config == loaded.config


def test_the_yaml_has_each_heading_once_and_origins_as_comments(loaded: Loaded) -> None:
    lines = to_yaml(loaded).splitlines()
    assert lines[:2] == ["log:", "  level: debug  # command line"]
    assert "  threads: 2  # environment NUM_THREADS" in lines
    assert "  'no':" in lines
    assert [line for line in lines if line.endswith(":") and not line.startswith(" ")] == [
        f"{section}:" for section in Config.model_fields
    ]
    assert set(yaml.safe_load(to_yaml(loaded))) == set(Config.model_fields)


def test_a_login_in_an_address_is_not_shown() -> None:
    said = {
        "models.endpoint": "https://user:SECRET@mirror.example/hub?a=b@c",
        "models.archive_mirror": "https://SECRET@mirror.example",
        "doors.rest.vosk_url": "wss://asr.example/a@b",
    }
    shown = {key: value for key, value, _ in rows(load_config(environ={}, overrides=said))}
    assert [shown[key] for key in said] == [
        "https://***@mirror.example/hub?a=b@c",
        "https://***@mirror.example",
        "wss://asr.example/a@b",
    ]


class Kinds(Section):
    """One of each kind."""

    whole: int = Field(1, ge=1)
    """Whole."""
    between: int | None = Field(None, ge=1, le=5)
    """Between | and."""
    share: float = Field(0.5, gt=0, lt=1.5)
    """Over
    two lines."""
    most: float = Field(1, le=2)
    """Most."""
    rates: list[int] = Field(default_factory=lambda: [8000])
    """Rates."""
    choice: Literal["a", "b"] = "a"
    """Choice."""
    words: dict[str, str] = Field(default_factory=dict)
    """Words."""
    folder: Path = Path("var")
    """Folder."""


class Tree(Config):
    """A tree with a section of each kind of field."""

    kinds: Kinds = Kinds()
    """One of each kind."""


def test_the_reference_says_what_each_field_takes() -> None:
    section = reference(Tree).partition("## kinds\n")[2].partition("\n## ")[0]
    assert section == (
        "\nOne of each kind.\n\n| key | values | default | |\n| --- | --- | --- | --- |\n"
        "| `kinds.whole` | whole number from 1 | `1` | Whole. |\n"
        "| `kinds.between` | whole number 1 to 5 or `null` | `null` | Between \\| and. |\n"
        "| `kinds.share` | number above 0 below 1.5 | `0.5` | Over two lines. |\n"
        "| `kinds.most` | number up to 2 | `1.0` | Most. |\n"
        "| `kinds.rates` | list of whole number | `[8000]` | Rates. |\n"
        "| `kinds.choice` | `a`, `b` | `a` | Choice. |\n"
        "| `kinds.words` | mapping | `{}` | Words. |\n"
        "| `kinds.folder` | path | `var` | Folder. |\n"
    )


def test_the_reference_names_every_key_profile_and_variable() -> None:
    page = reference(config_tree())
    names = [".".join(key) for key, _ in fields(config_tree())]
    names += [*DEFAULT_PROFILES, *(foreign.name for foreign in FOREIGN_NAMES)]
    assert [name for name in names if f"| `{name}` |" not in page] == []


def test_the_page_in_docs_is_current() -> None:
    """Write the page anew with RUASR_TEST_WRITE_DOCS=1."""
    current = reference(config_tree())
    if os.environ.get("RUASR_TEST_WRITE_DOCS"):
        PAGE.write_text(current, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == current, "run again with RUASR_TEST_WRITE_DOCS=1"
