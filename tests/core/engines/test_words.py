import pytest

from ruasr_tel.engines.base import Hypothesis
from ruasr_tel.engines.words import folded, letters, mean_log_prob, spans


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ((), []),
        (("д", "а"), [[0, 1]]),
        (("д", "а", " ", "н", "е", "т"), [[0, 1], [3, 4, 5]]),
        ((" ", "д", " ", " ", "н", " "), [[1], [4]]),
        ((" при", "вет", " мир"), [[0, 1], [2]]),
        (("▁при", "вет", "▁", "мир"), [[0, 1], [3]]),
    ],
)
def test_tokens_are_gathered_into_words(tokens: tuple[str, ...], expected: list[list[int]]) -> None:
    assert spans(tokens) == expected


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ((), []),
        (("▁К", "то", "-", "то", ",", "▁да", "."), [("кто", [0, 1]), ("то", [3]), ("да", [5])]),
        (("▁кто-то", "▁—", "▁", "да"), [("кто", [0]), ("то", [0]), ("да", [3])]),
        (("▁да", ",", "нет", "-", "▁"), [("да", [0]), ("нет", [2])]),
    ],
)
def test_punctuation_ends_folded_words(
    tokens: tuple[str, ...], expected: list[tuple[str, list[int]]]
) -> None:
    assert folded(tokens) == expected


def test_the_sign_of_a_word_is_no_letter() -> None:
    assert [letters(token) for token in (" да", "▁да", "да", " ")] == ["да", "да", "да", ""]


def test_a_word_has_the_mean_of_its_tokens() -> None:
    heard = Hypothesis("да", ("д", "а"), (0.0, 0.1), (-1.0, -3.0))
    assert mean_log_prob(heard, [0, 1]) == -2.0
    assert mean_log_prob(Hypothesis("да", ("д", "а"), (0.0, 0.1)), [0, 1]) == 0.0
