"""Russian numbers, nouns beside them, and first names in their cases, as spoken. Pure.

Numbers come from num2words; what it lacks (neuter and genitive ordinals, the noun's form) is here.
"""

import re
from enum import StrEnum

from num2words import num2words

LETTERS = "абвгдежзийклмнопрстуфхцчшщъыьэюя"
"""What the models write: no `ё`, which callers and transcripts rarely keep apart from `е`."""

_DIGITS = re.compile(r"\d+")
_OTHER = re.compile(f"[^{LETTERS}]+")
_LONGEST_NUMBER = 6  # digits read as one number; longer ones are codes, which nobody reads so


class Case(StrEnum):
    """Cases of a name that the templates need."""

    GENITIVE = "genitive"
    DATIVE = "dative"
    INSTRUMENTAL = "instrumental"


def clean(text: str) -> str:
    """Return a text as the models write it: lower case, letters and single spaces, `е` for `ё`.

    Numbers of up to six digits become words, longer ones a space.
    """
    folded = text.lower().replace("ё", "е")
    spoken = _DIGITS.sub(lambda found: f" {_read(found.group())} ", folded)
    return _OTHER.sub(" ", spoken).strip()


def _read(digits: str) -> str:
    return cardinal(int(digits)) if len(digits) <= _LONGEST_NUMBER else ""


def cardinal(number: int) -> str:
    """Return a number in the nominative: `21` is `двадцать один`."""
    return str(num2words(number, lang="ru")).replace("-", " ").replace("ё", "е")


def ordinal(number: int, ending: str = "ый") -> str:
    """Return an ordinal in the masculine, or with another adjective ending.

    Args:
        number: not negative.
        ending: `ый`, `ое` (a day) or `ого` (the genitive of a day or a year).
    """
    spoken = str(num2words(number, lang="ru", to="ordinal"))
    *before, last = spoken.replace("ё", "е").split()
    if ending != "ый":
        soft = {"ое": "третье", "ого": "третьего"}
        last = soft[ending] if last == "третий" else last[:-2] + ending
    return " ".join([*before, last])


def plural(number: int, one: str, few: str, many: str) -> str:
    """Return the noun's form beside a number (CLDR plural rules of Russian)."""
    tens, units = number % 100, number % 10
    if 11 <= tens <= 14 or units == 0 or units >= 5:
        return many
    return one if units == 1 else few


def counted(number: int, one: str, few: str, many: str) -> str:
    """Return a number with its noun; the numeral agrees with the gender that `one` ends in."""
    *before, last = cardinal(number).split()
    feminine, accusative = one.split()[-1][-1] in "ая", one.split()[-1][-1] in "ую"
    neuter = one.split()[-1][-1] in "ое"
    if last == "один" and (feminine or accusative or neuter):
        last = "одна" if feminine else "одну" if accusative else "одно"
    elif last == "два" and (feminine or accusative):
        last = "две"
    return " ".join([*before, last, plural(number, one, few, many)])


_ENDINGS = {
    Case.GENITIVE: {"а": "ы", "я": "и", "й": "я", "ь": "я", "": "а"},
    Case.DATIVE: {"а": "е", "я": "е", "й": "ю", "ь": "ю", "": "у"},
    Case.INSTRUMENTAL: {"а": "ой", "я": "ей", "й": "ем", "ь": "ем", "": "ом"},
}
_FEMININE_SOFT = {Case.GENITIVE: "и", Case.DATIVE: "и", Case.INSTRUMENTAL: "ью"}
_FLEETING = {"павел": "павл", "лев": "льв"}
_HUSHING = "жчшщц"


def decline(name: str, case: Case) -> str:
    """Return a first name in a case: `анна` is `анне`, `павел` is `павлом`."""
    if name == "любовь":
        return name[:-1] + _FEMININE_SOFT[case]
    stem = _FLEETING.get(name, name)
    last = stem[-1] if stem[-1] in "аяйь" else ""
    stem = stem[: len(stem) - len(last)]
    ending = _ENDINGS[case][last]
    if last == "я" and stem.endswith("и") and case is Case.DATIVE:
        ending = "и"
    if last == "а" and case is Case.GENITIVE and stem[-1] in "гкх" + _HUSHING:
        ending = "и"
    if last == "а" and case is Case.INSTRUMENTAL and stem[-1] in _HUSHING:
        ending = "ей"
    return stem + ending
