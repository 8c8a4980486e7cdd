from pathlib import Path
from random import Random

import pytest

from models.training import guard, sentences
from models.training.guard import Guard
from models.training.russian import clean
from models.training.sentences import Grammar, generate, read_dictionary
from ruasr_tel.errors import ConfigError

WORDS = ("стол", "окно", "дверь")


def test_no_held_out_sentence_is_in_the_training_text() -> None:
    kept_out = Guard(guard.everything())
    made = list(generate(3000, seed=1, guard=kept_out, dictionary=WORDS))
    assert len(made) == 3000
    assert not set(made) & set(guard.everything())
    assert not any(kept_out.forbids(sentence) for sentence in made)


def test_without_the_guard_it_would_be() -> None:
    assert set(generate(3000, seed=1)) & set(guard.texts())


def test_the_same_seed_gives_the_same_clean_text() -> None:
    first = list(generate(300, seed=3, dictionary=WORDS))
    assert first == list(generate(300, seed=3, dictionary=WORDS))
    assert first != list(generate(300, seed=4, dictionary=WORDS))
    assert all(sentence == clean(sentence) for sentence in first)


def test_long_sentences_come_once() -> None:
    long = [each for each in generate(2000, seed=2, dictionary=WORDS) if len(each) > 14]
    assert len(long) == len(set(long))


def test_dictionary_words_come_only_with_a_dictionary() -> None:
    odd = ("шпиндель",)
    assert any("шпиндель" in each for each in generate(200, dictionary=odd))
    assert not any("шпиндель" in each for each in generate(200))


def test_every_template_can_be_filled() -> None:
    grammar = Grammar(Random(0))
    for group in sentences._read("templates").values():
        for template in group:
            filled = grammar.fill(template)
            assert "{" not in filled, template
            assert clean(filled), template


def test_the_grammar_is_clean_but_for_its_slots() -> None:
    for values in sentences._read("words").values():
        for value in sentences._items(values):
            assert value == clean(value)
    for pieces in sentences._read("everyday").values():
        assert all(piece == clean(piece) for piece in pieces)


def test_too_many_sentences_end_in_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Grammar, "shares", lambda grammar: [(1.0, grammar.proverb)])
    with pytest.raises(ConfigError, match="no more new sentences"):
        list(generate(5000))


def test_a_dictionary_gives_its_plain_words(tmp_path: Path) -> None:
    path = tmp_path / "ru.dic"
    text = "6\nёлка/K\nМосква/B\nдом/AB\nпо-русски\nя\nлес\n"
    for encoding in ("utf-8", "koi8-r"):
        path.write_bytes(text.encode(encoding))
        assert read_dictionary(path) == ["елка", "дом", "лес"]


def test_a_missing_dictionary_names_its_package(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="install Debian's hunspell-ru"):
        read_dictionary(tmp_path / "ru.dic")
