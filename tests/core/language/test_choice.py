import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruasr_tel.errors import ConfigError
from ruasr_tel.language.choice import NONE, Choice, by_name, parse, write

PATHS = st.text("абв./-_ 1", min_size=1).filter(
    lambda path: path == path.strip() and path.lower() != NONE and " + " not in path
)
NUMBERS = st.floats(0, 10).map(lambda number: float(f"{number:g}"))
CHOICES = st.one_of(
    st.builds(Choice, PATHS),
    st.builds(Choice, PATHS, NUMBERS),
    st.builds(Choice, PATHS, NUMBERS, NUMBERS),
)


@given(st.lists(CHOICES))
def test_what_is_written_is_read(choices: list[Choice]) -> None:
    assert parse(write(choices)) == tuple(choices)


@pytest.mark.parametrize("nothing", ["", " ", "none", "None"])
def test_nothing_is_none(nothing: str) -> None:
    assert parse(nothing) == ()
    assert write(()) == NONE


def test_several_with_weights() -> None:
    assert parse("/a/b.arpa.gz:0.4:1 +  c.npz:.25 + d") == (
        Choice("/a/b.arpa.gz", 0.4, 1.0),
        Choice("c.npz", 0.25),
        Choice("d"),
    )


def test_a_name_tells_weights_and_folders_apart() -> None:
    wanted = ("None", "/a/calls:0.3:0.5", "/a/calls:.5:1", "b/x + /a/y", "c/x + /a/y", "none")
    assert by_name(wanted) == {
        "none": "none",
        "calls:0.3:0.5": "/a/calls:0.3:0.5",
        "calls:0.5:1": "/a/calls:0.5:1",
        "b/x + /a/y": "b/x + /a/y",
        "c/x + /a/y": "c/x + /a/y",
    }


@given(st.lists(st.lists(CHOICES).map(write)))
def test_no_two_have_one_name(written: list[str]) -> None:
    assert list(by_name(written).values()) == list(dict.fromkeys(written))


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("a:x", "is not FILE, FILE:WEIGHT or"),
        ("a:1:2:3", "is not FILE, FILE:WEIGHT or"),
        (":1", "needs a file, a weight from 0 to 10"),
        ("a:-1", "needs a file, a weight from 0 to 10"),
        ("a:1:nan", "a bonus of at most 10"),
        ("a + ", "needs a file"),
    ],
)
def test_what_cannot_be_read_is_said(written: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        parse(written)
