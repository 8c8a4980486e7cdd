"""Operator messages in the transcript: listed phrases, a few wrong letters forgiven. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from ruasr_tel.engines.phrases import words_of
from ruasr_tel.events import Progress
from ruasr_tel.section import Section

_MORE_WORDS = 1
"""Words that a phrase may be heard as beyond its own, or short of it: a word falls apart."""


class OperatorPhrases(Section):
    """Phrases that tell a message of the network or of a machine, by what they mean."""

    unavailable: tuple[str, ...] = Field(
        (
            "абонент недоступен",
            "абонент временно недоступен",
            "вызываемый абонент не отвечает",
            "абонент не может ответить на ваш звонок",
        ),
        max_length=100,
    )
    """The subscriber cannot be reached now."""
    switched_off: tuple[str, ...] = Field(
        (
            "аппарат абонента выключен",
            "телефон абонента выключен",
            "находится вне зоны действия сети",
        ),
        max_length=100,
    )
    """The telephone is off or out of coverage."""
    wrong_number: tuple[str, ...] = Field(
        (
            "номер не обслуживается",
            "номер не существует",
            "неправильно набран номер",
            "набранный вами номер не зарегистрирован",
        ),
        max_length=100,
    )
    """There is no such number."""
    voicemail: tuple[str, ...] = Field(
        (
            "оставьте сообщение после сигнала",
            "оставьте ваше сообщение",
            "вы дозвонились до голосовой почты",
            "вас приветствует автоответчик",
            "говорите после сигнала",
        ),
        max_length=100,
    )
    """Somebody may leave a message."""
    busy: tuple[str, ...] = Field(
        ("абонент занят", "абонент разговаривает", "все линии заняты"), max_length=100
    )
    """The line is busy."""
    queue: tuple[str, ...] = Field(
        (
            "все операторы заняты",
            "все наши операторы заняты",
            "оставайтесь на линии",
            "дождитесь ответа оператора",
            "ваш звонок очень важен для нас",
        ),
        max_length=100,
    )
    """Wait for an operator."""

    def listed(self) -> Iterator[tuple[Progress, str]]:
        """Yield each phrase with its meaning."""
        for name in type(self).model_fields:
            for phrase in getattr(self, name):
                yield Progress(name), phrase


@dataclass(frozen=True, slots=True)
class Match:
    """A phrase that was heard.

    Attributes:
        kind: what it means.
        phrase: as it is listed.
        score: 0..1, one less the share of wrong letters.
        first: the first of its words in the text, 0-based.
        end: one past the last.
    """

    kind: Progress
    phrase: str
    score: float
    first: int
    end: int


class PhraseFinder:
    """Finds the listed phrases in texts.

    Args:
        phrases: what to look for.
        likeness: share of letters that must be right, 0..1.
    """

    def __init__(self, phrases: OperatorPhrases, likeness: float) -> None:
        listed = [(kind, phrase, words_of(phrase)) for kind, phrase in phrases.listed()]
        self._listed = [each for each in listed if each[2]]
        self._folded = [folded for _, _, folded in self._listed]
        self._denying = np.array([_denies(folded) for folded in self._folded], bool)
        self._lengths = {
            length + more
            for length in {folded.count(" ") + 1 for folded in self._folded}
            for more in range(-_MORE_WORDS, _MORE_WORDS + 1)
            if length + more > 0
        }
        self._likeness = likeness

    def find(self, words: Sequence[str]) -> list[Match]:
        """Return the best phrase of each meaning that is in the words, in order of the text.

        Args:
            words: of one text, as the model writes them.
        """
        folded = [words_of(word) for word in words]
        spans = [
            (first, first + length)
            for length in sorted(self._lengths)
            for first in range(len(folded) - length + 1)
        ]
        if not spans or not self._folded:
            return []
        texts = [" ".join(folded[first:end]) for first, end in spans]
        likeness = process.cdist(
            texts,
            self._folded,
            scorer=Levenshtein.normalized_similarity,
            score_cutoff=self._likeness,
        )
        denying = np.array([_denies(text) for text in texts])
        likeness[denying[:, None] != self._denying] = 0
        best: dict[Progress, Match] = {}
        for column, (kind, phrase, _) in enumerate(self._listed):
            row = int(likeness[:, column].argmax())
            score = float(likeness[row, column])
            if score > 0 and (kind not in best or score > best[kind].score):
                best[kind] = Match(kind, phrase, score, *spans[row])
        return sorted(best.values(), key=lambda match: (match.first, match.end))


def _denies(text: str) -> bool:
    """Whether a text says no: two letters of difference that change all of its meaning."""
    return any(word.startswith("не") for word in text.split())
