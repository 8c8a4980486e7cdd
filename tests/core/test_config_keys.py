from typing import Literal

import pytest
from pydantic import Field, ValidationError, model_validator

from ruasr_tel.config_keys import (
    Entry,
    complaints,
    fields,
    find,
    nearest,
    nest,
    refusals,
    values,
)
from ruasr_tel.section import Section


class Door(Section):
    port: int = Field(2700, ge=0, le=65535)
    """Port."""
    host: str = "127.0.0.1"
    """Host."""


class Doors(Section):
    vosk_ws: Door = Door()
    """A door."""


class Listening(Section):
    endpoint_ms: int = Field(500, gt=0, lt=10_000)
    """Silence."""
    share: float = Field(0.5, ge=0, le=1)
    """Share."""

    @model_validator(mode="after")
    def _sane(self) -> "Listening":
        if self.endpoint_ms == 13:
            raise ValueError("endpoint_ms must not be 13")
        return self


class Tree(Section):
    doors: Doors = Doors()
    """Doors."""
    profiles: dict[str, Listening] = Field(default_factory=lambda: {"default": Listening()})
    """Table."""
    kinds: list[int] = Field(default_factory=list)
    """List."""
    level: Literal["debug", "info"] = "info"
    """Choice."""
    loud: bool = False
    """Flag."""


def entry(dotted_key: str, value: object) -> Entry:
    return Entry(tuple(dotted_key.split(".")), value, "file x.yaml, line 1")


def refused(*entries: Entry) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Tree.model_validate(nest(entries))
    return complaints(caught.value, {each.key: each for each in entries})


def test_a_key_is_found_through_sections_and_tables() -> None:
    assert find(Tree, ()) is Tree
    assert find(Tree, ("doors", "vosk_ws", "port")) is int
    assert find(Tree, ("profiles", "anything")) is Listening
    assert find(Tree, ("profiles", "anything", "endpoint_ms")) is int
    assert find(Tree, ("kinds",)) == list[int]


@pytest.mark.parametrize("key", ["nothing", "doors.vosk", "kinds.0", "profiles.x.y", "level.info"])
def test_what_is_no_key_is_not_found(key: str) -> None:
    assert find(Tree, tuple(key.split("."))) is None


def test_every_field_is_listed_once_tables_by_a_stand_in() -> None:
    assert [".".join(key) for key, _ in fields(Tree)] == [
        "doors.vosk_ws.port",
        "doors.vosk_ws.host",
        "profiles.<name>.endpoint_ms",
        "profiles.<name>.share",
        "kinds",
        "level",
        "loud",
    ]


def test_every_value_of_a_loaded_tree_is_listed() -> None:
    tree = Tree(profiles={"a": Listening(), "b": Listening(endpoint_ms=300)}, kinds=[1])
    assert dict(values(tree)) == {
        ("doors", "vosk_ws", "port"): 2700,
        ("doors", "vosk_ws", "host"): "127.0.0.1",
        ("profiles", "a", "endpoint_ms"): 500,
        ("profiles", "a", "share"): 0.5,
        ("profiles", "b", "endpoint_ms"): 300,
        ("profiles", "b", "share"): 0.5,
        ("kinds",): [1],
        ("level",): "info",
        ("loud",): False,
    }


@pytest.mark.parametrize(
    ("key", "close"),
    [
        ("door", "doors"),
        ("doors.vosk.port", "doors.vosk_ws"),
        ("profiles.yesno.endpoint", "profiles.yesno.endpoint_ms"),
        ("port", "doors.vosk_ws.port"),
        ("engine.host", "doors.vosk_ws.host"),
        ("level.info", "level"),
        ("qqqqqqqq", "profiles.<name>.share"),
    ],
)
def test_the_nearest_known_key_is_always_named(key: str, close: str) -> None:
    assert nearest(Tree, tuple(key.split("."))) == close


def test_entries_nest_and_the_last_for_a_key_counts() -> None:
    assert nest(
        [
            entry("doors.vosk_ws.port", 1),
            entry("doors.vosk_ws", {}),
            entry("profiles.new", {}),
            entry("doors.vosk_ws.port", 2),
        ]
    ) == {"doors": {"vosk_ws": {"port": 2}}, "profiles": {"new": {}}}


def test_refusals_name_key_origin_and_cure() -> None:
    said = refusals(
        Tree,
        [
            entry("doors.vosk.port", 1),
            entry("doors.vosk_ws", 5),
            entry("doors.vosk_ws.port", True),
            entry("loud", True),
            entry("profiles.new", {}),
        ],
    )
    assert said == [
        "unknown key doors.vosk.port (file x.yaml, line 1): did you mean doors.vosk_ws?",
        "doors.vosk_ws is 5 (file x.yaml, line 1): must be a group of keys",
        "doors.vosk_ws.port is True (file x.yaml, line 1): takes no true or false",
    ]


@pytest.mark.parametrize(
    ("key", "value", "cure"),
    [
        ("doors.vosk_ws.port", 70_000, "must be at most 65535"),
        ("doors.vosk_ws.port", -1, "must be at least 0"),
        ("doors.vosk_ws.port", "x", "must be a whole number"),
        ("doors.vosk_ws.port", [1], "must be a whole number"),
        ("doors.vosk_ws.port", 1.5, "must be a whole number"),
        ("doors.vosk_ws.host", 8, "must be text; put it in quotes"),
        ("profiles.default.endpoint_ms", 0, "must be more than 0"),
        ("profiles.default.endpoint_ms", 10_000, "must be less than 10000"),
        ("profiles.default.share", "x", "must be a number"),
        ("profiles.default.share", None, "must be a number"),
        ("level", "loud", "must be 'debug' or 'info'"),
        ("loud", "x", "must be true or false"),
        ("loud", [], "must be true or false"),
        ("kinds", 5, "must be a list, such as [one, two]"),
    ],
)
def test_a_bad_value_gets_one_sentence(key: str, value: object, cure: str) -> None:
    assert refused(entry(key, value)) == [f"{key} is {value!r} (file x.yaml, line 1): {cure}"]


class Lists(Section):
    words: tuple[str, ...] = ()
    """Tuple."""
    rates: frozenset[int] = frozenset()
    """Set."""


@pytest.mark.parametrize(("key", "value"), [("words", "да, нет"), ("rates", 8000)])
def test_a_list_is_called_a_list_whatever_keeps_it(key: str, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        Lists.model_validate({key: value})
    assert complaints(caught.value, {(key,): entry(key, value)}) == [
        f"{key} is {value!r} (file x.yaml, line 1): must be a list, such as [one, two]"
    ]


def test_items_of_a_list_are_told_once_and_with_the_lists_key() -> None:
    assert refused(entry("kinds", ["a", "b"])) == [
        "kinds is ['a', 'b'] (file x.yaml, line 1): must be a whole number"
    ]


def test_a_section_that_contradicts_itself_is_named_without_a_value() -> None:
    said = refused(entry("profiles.default", {}), entry("profiles.default.endpoint_ms", 13))
    assert said == ["profiles.default (file x.yaml, line 1): endpoint_ms must not be 13"]


def test_a_long_value_is_cut() -> None:
    said = refused(entry("level", "x" * 1000))
    assert said == [
        f"level is '{'x' * 59}... (file x.yaml, line 1): must be 'debug' or 'info'",
    ]
