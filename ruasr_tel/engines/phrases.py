"""Phrases that a decode should prefer or keep to, as automata over letters. Pure.

Letters, not tokens: so the same automaton serves a vocabulary of letters and one of word pieces,
whatever way a model spells a word in pieces. A token steps through its letters.
"""

import itertools
import re
import unicodedata
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Protocol

from ruasr_tel.engines.prepare import UNKNOWN

START = 0
_SPACE = " "
_NO_LETTER = re.compile(r"[\W_]+")


def fold(text: str) -> str:
    """Return text as models write it: lower case, `е` for `ё`, a space for what is no letter.

    Digits stay. Every character becomes exactly one, so positions stay the same.
    """
    lower = "".join(low if len(low := char.lower()) == 1 else char for char in text)
    return "".join(char if char.isalnum() else _SPACE for char in lower.replace("ё", "е"))


def words_of(text: str) -> str:
    """Return folded text with single spaces between its words and none around it."""
    return " ".join(fold(text).split())


def clean(phrases: Iterable[str]) -> dict[str, str]:
    """Return folded phrase -> as its owner writes it, without `[unk]`, empty ones and repeats."""
    found: dict[str, str] = {}
    for phrase in (unicodedata.normalize("NFC", each) for each in phrases):
        if phrase.strip() != UNKNOWN and (folded := words_of(phrase)):
            found.setdefault(folded, " ".join(_NO_LETTER.sub(" ", phrase).split()))
    return found


def unspellable(phrases: Iterable[str], symbols: Iterable[str]) -> list[str]:
    """Return the folded phrases that hold a letter which no symbol of the model has."""
    letters = set(fold("".join(symbols))) | {_SPACE}
    return [phrase for phrase in phrases if not letters.issuperset(phrase)]


class Guide(Protocol):
    """Says letter by letter what a text gains by its phrases, and whether it may go on so."""

    def step(self, state: int, letter: str) -> tuple[int, float] | None:
        """Return the state after a letter and what it gains (natural log), or None: not allowed."""
        ...

    def finish(self, state: int) -> float | None:
        """Return what the end of the text gains, or None: it must not end here."""
        ...


class _Trie:
    """Letters of all phrases; node 0 is the root."""

    def __init__(self) -> None:
        self.children: list[dict[str, int]] = [{}]
        self.depth = [0]
        self.last = [""]
        self.ends = [False]

    def add(self, letters: str) -> int:
        node = START
        for letter in letters:
            after = self.children[node].get(letter)
            if after is None:
                after = len(self.children)
                self.children[node][letter] = after
                self.children.append({})
                self.depth.append(self.depth[node] + 1)
                self.last.append(letter)
                self.ends.append(False)
            node = after
        self.ends[node] = True
        return node


