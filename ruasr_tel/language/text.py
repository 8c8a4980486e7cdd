"""Text as language models are made from it: sentences of words or of letters. Pure."""

import re
from collections.abc import Iterable, Iterator
from enum import StrEnum

from ruasr_tel.language.ngrams import UNKNOWN

SPACE = "▁"
"""Stands for the space between words in a model of letters, as in the vocabularies of networks."""
_SENTENCE_ENDS = re.compile(r"[.!?…]+(?:\s|$)")
_OUR_LETTER = re.compile(r"[^\W\d_]")


class Kind(StrEnum):
    """What a language model counts."""

    WORD = "word"
    CHAR = "char"


def sentences(lines: Iterable[str]) -> Iterator[str]:
    """Return the sentences of a text: a line holds one or several, none goes over two lines."""
    for line in lines:
        yield from (part for part in _SENTENCE_ENDS.split(line) if part.strip())


def units(sentence: str, kind: Kind) -> list[str]:
    """Return a normalised sentence as what a model counts.

    What is no letter makes a word unknown, or in a model of letters itself.

    Args:
        sentence: words as models write them, separated by spaces.
        kind: of the model.
    """
    if kind is Kind.WORD:
        return [word if _is_spelled(word) else UNKNOWN for word in sentence.split()]
    letters = SPACE.join(sentence.split())
    return [each if each == SPACE or _is_spelled(each) else UNKNOWN for each in letters]


def kind_of(words: Iterable[str]) -> Kind:
    """Return what the words of a model's vocabulary, without its marks, are.

    Single letters with a space among them are those of a model of letters.
    """
    found = set(words)
    is_char = SPACE in found and all(len(word) == 1 for word in found)
    return Kind.CHAR if is_char else Kind.WORD


def _is_spelled(word: str) -> bool:
    return all(_OUR_LETTER.match(letter) for letter in word)
