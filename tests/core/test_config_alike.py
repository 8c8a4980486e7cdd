"""The environment and the file say the same."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr, TypeAdapter
from pydantic.fields import FieldInfo

from ruasr_tel.config import Config, config_tree, load_config
from ruasr_tel.config_keys import Key, fields, values
from ruasr_tel.errors import ConfigError
from ruasr_tel.profile import DEFAULT_PROFILES

LIKE_YAML = ["8000", "1e3", "true", "no", "~", "[a]", "{a: 1}", "a: b", "a # b", "'", "&a", "*"]
"""Texts that mean something else in YAML unless they are quoted."""
HOSTS = ["0.0.0.0", "::1", "localhost", "pbx.example"]


def _strategy(key: Key, field: FieldInfo) -> st.SearchStrategy[Any]:
    """Return values that a field takes."""
    if key[-1] == "host":
        return st.sampled_from(HOSTS)
    if key[-1] == "profile":
        return st.sampled_from([*DEFAULT_PROFILES, None])
    bare: Any = field.annotation
    annotated: Any = Annotated[bare, *field.metadata] if field.metadata else bare
    return _from_schema(TypeAdapter(annotated).json_schema())


def _from_schema(schema: Mapping[str, Any]) -> st.SearchStrategy[Any]:
    if "anyOf" in schema:
        return st.one_of([_from_schema(each) for each in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    kind = schema["type"]
    if kind == "object":
        return st.dictionaries(_text(), _from_schema(schema["additionalProperties"]), max_size=3)
    if kind == "array":
        items = _from_schema(schema["items"])
        unique = st.sets(items, max_size=3).map(sorted)
        return unique if schema.get("uniqueItems") else st.lists(items, max_size=3)
    if kind == "string":
        return _text()
    if kind == "integer":
        return st.integers(schema.get("minimum", 0), schema.get("maximum"))
    if kind == "number":
        low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
        high = schema.get("maximum", schema.get("exclusiveMaximum", 1e9))
        below, above = "exclusiveMaximum" in schema, "exclusiveMinimum" in schema
        return st.floats(low, high, exclude_min=above, exclude_max=below)
    return {"boolean": st.booleans(), "null": st.none()}[kind]


def _text() -> st.SearchStrategy[str]:
    letters = st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])
    plain = st.text(letters, min_size=1).filter(lambda text: text != "null")
    return plain | st.sampled_from(LIKE_YAML)


def _settable() -> st.SearchStrategy[dict[Key, Any]]:
    keys: dict[Key, st.SearchStrategy[Any]] = {}
    for key, field in fields(config_tree()):
        names = [*DEFAULT_PROFILES, "own_name"] if "<name>" in key else [""]
        for name in names:
            keys[tuple(name if part == "<name>" else part for part in key)] = _strategy(key, field)
    some = st.lists(st.sampled_from(sorted(keys)), unique=True, max_size=12)
    return some.flatmap(lambda chosen: st.fixed_dictionaries({key: keys[key] for key in chosen}))


def _as_text(value: object) -> str:
    if isinstance(value, dict | list):
        return yaml.safe_dump(value, default_flow_style=True, allow_unicode=True)
    return "null" if value is None else str(value)


def _told(value: object) -> object:
    """Return a value in texts, secrets told."""
    if isinstance(value, Mapping):
        return {key: _told(each) for key, each in value.items()}
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, list | tuple):
        return [_told(each) for each in value]
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _outcome(text: str, environ: Mapping[str, str], at: Path) -> Config | str:
    """Return the configuration, or the kind of refusal: some values contradict each other."""
    path = at / "ruasr.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        return load_config(path, environ).config
    except ConfigError as exc:
        return str(exc).rpartition("): ")[2]


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(chosen=_settable())
def test_the_environment_says_what_the_file_says(tmp_path: Path, chosen: dict[Key, Any]) -> None:
    tree: dict[str, Any] = {}
    for key, value in chosen.items():
        node = tree
        for part in key[:-1]:
            node = node.setdefault(part, {})
        node[key[-1]] = value
    text = yaml.safe_dump(tree, allow_unicode=True) if tree else ""
    environ = {"RUASR__" + "__".join(key).upper(): _as_text(value) for key, value in chosen.items()}
    by_file, by_environ = _outcome(text, {}, tmp_path), _outcome("", environ, tmp_path)
    assert by_file == by_environ
    if isinstance(by_environ, Config):
        for key, value in values(by_environ):
            if key in chosen and isinstance(value, float):
                assert math.isclose(value, chosen[key])
            elif key in chosen:
                assert _told(value) == _told(chosen[key])