class Preferred:
    """Adds to each letter of a phrase that stands in the text as whole words; pays back the rest.

    An Aho-Corasick automaton: while a phrase may still come true its letters are lent their bonus,
    and when the text turns away, those that no complete phrase covers give it back. So in the end a
    text has `bonus` for every letter in a phrase, and for the space after it. (What two phrases
    share counts for the later one, even if that does not come true.)

    Args:
        phrases: folded.
        bonus: natural log per letter.
    """

    def __init__(self, phrases: Iterable[str], bonus: float) -> None:
        self._bonus = bonus
        self._trie = _Trie()
        for phrase in phrases:
            self._trie.add(f"{_SPACE}{phrase}{_SPACE}")
        trie = self._trie
        self._fail = [START] * len(trie.depth)
        self._kept = [0] * len(trie.depth)  # depth of the longest phrase that the path begins with
        queue = deque([START])
        while queue:
            node = queue.popleft()
            for letter, child in trie.children[node].items():
                self._kept[child] = trie.depth[child] if trie.ends[child] else self._kept[node]
                if node != START:
                    self._fail[child] = self._follow(self._fail[node], letter)
                queue.append(child)
        self.start = trie.children[START].get(_SPACE, START)  # a text begins like a word
        self.states = len(trie.depth)

    def _follow(self, node: int, letter: str) -> int:
        while node != START and letter not in self._trie.children[node]:
            node = self._fail[node]
        return self._trie.children[node].get(letter, START)

    def step(self, state: int, letter: str) -> tuple[int, float]:
        """Return the state after a letter and what it gains (natural log), less what it loses."""
        if letter == _SPACE and self._trie.last[state] == _SPACE:
            return state, 0.0  # two spaces are one
        node, letters = state, 0
        while letter not in self._trie.children[node] and node != START:
            node, change = self._shorten(node)
            letters += change
        after = self._trie.children[node].get(letter, START)
        return after, self._bonus * (letters + self._lent(after) - self._lent(node))

    def finish(self, state: int) -> float:
        """Return what the end of the text gains: it ends the last word."""
        node, gain = self.step(state, _SPACE)
        while node != START:
            node, change = self._shorten(node)
            gain += self._bonus * change
        return gain

    def _shorten(self, node: int) -> tuple[int, int]:
        """Return the next shorter ending of the path to a node, and the change in letters paid."""
        shorter = self._fail[node]
        dropped = self._trie.depth[node] - self._trie.depth[shorter]
        # The space that the shorter ending begins with ended a word of what is dropped.
        covered = max(0, min(self._kept[node], dropped + 1) - 1)
        return shorter, covered + self._lent(shorter) - self._lent(node)

    def _lent(self, node: int) -> int:
        """Letters on the path to a node, without the space that it begins with."""
        return max(0, self._trie.depth[node] - 1)

    def covered(self, text: str) -> list[bool]:
        """Return for each word of a folded text whether a phrase covers it."""
        words = text.split()
        begins, at = {}, 0
        for i, word in enumerate(words):
            begins[at] = i
            at += len(word) + 1
        marks = [False] * len(words)
        padded = f"{_SPACE}{text}{_SPACE}"
        for begin, first in begins.items():
            length = self._longest(padded, begin)
            for i in range(first, first + len(padded[begin : begin + length].split())):
                marks[i] = True
        return marks

    def _longest(self, padded: str, begin: int) -> int:
        """Return the length of the longest phrase, its spaces included, that begins there."""
        node, longest = START, 0
        for letter in padded[begin:]:
            if letter not in self._trie.children[node]:
                break
            node = self._trie.children[node][letter]
            if self._trie.ends[node]:
                longest = self._trie.depth[node]
        return longest


class OnlyThese:
    """Allows nothing but phrases, one after another; each costs the same, so fewer are better.

    Thread-safe: states are named as they are met, each once.

    Args:
        phrases: folded, at least one.
        cost: natural log that every phrase costs.
    """

    def __init__(self, phrases: Sequence[str], cost: float) -> None:
        self._cost = cost
        self._trie = _Trie()
        for phrase in phrases:
            self._trie.add(phrase)
        # A state is where one may be in the trie -> how many phrases more than the least that took.
        self._states: dict[int, dict[int, int]] = {START: {START: 0}}
        self._names = {frozenset({(START, 0)}): START}
        self._numbers = itertools.count(START + 1)
        self.start = START

    def step(self, state: int, letter: str) -> tuple[int, float] | None:
        """Return the state after a letter and what it gains, or None: no phrase goes on so."""
        after: dict[int, int] = {}
        for node, phrases in self._states[state].items():
            child = self._trie.children[node].get(letter)
            if child is not None:
                begun = phrases + (node == START)
                after[child] = min(begun, after.get(child, begun))
            if letter == _SPACE and self._may_end(node):
                after[START] = min(phrases, after.get(START, phrases))
        if not after:
            return None
        least = min(after.values())
        return self._name({node: count - least for node, count in after.items()}), -(
            self._cost * least
        )

    def finish(self, state: int) -> float | None:
        """Return what it costs to end here, or None within a phrase."""
        counts = [count for node, count in self._states[state].items() if self._may_end(node)]
        return -self._cost * min(counts) if counts else None

    def _may_end(self, node: int) -> bool:
        return node == START or self._trie.ends[node]

    def _name(self, state: dict[int, int]) -> int:
        key = frozenset(state.items())
        known = self._names.get(key)
        if known is not None:
            return known
        number = next(self._numbers)
        self._states[number] = state  # before its name is known: threads share this
        return self._names.setdefault(key, number)

    def split(self, text: str) -> list[str] | None:
        """Return a folded text as the fewest phrases, or None if it is not made of phrases."""
        words = text.split()
        best: list[list[str] | None] = [[], *([None] * len(words))]
        for end in range(1, len(words) + 1):
            for begin in range(end):
                phrase, before = " ".join(words[begin:end]), best[begin]
                if before is not None and self._holds(phrase):
                    longer = [*before, phrase]
                    known = best[end]
                    best[end] = longer if known is None or len(longer) < len(known) else known
        return best[-1]

    def _holds(self, phrase: str) -> bool:
        node = START
        for letter in phrase:
            after = self._trie.children[node].get(letter)
            if after is None:
                return False
            node = after
        return self._trie.ends[node]
