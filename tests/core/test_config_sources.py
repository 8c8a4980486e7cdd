from pathlib import Path
from typing import Literal

import pytest
from pydantic import Field

from ruasr_tel.config_keys import Entry, nest
from ruasr_tel.config_sources import (
    environment_entries,
    file_entries,
    from_text,
    near_misses,
    override_entries,
)
from ruasr_tel.errors import ConfigError
from ruasr_tel.section import Section


class Engine(Section):
    model: str = "mini"
    """Model."""
    threads: int | None = None
    """Threads."""
    rates: list[int] = Field(default_factory=list)
    """Rates."""
    width: Literal[8, 16] = 8
    """Width."""
    folder: Path | None = None
    """Folder."""


class Listening(Section):
    endpoint_ms: int = 500
    """Silence."""


class Tree(Section):
    engine: Engine = Engine()
    """Engine."""
    profiles: dict[str, Listening] = Field(default_factory=dict)
    """Table."""


def written(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "ruasr.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def told(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        file_entries(path, Tree)
    return str(caught.value)


def test_a_file_gives_values_with_their_lines(tmp_path: Path) -> None:
    path = written(tmp_path, "# a comment\nengine:\n  model: Vosk5\n  rates: [8000,\n    16000]\n")
    assert file_entries(path, Tree) == [
        Entry(("engine",), {}, f"file {path}, line 2"),
        Entry(("engine", "model"), "Vosk5", f"file {path}, line 3"),
        Entry(("engine", "rates"), [8000, 16000], f"file {path}, line 4"),
    ]


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "\ufeff"])
def test_an_empty_file_sets_nothing(tmp_path: Path, text: str) -> None:
    assert file_entries(written(tmp_path, text), Tree) == []


def test_a_heading_without_keys_sets_nothing(tmp_path: Path) -> None:
    path = written(tmp_path, "engine:\n#  model: Vosk5\nprofiles:\n  survey:\n")
    assert nest(file_entries(path, Tree)) == {"engine": {}, "profiles": {"survey": {}}}


def test_names_are_read_as_written_even_where_yaml_sees_a_flag(tmp_path: Path) -> None:
    path = written(tmp_path, "profiles:\n  no:\n    endpoint_ms: 300\n")
    assert nest(file_entries(path, Tree)) == {"profiles": {"no": {"endpoint_ms": 300}}}


def test_anchors_and_merges_are_read(tmp_path: Path) -> None:
    text = (
        "profiles:\n  a: &a\n    endpoint_ms: 300\n  b:\n    <<: *a\n"
        "  c:\n    <<: *a\n    endpoint_ms: 400\n"
    )
    assert nest(file_entries(written(tmp_path, text), Tree))["profiles"] == {
        "a": {"endpoint_ms": 300},
        "b": {"endpoint_ms": 300},
        "c": {"endpoint_ms": 400},
    }


def test_unknown_keys_are_kept_with_their_lines_for_the_refusal(tmp_path: Path) -> None:
    path = written(tmp_path, "engines:\n  model: {a: 1}\n")
    assert file_entries(path, Tree) == [
        Entry(("engines",), {"model": {"a": 1}}, f"file {path}, line 1")
    ]


def test_a_key_written_twice_is_refused_with_both_lines(tmp_path: Path) -> None:
    path = written(tmp_path, "engine:\n  model: a\n  threads: 2\n  model: b\n")
    places = f"file {path}, line 2; file {path}, line 4"
    assert told(path) == f"engine.model is written twice ({places}): keep one"


@pytest.mark.parametrize("text", ["- engine\n", "engine\n", "5\n"])
def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    path = written(tmp_path, text)
    assert told(path) == f"the configuration (file {path}, line 1): must be a group of keys"


def test_a_section_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "\nengine: fast\n")
    assert told(path) == f"engine (file {path}, line 2): must be a group of keys"


def test_what_is_not_yaml_is_refused_on_one_line(tmp_path: Path) -> None:
    path = written(tmp_path, "engine:\n  model: [a\n")
    fault = "line 3, column 1: expected ',' or ']', but got '<stream end>'"
    assert told(path) == f"the configuration {path} is not YAML: {fault}"


