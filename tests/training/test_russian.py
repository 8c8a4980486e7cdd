import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.training.russian import (
    LETTERS,
    Case,
    cardinal,
    clean,
    counted,
    decline,
    ordinal,
    plural,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ёлка, 21-я!", "елка двадцать один я"),
        ("код 1234567", "код"),
        ("", ""),
        ("санкт-петербург", "санкт петербург"),
    ],
)
def test_a_clean_text_has_letters_and_single_spaces(text: str, expected: str) -> None:
    assert clean(text) == expected


@given(st.text())
@settings(deadline=None)
def test_cleaning_leaves_only_what_the_models_write(text: str) -> None:
    once = clean(text)
    assert set(once) <= {*LETTERS, " "}
    assert "  " not in once
    assert once == once.strip() == clean(once)


@pytest.mark.parametrize(
    ("number", "ending", "expected"),
    [
        (3, "ое", "третье"),
        (3, "ого", "третьего"),
        (21, "ый", "двадцать первый"),
        (8, "ое", "восьмое"),
        (1999, "ого", "тысяча девятьсот девяносто девятого"),
    ],
)
def test_ordinals_take_their_ending(number: int, ending: str, expected: str) -> None:
    assert ordinal(number, ending) == expected


@pytest.mark.parametrize(
    ("number", "forms", "expected"),
    [
        (1, ("минута", "минуты", "минут"), "одна минута"),
        (21, ("минуту", "минуты", "минут"), "двадцать одну минуту"),
        (2, ("копейка", "копейки", "копеек"), "две копейки"),
        (12, ("час", "часа", "часов"), "двенадцать часов"),
        (31, ("новое сообщение", "новых сообщения", "новых сообщений"),
         "тридцать одно новое сообщение"),
        (102, ("рубль", "рубля", "рублей"), "сто два рубля"),
        (1000, ("рубль", "рубля", "рублей"), "одна тысяча рублей"),
    ],
)  # fmt: skip
def test_a_number_agrees_with_its_noun(
    number: int, forms: tuple[str, str, str], expected: str
) -> None:
    assert counted(number, *forms) == expected


@given(st.integers(0, 10**6))
@settings(deadline=None)
def test_the_form_depends_on_the_last_two_digits(number: int) -> None:
    assert plural(number, "1", "2", "5") == plural(number % 100, "1", "2", "5")
    assert counted(number, "день", "дня", "дней").startswith(cardinal(number))


@pytest.mark.parametrize(
    ("name", "forms"),
    [
        ("анна", "анны анне анной"),
        ("мария", "марии марии марией"),
        ("ольга", "ольги ольге ольгой"),
        ("илья", "ильи илье ильей"),
        ("андрей", "андрея андрею андреем"),
        ("игорь", "игоря игорю игорем"),
        ("иван", "ивана ивану иваном"),
        ("павел", "павла павлу павлом"),
        ("любовь", "любови любови любовью"),
    ],
)
def test_names_are_declined(name: str, forms: str) -> None:
    cases = (Case.GENITIVE, Case.DATIVE, Case.INSTRUMENTAL)
    assert " ".join(decline(name, case) for case in cases) == forms
