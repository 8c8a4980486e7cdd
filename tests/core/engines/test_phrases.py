import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruasr_tel.engines.phrases import (
    START,
    OnlyThese,
    Preferred,
    clean,
    fold,
    unspellable,
    words_of,
)

TEXTS = st.lists(st.sampled_from(["а", "б", "аб", "ба"]), max_size=6).map(" ".join)
PHRASES = st.lists(
    st.lists(st.sampled_from(["а", "б", "аб", "ба"]), min_size=1, max_size=3).map(" ".join),
    min_size=1,
    max_size=4,
    unique=True,
)


def total(guide: Preferred, text: str) -> float:
    state, gained = guide.start, 0.0
    for letter in text:
        state, gain = guide.step(state, letter)
        gained += gain
    return gained + guide.finish(state)


def covered_letters(phrases: list[str], text: str) -> int:
    """Letters of all words in phrases, and the space after each, by looking everywhere."""
    words = text.split()
    inside = [False] * len(words)
    for phrase in phrases:
        parts = phrase.split()
        for i in range(len(words) - len(parts) + 1):
            if words[i : i + len(parts)] == parts:
                inside[i : i + len(parts)] = [True] * len(parts)
    return sum(len(word) + 1 for word, is_in in zip(words, inside, strict=True) if is_in)


@settings(deadline=None)
@given(phrases=PHRASES, text=TEXTS)
def test_one_phrase_pays_for_the_letters_that_it_covers(phrases: list[str], text: str) -> None:
    words = [one for one in phrases if " " not in one]  # single words share nothing
    assert total(Preferred(words, 1.0), text) == covered_letters(words, text)


@settings(deadline=None)
@given(phrases=PHRASES, text=TEXTS)
def test_no_text_gets_more_than_its_phrases_cover(phrases: list[str], text: str) -> None:
    gained = total(Preferred(phrases, 1.0), text)
    assert 0 <= gained <= covered_letters(phrases, text)


@settings(deadline=None)
@given(phrases=PHRASES, text=TEXTS)
def test_what_preferred_marks_as_covered_is(phrases: list[str], text: str) -> None:
    marks = Preferred(phrases, 1.0).covered(text)
    words = text.split()
    assert sum(len(w) + 1 for w, mark in zip(words, marks, strict=True) if mark) == covered_letters(
        phrases, text
    )


def test_a_phrase_of_several_words_pays_as_a_whole() -> None:
    guide = Preferred(["иван иванович"], 2.0)
    assert total(guide, "иван иванович") == 2.0 * len("иван иванович ")
    assert total(guide, "это иван  иванович пришел") == 2.0 * len("иван иванович ")
    assert total(guide, "иван петрович") == 0
    assert total(guide, "диван иванович") == 0  # no whole word


def test_a_bonus_is_lent_letter_by_letter() -> None:
    """A phrase must not be pruned before it is complete."""
    guide = Preferred(["да"], 1.5)
    state, gain = guide.step(guide.start, "д")
    assert gain == 1.5
    assert guide.step(state, "о") == (START, -1.5)


@settings(deadline=None)
@given(phrases=PHRASES, text=TEXTS)
def test_only_these_allows_what_can_be_split_and_counts_the_fewest(
    phrases: list[str], text: str
) -> None:
    guide = OnlyThese(phrases, 1.0)
    state, paid, allowed = guide.start, 0.0, True
    for letter in text:
        step = guide.step(state, letter)
        if step is None:
            allowed = False
            break
        state, paid = step[0], paid + step[1]
    end = guide.finish(state) if allowed else None
    parts = guide.split(text)
    assert (end is None) == (parts is None)
    if end is not None and parts is not None:
        assert paid + end == -len(parts)
        assert " ".join(parts) == text
        assert set(parts) <= set(phrases)


def test_words_are_written_as_models_write_them() -> None:
    assert fold("Ёлка, АТС-5!") == "елка  атс 5 "
    assert len(fold("İstanbul ß")) == len("İstanbul ß")
    assert words_of("  Ещё\tраз… ") == "еще раз"


def test_a_list_keeps_how_its_owner_writes() -> None:
    assert clean(["Ещё раз", "[unk]", "", " - ", "еще  раз", "Да!"]) == {
        "еще раз": "Ещё раз",
        "да": "Да",
    }


@pytest.mark.parametrize(("phrase", "spelled"), [("елка", True), ("звонок 5", False), ("q", False)])
def test_what_a_model_cannot_spell_is_named(phrase: str, spelled: bool) -> None:
    symbols = [" ", *"абвгдежзийклмнопрстуфхцчшщъыьэюя"]
    assert unspellable([phrase], symbols) == ([] if spelled else [phrase])