@pytest.mark.parametrize(
    "text",
    [
        "engine: \x00",
        "a: 1\n--- \nb: 2",
        "engine:\n  model: !!python/object:os.system x",
        "engine:\n  model: &a [*a]",
        "engine:\n\tmodel: a",
        "engine: *nowhere",
    ],
)
def test_yaml_that_pyyaml_refuses_is_one_sentence(tmp_path: Path, text: str) -> None:
    said = told(written(tmp_path, text))
    assert "is not YAML" in said
    assert "\n" not in said


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "engine:\n  model: модель\n".encode("cp1251"))
    assert told(path) == f"the configuration {path} is not UTF-8 text"


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    missing = tmp_path / "missing.yaml"
    assert told(missing) == f"cannot read the configuration {missing}: No such file or directory"
    assert told(tmp_path) == f"cannot read the configuration {tmp_path}: Is a directory"


def test_variables_give_keys_in_any_case_and_empty_ones_none() -> None:
    environ = {
        "RUASR__ENGINE__MODEL": "8000",
        "ruasr__engine__THREADS": "null",
        "RUASR__ENGINE__WIDTH": "16",
        "RUASR__ENGINE__RATES": "[8000]",
        "RUASR__ENGINE__FOLDER": "",
        "RUASR__PROFILES__YESNO__ENDPOINT_MS": "300",
        "RUASR__ENGINE_MODEL": "x",
        "PATH": "/bin",
    }
    entries = {
        entry.key: (entry.value, entry.origin) for entry in environment_entries(environ, Tree)
    }
    assert entries == {
        ("engine", "model"): ("8000", "environment RUASR__ENGINE__MODEL"),
        ("engine", "threads"): (None, "environment ruasr__engine__THREADS"),
        ("engine", "width"): (16, "environment RUASR__ENGINE__WIDTH"),
        ("engine", "rates"): ([8000], "environment RUASR__ENGINE__RATES"),
        ("profiles", "yesno", "endpoint_ms"): (
            "300",
            "environment RUASR__PROFILES__YESNO__ENDPOINT_MS",
        ),
        ("engine_model",): ("x", "environment RUASR__ENGINE_MODEL"),
    }


def test_a_variable_may_set_a_whole_section() -> None:
    environ = {"RUASR__ENGINE": "{model: Vosk5, threads: 2}", "RUASR__ENGINE__THREADS": "3"}
    entries = environment_entries(environ, Tree)
    assert nest(entries) == {"engine": {"model": "Vosk5", "threads": "3"}}
    assert {entry.origin for entry in entries if entry.key[-1] == "model"} == {
        "environment RUASR__ENGINE"
    }


def test_a_variable_for_a_section_that_is_not_yaml_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        environment_entries({"RUASR__ENGINE": "{a"}, Tree)
    assert str(caught.value) == (
        "engine (environment RUASR__ENGINE) is not YAML: line 1, column 3:"
        " expected ',' or '}', but got '<stream end>'"
    )


@pytest.mark.parametrize(
    ("annotation", "text", "value"),
    [
        (str, "5", "5"),
        (str, "null", "null"),
        (str | None, "null", None),
        (int, "5", "5"),
        (list[str], "[a, b]", ["a", "b"]),
        (list[str], "[a", "[a"),
        (int, "many", "many"),
        (Literal[8, 16], "8", 8),
    ],
)
def test_a_text_is_taken_as_it_stands_where_it_fits(
    annotation: object, text: str, value: object
) -> None:
    assert from_text(annotation, text) == value


def test_overrides_take_values_and_texts() -> None:
    overrides = {"engine.threads": 4, "engine.rates": "[1]", "profiles": "{a: {endpoint_ms: 1}}"}
    entries = override_entries(overrides, Tree)
    assert {entry.origin for entry in entries} == {"command line"}
    assert nest(entries) == {
        "engine": {"threads": 4, "rates": [1]},
        "profiles": {"a": {"endpoint_ms": 1}},
    }


def test_a_variable_with_too_few_underscores_is_noticed() -> None:
    environ = {
        "RUASR_ENGINE_MODEL": "x",
        "RUASR_CONFIG": "x",
        "RUASR_TEL_PORT": "tcp://10.0.0.1:2700",
        "RUASR__ENGINE__MODEL": "x",
        "ENGINE_MODEL": "x",
    }
    assert near_misses(environ, Tree) == [
        "environment RUASR_ENGINE_MODEL has no effect: did you mean RUASR__ENGINE__MODEL?"
    ]
