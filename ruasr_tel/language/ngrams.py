"""N-grams with back-off as one sorted array, and the walk through them. Pure.

A node is an n-gram; node 0 is the empty one. The nodes lie order by order, and within an order by
(node of all words but the last, last word), so a node's number is where its key stands in one
sorted array, and the model needs 20 bytes for each n-gram whatever its length.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float32]
Doubles: TypeAlias = npt.NDArray[np.float64]

ROOT: Final = 0
"""The empty n-gram."""
BEGIN: Final = "<s>"
END: Final = "</s>"
UNKNOWN: Final = "<unk>"
MARKS: Final = (UNKNOWN, BEGIN, END)
"""What ARPA files call a word outside the vocabulary, and the ends of a sentence."""


@dataclass(frozen=True, slots=True)
class NGrams:
    """A language model: natural log P(word | the words before it). Thread-safe.

    Attributes:
        words: the vocabulary by id, `<unk>`, `<s>` and `</s>` among them.
        keys: (node of all words but the last) * len(words) + last word, rising, shape (n,); node i
            has its key at i - 1.
        log_probs: natural log of the last word's probability after the others, shape (n + 1,).
        backoffs: natural log of what another word's probability is multiplied with that is taken
            from the suffix, shape (n + 1,).
        suffixes: node of all words but the first, or of the longest shorter suffix that is known,
            shape (n + 1,).
        firsts: node with which each order begins, from order 1 on; then the number of nodes.
    """

    words: tuple[str, ...]
    keys: Ints
    log_probs: Floats
    backoffs: Floats
    suffixes: Ints
    firsts: tuple[int, ...]

    @property
    def order(self) -> int:
        """Words of the longest n-grams."""
        return len(self.firsts) - 1

    @property
    def counts(self) -> tuple[int, ...]:
        """How many n-grams of each order there are, from order 1 on."""
        return tuple(after - first for first, after in pairwise(self.firsts))

    def walker(self) -> "Walker":
        """Return what goes through the model word by word."""
        return Walker(self)

    def find(self, nodes: Ints, words: Ints) -> Ints:
        """Return the nodes that words lead to from nodes, or -1; shapes (n,)."""
        if not len(self.keys):
            return np.full(len(nodes), -1, dtype=np.int64)
        wanted = nodes * len(self.words) + words
        at = np.searchsorted(self.keys, wanted)
        found = np.minimum(at, len(self.keys) - 1)
        result: Ints = np.where(self.keys[found] == wanted, at + 1, -1)
        return result


class Walker:
    """Goes through a model word by word; a state is the node of the words that still matter.

    Args:
        model: any.
    """

    def __init__(self, model: NGrams) -> None:
        self.ids = {word: number for number, word in enumerate(model.words)}
        self.states = model.firsts[-1]
        self._size = len(model.words)
        # bisect and indexing are five times faster on a memoryview than on an array
        self._keys = model.keys.data
        self._log_probs = model.log_probs.data
        self._backoffs = model.backoffs.data
        self._suffixes = model.suffixes.data
        self._longest = model.firsts[-2]  # from here on nothing follows
        self.unknown = self.ids[UNKNOWN]
        self.end = self.ids[END]
        self.start = 1 + self.ids[BEGIN] if model.order > 1 else ROOT

    def step(self, state: int, word: int) -> tuple[int, float]:
        """Return the state after a word and the natural log of its probability."""
        log_prob = 0.0
        while True:
            key = state * self._size + word
            at = bisect_left(self._keys, key)
            if at < len(self._keys) and self._keys[at] == key:
                break
            log_prob += self._backoffs[state]
            state = self._suffixes[state]
        node = at + 1
        log_prob += self._log_probs[node]
        return (self._suffixes[node] if node >= self._longest else node), log_prob

    def log_prob(self, words: Sequence[str]) -> float:
        """Return the natural log of a whole sentence's probability, its end included."""
        return sum(self.each(words))

    def each(self, words: Iterable[str]) -> list[float]:
        """Return the natural log of each word's probability, and that of the sentence's end."""
        state, found = self.start, []
        for word in (*(self.ids.get(word, self.unknown) for word in words), self.end):
            state, log_prob = self.step(state, word)
            found.append(log_prob)
        return found
