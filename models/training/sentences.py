"""Training sentences: telephony, numbers, dialogue, everyday phrases, proverbs, single words.

The grammars lie beside this module in `grammar/`. They are this project's own; the proverbs and
the lines of classic verse among them are in the public domain.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from random import Random
from typing import Any

import yaml

from models.training import spoken
from models.training.guard import Guard
from models.training.russian import Case, cardinal, clean, counted, decline, ordinal
from ruasr_tel.errors import ConfigError

GRAMMAR = Path(__file__).parent / "grammar"
DICTIONARY = Path("/usr/share/hunspell/ru_RU.dic")
"""Of Debian's hunspell-ru; its words are used one by one, not its rules."""

_REPEATABLE_LETTERS = 14  # short answers and numbers may come again, longer sentences may not
_TRIES = 50  # in a row without a new sentence: the grammar cannot give so many
_WORD = re.compile(r"[а-яё]{3,14}")
_SOFT = "аяьй"
"""Endings of male names that make no regular patronymic."""


def generate(
    count: int, *, seed: int = 0, guard: Guard | None = None, dictionary: Sequence[str] = ()
) -> Iterator[str]:
    """Yield clean sentences, the same ones for the same arguments.

    Args:
        count: how many.
        seed: of the choices.
        guard: what must stay out, or None.
        dictionary: clean words for the share of random words; without any there is no such share.

    Raises:
        ConfigError: the grammar gives no new sentence any more.
    """
    rng = Random(seed)
    grammar = Grammar(rng)
    shares = [(share, say) for share, say in grammar.shares() if dictionary or say != grammar.words]
    kinds, weights = [say for _, say in shares], [share for share, _ in shares]
    grammar.dictionary = dictionary
    seen: set[str] = set()
    failed = 0
    while count:
        sentence = clean(rng.choices(kinds, weights)[0]())
        repeated = sentence in seen and len(sentence) > _REPEATABLE_LETTERS
        if not sentence or repeated or (guard is not None and guard.forbids(sentence)):
            failed += 1
            if failed > _TRIES:
                raise ConfigError(f"the grammar has no more new sentences: {count} are missing")
            continue
        failed = 0
        seen.add(sentence)
        count -= 1
        yield sentence


