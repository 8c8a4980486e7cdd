"""Language models as guides of the search through CTC posteriors. Pure but for `load_all`.

A guide goes by letters. A model of letters scores each as it comes. A model of words foretells: a
letter gains what the best word that may still come out is more probable than the one before, and
the word's end pays the difference to what it really is among its neighbours.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from ruasr_tel.engines.base import EngineSpec
from ruasr_tel.engines.phrases import START, Guide, fold, words_of
from ruasr_tel.errors import ModelLoadError
from ruasr_tel.language import packed
from ruasr_tel.language.choice import Choice, parse
from ruasr_tel.language.ngrams import MARKS, Ints, NGrams
from ruasr_tel.language.text import SPACE, Kind, kind_of

WEIGHTS: Final = {Kind.WORD: 0.4, Kind.CHAR: 0.3}
BONUSES: Final = {Kind.WORD: 1.0, Kind.CHAR: 0.4}
"""Where nobody gave others: between the best of prompts and of read sentences (docs/adr/0027)."""
OUTSIDE: Final = -20.0
"""Natural log of a word's probability that a model of words does not know (docs/adr/0027)."""
OUTSIDE_LETTER: Final = -1.0
"""And of each of its letters from the first that no known word has there."""
LISTED: Final = -12.0
"""Of a word that it does not know, but that stands in the caller's phrases: as rare as the rarest
words of 80,000 (our measurement)."""
SPELLED_LEAST: Final = 0.5
"""Share of a vocabulary that must be spelled in the network's letters, else it is another
alphabet's (our choice)."""
LOOKED_AT: Final = 1000
"""Words of a vocabulary that are looked at for that."""
OPTION: Final = "lm"
WIDTH_OPTION: Final = "lm_width"
_OTHERS_OPTION: Final = "lms"
"""Keys of `EngineSpec.options`."""
_OFF: Final = -1


class CountedGuide(Guide, Protocol):
    """A guide whose states are numbers below a known one, so that two can be laid together."""

    start: int
    states: int


class LanguageModel(Protocol):
    """A loaded model; shared by all guides that are made of it."""

    def guide(self, listed: Iterable[str] = ()) -> CountedGuide:
        """Return a guide.

        Args:
            listed: folded words that are known besides its own.
        """
        ...


def options(lm: str, others: Mapping[str, str], width: int) -> dict[str, str | int | float | bool]:
    """Return what `EngineSpec.options` holds of language models; `choices` reads it.

    Args:
        lm: those that are used unless a caller asks for others, as `choice.write` has them.
        others: those that callers may ask for: as they call them, and as `choice.write` has them.
        width: prefixes that the search keeps.
    """
    named = "\n".join(f"{called}\t{written}" for called, written in others.items())
    return {OPTION: lm, _OTHERS_OPTION: named, WIDTH_OPTION: width}


def choices(told: Mapping[str, str | int | float | bool]) -> dict[str, tuple[Choice, ...]]:
    """Return the language models in a spec's options by what callers call them."""
    lm = str(told.get(OPTION, ""))
    named = {lm: parse(lm)} if lm else {}
    for line in str(told.get(_OTHERS_OPTION, "")).splitlines():
        called, written = line.split("\t")
        named[called] = parse(written)
    return named


def load_all(spec: EngineSpec, symbols: Sequence[str]) -> dict[str, list[LanguageModel]]:
    """Return the language models in a spec's options by what callers call them.

    Args:
        spec: with what `options` has made.
        symbols: of the network, without the blank.

    Raises:
        ModelLoadError: a file cannot be used; names it and the cure.
    """
    letters = set(fold("".join(symbols))) - {" "}
    known: dict[Choice, LanguageModel] = {}
    found: dict[str, list[LanguageModel]] = {}
    for called, chosen in choices(spec.options).items():
        for one in chosen:
            if one not in known:
                known[one] = _load(one, letters)
        found[called] = [known[one] for one in chosen]
    return found


