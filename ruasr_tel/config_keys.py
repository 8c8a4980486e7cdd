"""Dotted keys in a tree of sections: which exist, which is nearest, what a bad value is told."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, TypeAlias, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

Key: TypeAlias = tuple[str, ...]
"""A dotted key in parts: `("engine", "threads")`."""

ANY_NAME = "<name>"
"""Stands for the name of a table's item in lists of keys: `profiles.<name>.endpoint_ms`."""
VALUE_CHARACTERS = 60
"""A value is cut to this length where an error repeats it, to keep the sentence on one line."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One value as somebody wrote it.

    Attributes:
        key: what it sets; a section or an item of a table may stand alone with `{}`.
        value: unchecked.
        origin: where it was written: `file ruasr.yaml, line 3`, `environment NUM_THREADS`.
    """

    key: Key
    value: object
    origin: str


def dotted(key: Iterable[str]) -> str:
    """Return the key as people write it."""
    return ".".join(key)


def section_of(annotation: Any) -> type[BaseModel] | None:
    """Return the class if a field so annotated is a section."""
    is_section = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return annotation if is_section else None


def table_of(annotation: Any) -> type[BaseModel] | None:
    """Return the items' class if a field so annotated is a table of named sections."""
    args = get_args(annotation)
    return section_of(args[1]) if get_origin(annotation) is dict else None


def find(annotation: Any, key: Key) -> Any | None:
    """Return the annotation of what `key` names below `annotation`, or None if there is no such."""
    if not key:
        return annotation
    if section := section_of(annotation):
        field = section.model_fields.get(key[0])
        return find(field.annotation, key[1:]) if field else None
    if item := table_of(annotation):
        return find(item, key[1:])
    return None


def fields(section: type[BaseModel], prefix: Key = ()) -> Iterator[tuple[Key, FieldInfo]]:
    """Yield every field that holds a value, with its key; items of tables are `<name>`."""
    for name, field in section.model_fields.items():
        key = (*prefix, name)
        if inner := section_of(field.annotation):
            yield from fields(inner, key)
        elif item := table_of(field.annotation):
            yield from fields(item, (*key, ANY_NAME))
        else:
            yield key, field


def values(section: BaseModel, prefix: Key = ()) -> Iterator[tuple[Key, object]]:
    """Yield every value of a loaded tree, with its key."""
    for name in type(section).model_fields:
        key, value = (*prefix, name), getattr(section, name)
        if isinstance(value, BaseModel):
            yield from values(value, key)
        elif table_of(type(section).model_fields[name].annotation):
            for item_name, item in value.items():
                yield from values(item, (*key, item_name))
        else:
            yield key, value


def nearest(tree: type[BaseModel], key: Key) -> str:
    """Return the known key most like `key`: a sibling, else one of the same last name, else any."""
    known = next(end for end in range(len(key)) if find(tree, key[: end + 1]) is None)
    siblings = getattr(section_of(find(tree, key[:known])), "model_fields", {})
    if close := get_close_matches(key[known], siblings, 1):
        return dotted((*key[:known], close[0]))
    everything = [dotted(each) for each, _ in fields(tree)]
    same_name = [each for each in everything if each.endswith("." + key[-1])]
    return get_close_matches(dotted(key), same_name or everything, 1, cutoff=0.0)[0]


def nest(entries: Iterable[Entry]) -> dict[str, Any]:
    """Return the entries as one nested dictionary; of several for one key the last counts."""
    latest = {entry.key: entry.value for entry in entries}
    tree: dict[str, Any] = {}
    for key in sorted(latest, key=len):
        node = tree
        for part in key[:-1]:
            node = node.setdefault(part, {})
        node[key[-1]] = {} if latest[key] == {} else latest[key]  # a new one: it is filled below
    return tree


def refusals(tree: type[BaseModel], entries: Iterable[Entry]) -> list[str]:
    """Return one sentence for each entry that the tree has no place for."""
    said = []
    for entry in entries:
        annotation = find(tree, entry.key)
        if annotation is None:
            close = nearest(tree, entry.key)
            said.append(f"unknown key {dotted(entry.key)} ({entry.origin}): did you mean {close}?")
        elif (section_of(annotation) or table_of(annotation)) and entry.value != {}:
            said.append(_sentence(entry, "must be a group of keys"))
        elif isinstance(entry.value, bool) and not _takes_bool(annotation):
            said.append(_sentence(entry, "takes no true or false"))
    return said


def complaints(error: ValidationError, entries: Mapping[Key, Entry]) -> list[str]:
    """Return one sentence for each key that a validation refused.

    Args:
        error: what pydantic found.
        entries: what was written, by key; a loc below a key (an item of a list) belongs to it.
    """
    said: dict[Key, str] = {}
    for detail in error.errors(include_url=False):
        loc = tuple(str(part) for part in detail["loc"])
        key = next((loc[:end] for end in range(len(loc), 0, -1) if loc[:end] in entries), loc)
        if key in entries and entries[key].value != {}:
            said.setdefault(key, _sentence(entries[key], _cure(detail)))
        else:  # a section whose values contradict each other
            below = [
                each for each in entries.values() if each.key[: len(key)] == key and each.value
            ]
            origins = "; ".join(dict.fromkeys(each.origin for each in below))
            said.setdefault(key, f"{dotted(key)} ({origins}): {_cure(detail)}")
    return list(said.values())


def _takes_bool(annotation: Any) -> bool:
    """Whether the field means true and false, and does not read them as 1 and 0."""
    try:
        TypeAdapter(annotation).validate_python(True, strict=True)
    except ValidationError:
        return False
    return True


def _sentence(entry: Entry, cure: str) -> str:
    value = repr(entry.value)
    if len(value) > VALUE_CHARACTERS:
        value = value[:VALUE_CHARACTERS] + "..."
    return f"{dotted(entry.key)} is {value} ({entry.origin}): {cure}"


_CURES = {
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "value_error": "{error}",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "string_type": "must be text; put it in quotes",
    **dict.fromkeys(
        ("list_type", "tuple_type", "set_type", "frozen_set_type"),
        "must be a list, such as [one, two]",
    ),
}
"""What pydantic's error types mean to somebody who writes a configuration."""


def _cure(detail: Any) -> str:
    """Return what a value must be, from one of pydantic's error details."""
    if template := _CURES.get(detail["type"]):
        return template.format(**detail.get("ctx", {}))
    message: str = detail["msg"]
    return message.replace("Input should", "must")
