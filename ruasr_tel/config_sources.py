"""Reads our own sources of configuration: the YAML file, `RUASR__*` variables, overrides."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias, get_args

import yaml
from pydantic import BaseModel, TypeAdapter, ValidationError

from ruasr_tel.config_keys import (
    Entry,
    Key,
    dotted,
    fields,
    find,
    section_of,
    table_of,
)
from ruasr_tel.errors import ConfigError

PREFIX = "RUASR__"
"""`RUASR__SECTION__KEY`; the names after it in any case."""

Origin: TypeAlias = Callable[[yaml.Node], str]


def file_entries(path: Path, tree: type[BaseModel]) -> list[Entry]:
    """Return what a YAML file says, each entry with its line.

    Raises:
        ConfigError: it cannot be read, is not YAML, or writes a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as exc:
        raise ConfigError(f"cannot read the configuration {path}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"the configuration {path} is not UTF-8 text") from exc
    try:
        return _Reader(text, lambda node: f"file {path}, line {_line(node)}").entries((), tree)
    except yaml.YAMLError as exc:
        raise ConfigError(f"the configuration {path} is not YAML: {_yaml_fault(exc)}") from exc


def environment_entries(environ: Mapping[str, str], tree: type[BaseModel]) -> list[Entry]:
    """Return what the `RUASR__*` variables say; an empty one counts as not set.

    Raises:
        ConfigError: a variable for a whole section is not YAML.
    """
    entries: list[Entry] = []
    for name, text in sorted(environ.items()):
        if name.upper().startswith(PREFIX) and text:
            key = tuple(name[len(PREFIX) :].lower().split("__"))
            entries.extend(_text_entries(key, text, tree, f"environment {name}"))
    return entries


def override_entries(overrides: Mapping[str, object], tree: type[BaseModel]) -> list[Entry]:
    """Return what the command line says.

    Args:
        overrides: by dotted key; a text is read as one from the environment would be.
        tree: the class of the configuration.

    Raises:
        ConfigError: a text for a whole section is not YAML.
    """
    entries: list[Entry] = []
    for name, value in overrides.items():
        key = tuple(name.split("."))
        if isinstance(value, str):
            entries.extend(_text_entries(key, value, tree, "command line"))
        else:
            entries.append(Entry(key, value, "command line"))
    return entries


def near_misses(environ: Mapping[str, str], tree: type[BaseModel]) -> list[str]:
    """Return a warning for each variable that is ours but for its underscores."""
    known = {dotted(key).replace("_", "").replace(".", ""): key for key, _ in fields(tree)}
    warnings = []
    for name in sorted(environ):
        squeezed = name.lower().removeprefix("ruasr_").replace("_", "")
        if name.startswith("RUASR_") and not name.startswith(PREFIX) and squeezed in known:
            right = PREFIX + "__".join(known[squeezed]).upper()
            warnings.append(f"environment {name} has no effect: did you mean {right}?")
    return warnings


def from_text(annotation: Any, text: str) -> object:
    """Return a text from the environment as the value a field takes.

    The text itself where that fits the field, else what it says in YAML (lists, numbers in a
    closed set); `null` is None where the field allows None. What fits neither way stays text, for
    the error message.
    """
    if text == "null" and type(None) in get_args(annotation):
        return None
    try:
        TypeAdapter(annotation).validate_python(text)
    except ValidationError:
        try:
            return yaml.safe_load(text)
        except yaml.YAMLError:
            return text
    return text


def _text_entries(key: Key, text: str, tree: type[BaseModel], origin: str) -> list[Entry]:
    annotation = find(tree, key)
    if not (section_of(annotation) or table_of(annotation)):
        value = text if annotation is None else from_text(annotation, text)
        return [Entry(key, value, origin)]
    try:
        return _Reader(text, lambda _: origin).entries(key, annotation)
    except yaml.YAMLError as exc:
        raise ConfigError(f"{dotted(key)} ({origin}) is not YAML: {_yaml_fault(exc)}") from exc


class _Reader:
    """Reads one YAML text, guided by the tree: what is no section there is a value.

    Args:
        text: the YAML.
        origin: names the place of a node.
    """

    def __init__(self, text: str, origin: Origin) -> None:
        self._loader = yaml.SafeLoader(text)
        self._origin = origin

    def entries(self, key: Key, annotation: Any) -> list[Entry]:
        """Return what the text says below `key`, whose annotation is given.

        Raises:
            ConfigError: a key is written twice, or a section is none.
            yaml.YAMLError: it is not YAML.
        """
        root = self._loader.get_single_node()
        if root is None:
            return []
        found = self._node(root, key, annotation, self._origin(root))
        return [entry for entry in found if entry.key]

    def _node(self, node: yaml.Node, key: Key, annotation: Any, place: str) -> Iterator[Entry]:
        if not (section_of(annotation) or table_of(annotation)):
            yield Entry(key, self._loader.construct_object(node, deep=True), place)
            return
        yield Entry(key, {}, place)  # an item of a table exists even if it says nothing
        if isinstance(node, yaml.MappingNode):
            self._refuse_doubles(node, key)
            self._loader.flatten_mapping(node)
            for name_node, value_node in node.value:
                name = str(name_node.value)
                below = find(annotation, (name,))
                yield from self._node(value_node, (*key, name), below, self._origin(name_node))
        elif node.tag != "tag:yaml.org,2002:null":  # null: all keys below it are commented out
            name = dotted(key) or "the configuration"
            raise ConfigError(f"{name} ({place}): must be a group of keys")

    def _refuse_doubles(self, node: yaml.MappingNode, key: Key) -> None:
        """Refuse a key that is written twice; PyYAML would keep the last and lose the first."""
        seen: dict[str, str] = {}
        for name_node, _ in node.value:
            name, place = str(name_node.value), self._origin(name_node)
            if name in seen and name_node.tag != "tag:yaml.org,2002:merge":
                places = f"{seen[name]}; {place}"
                raise ConfigError(f"{dotted((*key, name))} is written twice ({places}): keep one")
            seen[name] = place


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _yaml_fault(exc: yaml.YAMLError) -> str:
    """Return PyYAML's several lines as one."""
    mark = getattr(exc, "problem_mark", None)
    problem = getattr(exc, "problem", None) or str(exc).splitlines()[0]
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark else str(problem)