class Grammar:
    """Fills the templates.

    Args:
        rng: of every choice.

    Attributes:
        dictionary: words that `words` draws from.
    """

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._words = {name: _items(value) for name, value in _read("words").items()}
        self._templates: dict[str, list[str]] = _read("templates")
        self._everyday: dict[str, list[str]] = _read("everyday")
        self.dictionary: Sequence[str] = ()
        self._slots = self._makers()

    def shares(self) -> list[tuple[float, Callable[[], str]]]:
        """Return how often each kind of sentence comes (our choice)."""
        return [
            (0.48, self.telephone),
            (0.18, self.numbers),
            (0.18, self.everyday),
            (0.02, self.proverb),
            (0.14, self.words),
        ]

    def telephone(self) -> str:
        """Return something that callers, operators or machines say."""
        kinds = ("call_centre", "operators", "dialogue", "answers", "addresses", "number")
        kind = self._rng.choices(kinds, (0.30, 0.20, 0.25, 0.10, 0.05, 0.10))[0]
        if kind == "number":
            return self.fill(self._rng.choice(["{number}", "{phone}", "{date}", "{person}"]))
        sentence = self.fill(self._rng.choice(self._templates[kind]))
        first = self._rng.random()
        if first < 0.1:
            return f"{self._rng.choice(self._templates['greetings'])} {sentence}"
        if first < 0.2:
            return f"{self._rng.choice(self._templates['answers'])} {sentence}"
        return sentence

    def numbers(self) -> str:
        """Return numbers alone."""
        rng = self._rng
        kinds: list[Callable[[], str]] = [
            partial(spoken.number, rng),
            partial(spoken.phone, rng),
            lambda: cardinal(rng.randrange(10 ** rng.randint(1, 6))),
            lambda: ordinal(rng.randint(1, 99), rng.choice(["ый", "ое", "ого"])),
            partial(self.fill, "{money}"),
            partial(self.fill, "{date}"),
            partial(self.fill, "{time}"),
            lambda: spoken.digits(rng, rng.randint(1, 10)),
        ]
        return rng.choices(kinds, (0.25, 0.25, 0.10, 0.10, 0.08, 0.08, 0.08, 0.06))[0]()

    def everyday(self) -> str:
        """Return a sentence of ordinary words, some in an unusual order."""
        rng = self._rng
        she = rng.random() < 0.4
        names = ["when", *(("who_she", "did_she") if she else ("who_he", "did_he"))]
        pieces = [rng.choice(self._everyday[name]) for name in (*names, "what", "where", "end")]
        for at, share in ((0, 0.5), (4, 0.4), (5, 0.25)):
            if rng.random() < share:
                pieces[at] = ""
        if rng.random() < 0.2:
            rng.shuffle(pieces)
        return " ".join(pieces)

    def proverb(self) -> str:
        """Return a proverb or a line of verse."""
        return self._rng.choice(self._templates["proverbs"])

    def words(self) -> str:
        """Return one to four words of the dictionary."""
        return " ".join(self._rng.choice(self.dictionary) for _ in range(self._rng.randint(1, 4)))

    def fill(self, template: str) -> str:
        """Return a template with its slots filled; every slot is drawn anew."""
        return template.format_map(_Lazy(self._slots))

    def _makers(self) -> dict[str, Callable[[], object]]:
        rng, words = self._rng, self._words

        def one_of(name: str) -> Callable[[], object]:
            return lambda: rng.choice(words[name])

        lists = {
            "city": "cities", "company": "companies", "department": "departments",
            "department_of": "departments_of", "item": "items", "problem": "problems",
            "verb": "verbs", "detail": "details", "street": "streets", "organ": "organs",
            "weekday": "weekdays", "weekday_on": "weekdays_on", "opens": "opens",
            "closes": "closes",
        }  # fmt: skip
        return {
            **{slot: one_of(name) for slot, name in lists.items()},
            "name": lambda: rng.choice(words["names_male"] + words["names_female"]),
            "name_from": lambda: self._name(Case.GENITIVE),
            "name_to": lambda: self._name(Case.DATIVE),
            "name_with": lambda: self._name(Case.INSTRUMENTAL),
            "surname": lambda: self._full_name()[0],
            "person": self._person,
            "digit": lambda: _Count(rng.randrange(10)),
            "other_digit": lambda: _Count(rng.randrange(10)),
            "fever": lambda: _Count(rng.randint(6, 9)),
            "count": lambda: _Count(rng.randint(1, 60)),
            "house": lambda: _Count(rng.randint(1, 400)),
            "number": partial(spoken.number, rng),
            "other_number": partial(spoken.number, rng),
            "code": partial(spoken.code, rng),
            "phone": partial(spoken.phone, rng),
            "date": partial(spoken.date, rng, words["months_of"]),
            "time": partial(spoken.time_of_day, rng),
            "money": partial(spoken.money, rng),
            "spelling": self._spelling,
        }

    def _name(self, case: Case) -> str:
        return decline(
            self._rng.choice(self._words["names_male"] + self._words["names_female"]), case
        )

    def _full_name(self) -> tuple[str, str, str]:
        """Return surname, first name and patronymic of one person."""
        rng, words = self._rng, self._words
        father = rng.choice([name for name in words["names_male"] if name[-1] not in _SOFT])
        surname = rng.choice(words["surnames"])
        if rng.random() < 0.5:
            return surname, rng.choice(words["names_male"]), father + "ович"
        surname = surname[:-2] + "ая" if surname.endswith("ий") else surname + "а"
        return surname, rng.choice(words["names_female"]), father + "овна"

    def _person(self) -> str:
        surname, name, patronymic = self._full_name()
        return self._rng.choice(
            [
                f"{surname} {name} {patronymic}",
                f"{name} {surname}",
                f"{name} {patronymic}",
                f"{name} {patronymic} {surname}",
            ]
        )

    def _spelling(self) -> str:
        by_names = self._rng.random() < 0.6
        letters = self._words["spelling_names" if by_names else "letters"]
        return " ".join(self._rng.choice(letters) for _ in range(self._rng.randint(3, 6)))


class _Count(int):
    """A number whose format is its noun: `{count:час|часа|часов}`."""

    def __format__(self, nouns: str) -> str:
        return counted(self, *nouns.split("|")) if nouns else cardinal(self)


class _Lazy(Mapping[str, object]):
    """Makes a slot's value when the template asks for it."""

    def __init__(self, makers: Mapping[str, Callable[[], object]]) -> None:
        self._makers = makers

    def __getitem__(self, slot: str) -> object:
        return self._makers[slot]()

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


@cache
def _read(name: str) -> Any:
    return yaml.safe_load((GRAMMAR / f"{name}.yaml").read_text("utf-8"))


def _items(value: str | list[str]) -> list[str]:
    return value.split() if isinstance(value, str) else value


def read_dictionary(path: Path = DICTIONARY) -> list[str]:
    """Return the clean words of a hunspell dictionary.

    Raises:
        ConfigError: it cannot be read; names the package.
    """
    try:
        raw = path.read_bytes()
    except OSError as exc:
        raise ConfigError(f"no dictionary {path}: install Debian's hunspell-ru ({exc})") from exc
    return list(_words_of(_decode(raw).splitlines()))


def _decode(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("koi8-r")  # hunspell-ru before 20120501


def _words_of(lines: Iterable[str]) -> Iterator[str]:
    for line in lines:
        word = line.strip().split("/")[0]
        if _WORD.fullmatch(word):
            yield clean(word)
