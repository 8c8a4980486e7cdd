import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruasr_tel.language.ngrams import UNKNOWN
from ruasr_tel.language.text import SPACE, Kind, kind_of, sentences, units


def test_a_line_may_hold_several_sentences() -> None:
    lines = ["Добрый день. Чем помочь?!  Слушаю…", "", "д. 5", "3.5 рубля"]
    assert [one.strip() for one in sentences(lines)] == [
        "Добрый день",
        "Чем помочь",
        "Слушаю",
        "д",
        "5",
        "3.5 рубля",
    ]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (Kind.WORD, ["дом", UNKNOWN, UNKNOWN]),
        (Kind.CHAR, [*"дом", SPACE, UNKNOWN, SPACE, "а", UNKNOWN]),
    ],
)
def test_what_is_no_letter_is_unknown(kind: Kind, expected: list[str]) -> None:
    assert units("дом 5 а7", kind) == expected


@given(st.lists(st.text("абв", min_size=1), min_size=1))
def test_letters_spell_the_words(words: list[str]) -> None:
    assert "".join(units(" ".join(words), Kind.CHAR)).split(SPACE) == words
    assert units(" ".join(words), Kind.WORD) == words


def test_the_kind_is_seen_from_the_vocabulary() -> None:
    assert kind_of(["а", "б", SPACE]) is Kind.CHAR
    assert kind_of(["а", "и", "о"]) is Kind.WORD
    assert kind_of(["а", "дом", SPACE]) is Kind.WORD