def _load(choice: Choice, letters: set[str]) -> LanguageModel:
    model = packed.read(Path(choice.path))
    units = [word for word in model.words if word not in MARKS]
    kind = kind_of(units)
    looked_at = [unit for unit in units[:: len(units) // LOOKED_AT + 1] if unit != SPACE]
    spelled = sum(letters.issuperset(fold(unit)) for unit in looked_at)
    if not spelled or spelled < SPELLED_LEAST * len(looked_at):
        shown = " ".join(looked_at[:5])
        raise ModelLoadError(
            f"language model {choice.path} is in another alphabet than the recogniser: {spelled} "
            f"of {len(looked_at)} of its words ({shown} …) are spelled with its letters; make it "
            "of text in the recogniser's language, lower case, with `ruasr-tel lm build`"
        )
    weight = WEIGHTS[kind] if choice.weight is None else choice.weight
    bonus = BONUSES[kind] if choice.bonus is None else choice.bonus
    if kind is Kind.CHAR:
        return _Letters(model, weight, bonus)
    return _Words(model, weight, bonus)


class _Letters:
    """A model of letters; a state is its node, twice, and whether a space came last."""

    def __init__(self, model: NGrams, weight: float, bonus: float) -> None:
        self._walker = model.walker()
        self._ids = {" " if unit == SPACE else unit: i for unit, i in self._walker.ids.items()}
        self._weight = weight
        self._bonus = bonus
        self.start = 2 * self._walker.start + 1  # a text begins like a word
        self.states = 2 * self._walker.states

    def guide(self, listed: Iterable[str] = ()) -> CountedGuide:
        return self

    def step(self, state: int, letter: str) -> tuple[int, float]:
        """See `Guide.step`."""
        if letter == " " and state & 1:
            return state, 0.0  # two spaces are one
        unit = self._ids.get(letter, self._walker.unknown)
        node, log_prob = self._walker.step(state >> 1, unit)
        return 2 * node + (letter == " "), self._weight * log_prob + self._bonus

    def finish(self, state: int) -> float:
        """See `Guide.finish`."""
        return self._weight * self._walker.step(state >> 1, self._walker.end)[1]


@dataclass(frozen=True, slots=True)
class _Spellings:
    """The words of a vocabulary letter by letter; node 0 is where a word begins.

    Attributes:
        letters: letter -> number, from 1 on.
        keys: (node before) * (number of letters + 1) + letter, rising; node i has its key at i - 1.
        words: id of the word that ends at a node, -1 where none does.
        best: natural log of the most probable word's probability below a node; 0 at the root.
    """

    letters: Mapping[str, int]
    keys: "memoryview[int]"
    words: "memoryview[int]"
    best: "memoryview[Any]"

    @classmethod
    def of(cls, model: NGrams) -> "_Spellings":
        numbers = np.array([i for i, word in enumerate(model.words) if word not in MARKS])
        spelled = "\n".join(model.words[i] for i in numbers.tolist()).lower().replace("ё", "е")
        letters, table = _lettered(spelled)
        in_order = np.argsort(table.view(f"S{table.itemsize * table.shape[1]}").ravel())
        table, numbers = table[in_order], numbers[in_order]  # words that begin alike lie together
        unigrams = model.log_probs[1:][numbers]
        nodes = np.zeros(len(numbers), dtype=np.int64)
        keys: list[Ints] = []
        best = [np.zeros(1, dtype=np.float32)]
        count = 1
        for column in table.T:
            going = np.flatnonzero(column)
            steps = nodes[going] * (len(letters) + 1) + column[going]
            new = np.diff(steps, prepend=-1) != 0
            firsts = np.flatnonzero(new)
            nodes[going] = count + np.cumsum(new) - 1
            keys.append(steps[firsts])
            best.append(np.maximum.reduceat(unigrams[going], firsts))
            count += len(firsts)
        words = np.full(count, _OFF, dtype=np.int64)
        rising = np.argsort(unigrams, kind="stable")  # of words spelled alike the likeliest stays
        words[nodes[rising]] = numbers[rising]
        return cls(letters, np.concatenate(keys).data, words.data, np.concatenate(best).data)

    def after(self, node: int, letter: str) -> int:
        """Return the node after a letter, or -1."""
        number = self.letters.get(letter)
        if node == _OFF or number is None:
            return _OFF
        key = node * (len(self.letters) + 1) + number
        at = bisect_left(self.keys, key)
        return at + 1 if at < len(self.keys) and self.keys[at] == key else _OFF


def _lettered(words: str) -> tuple[dict[str, int], npt.NDArray[np.uint16]]:
    """Return the number of each letter, from 1 on, and words a line as rows of them.

    Rows are filled with 0 and big-endian, so that bytes sort as they do.
    """
    codes = np.frombuffer(words.encode("utf-32-le"), np.uint32)
    is_letter = codes != ord("\n")
    of_code = np.zeros(int(codes.max()) + 1, dtype=np.uint16)
    known = np.flatnonzero(np.bincount(codes[is_letter]))
    of_code[known] = np.arange(1, len(known) + 1)
    starts = np.concatenate(([0], np.flatnonzero(~is_letter) + 1))
    lengths = np.diff(starts, append=len(codes) + 1) - 1
    rows = np.repeat(np.arange(len(starts)), lengths)
    columns = np.flatnonzero(is_letter) - starts[rows]
    table = np.zeros((len(starts), lengths.max()), dtype=">u2")
    table[rows, columns] = of_code[codes[is_letter]]
    return {chr(code): number for number, code in enumerate(known.tolist(), start=1)}, table


class _Words:
    """A model of words."""

    def __init__(self, model: NGrams, weight: float, bonus: float) -> None:
        self.walker = model.walker()
        self.spellings = _Spellings.of(model)
        self.weight = weight
        self.bonus = bonus

    def guide(self, listed: Iterable[str] = ()) -> CountedGuide:
        return _WordGuide(self, listed)


class _WordGuide:
    """Goes through words; a state is the words' node and the places in the word that comes.

    There are two places: among the model's words, and among the listed ones.
    """

    def __init__(self, model: _Words, listed: Iterable[str]) -> None:
        self._model = model
        self._spellings = model.spellings
        self._listed: list[dict[str, int]] = [{}]
        self._ends: set[int] = set()
        for word in listed:
            self._add(word)
        self._width = len(self._listed) + 1  # places among the listed words, the one outside too
        self._places = (len(self._spellings.words) + 1) * self._width
        self.states = model.walker.states * self._places
        self.start = self._state(model.walker.start, 0, 0)

    def _add(self, word: str) -> None:
        place = 0
        for letter in word:
            after = self._listed[place].get(letter)
            if after is None:
                after = self._listed[place][letter] = len(self._listed)
                self._listed.append({})
            place = after
        self._ends.add(place)

    def _state(self, node: int, place: int, listed: int) -> int:
        return node * self._places + (place + 1) * self._width + listed + 1

    def step(self, state: int, letter: str) -> tuple[int, float]:
        """See `Guide.step`."""
        node, places = divmod(state, self._places)
        place, listed = divmod(places, self._width)
        place, listed = place - 1, listed - 1
        if letter == " ":
            if place == 0:
                return state, 0.0  # two spaces are one
            node, gain = self._end(node, place, listed)
            return self._state(node, 0, 0), gain
        after = self._spellings.after(place, letter)
        among = _OFF if listed == _OFF else self._listed[listed].get(letter, _OFF)
        gain = self._outlook(after, among) - self._outlook(place, listed)
        if after == among == _OFF:
            gain += OUTSIDE_LETTER
        return self._state(node, after, among), self._model.weight * gain

    def finish(self, state: int) -> float:
        """See `Guide.finish`."""
        node, places = divmod(state, self._places)
        place, listed = divmod(places, self._width)
        gain = 0.0
        if place - 1 != 0:
            node, gain = self._end(node, place - 1, listed - 1)
        walker = self._model.walker
        return gain + self._model.weight * walker.step(node, walker.end)[1]

    def _outlook(self, place: int, listed: int) -> float:
        """Return the natural log of the best word's probability that may still come out."""
        if place != _OFF:
            return float(self._spellings.best[place])
        return OUTSIDE if listed == _OFF else LISTED

    def _end(self, node: int, place: int, listed: int) -> tuple[int, float]:
        """Return the node after a whole word, and what its end gains."""
        walker, outlook = self._model.walker, self._outlook(place, listed)
        word = self._spellings.words[place] if place != _OFF else _OFF
        if word != _OFF:
            node, log_prob = walker.step(node, word)
        else:
            node, _ = walker.step(node, walker.unknown)
            log_prob = LISTED if listed in self._ends else OUTSIDE
        return node, self._model.weight * (log_prob - outlook) + self._model.bonus


class Together:
    """Two guides as one: what both allow, and what both add."""

    def __init__(self, one: CountedGuide, other: CountedGuide) -> None:
        self._one = one
        self._other = other
        self._width = other.states
        self.start = one.start * self._width + other.start
        self.states = one.states * self._width

    def step(self, state: int, letter: str) -> tuple[int, float] | None:
        """See `Guide.step`."""
        mine, others = divmod(state, self._width)
        one, other = self._one.step(mine, letter), self._other.step(others, letter)
        if one is None or other is None:
            return None
        return one[0] * self._width + other[0], one[1] + other[1]

    def finish(self, state: int) -> float | None:
        """See `Guide.finish`."""
        mine, others = divmod(state, self._width)
        one, other = self._one.finish(mine), self._other.finish(others)
        return None if one is None or other is None else one + other


class Nothing:
    """A guide that allows everything and adds nothing."""

    start = START
    states = 1

    def step(self, state: int, letter: str) -> tuple[int, float]:
        """See `Guide.step`."""
        return state, 0.0

    def finish(self, state: int) -> float:
        """See `Guide.finish`."""
        return 0.0


def laid_together(guides: Sequence[CountedGuide]) -> CountedGuide:
    """Return guides as one."""
    return reduce(Together, guides) if guides else Nothing()


def listed_words(phrases: Iterable[str]) -> set[str]:
    """Return the folded words of phrases."""
    return {word for phrase in phrases for word in words_of(phrase).split()}
