"""Which language models a decode uses, as people write it. Pure.

`calls.arpa.gz`, or with a weight and a bonus `calls.arpa.gz:0.4:1.0`, or several with ` + ` between
them, or `none`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Final

from ruasr_tel.errors import ConfigError

NONE: Final = "none"
"""Says that no language model is wanted."""
MOST: Final = 10.0
"""Largest weight and bonus; 0.2 to 2 are usual (pyctcdecode's defaults are 0.5 and 1.5)."""
_AND = " + "


@dataclass(frozen=True, slots=True)
class Choice:
    """One language model of a decode.

    Attributes:
        path: its file.
        weight: what its logarithms are multiplied with; None: usual for its kind.
        bonus: natural log added per word, or per letter in a model of letters: what makes up for
            the model's preference of short texts; None: usual for its kind.
    """

    path: str
    weight: float | None = None
    bonus: float | None = None


def parse(written: str) -> tuple[Choice, ...]:
    """Return the language models that somebody wrote; none for `none` and for nothing.

    Raises:
        ConfigError: a number is none, or there are too many.
    """
    if written.strip().lower() in ("", NONE):
        return ()
    return tuple(_one(part) for part in written.split(_AND))


def write(choices: Iterable[Choice]) -> str:
    """Return what `parse` makes these of."""
    return _AND.join(_written(each) for each in choices) or NONE


def by_name(written: Iterable[str]) -> dict[str, str]:
    """Return name -> language models as `write` has them, in order; what comes twice is there once.

    A name tells them apart in a table: files without their folders, weights and bonuses; with the
    folders where the same would name others, too.

    Raises:
        ConfigError: see `parse`.
    """
    distinct = list(dict.fromkeys(map(parse, written)))
    short = [
        write(replace(each, path=PurePath(each.path).name) for each in one) for one in distinct
    ]
    whole = list(map(write, distinct))
    named = [
        name if short.count(name) == 1 else full for name, full in zip(short, whole, strict=True)
    ]
    return dict(zip(named, whole, strict=True))


def _one(part: str) -> Choice:
    path, *numbers = part.strip().split(":")
    try:
        weight, bonus = [float(number) for number in numbers] + [None] * (2 - len(numbers))
    except ValueError as exc:
        raise ConfigError(
            f"language model {part.strip()!r} is not FILE, FILE:WEIGHT or FILE:WEIGHT:BONUS "
            "(several: with ' + ' between them)"
        ) from exc
    if not (path and 0 <= (weight or 0.0) <= MOST and abs(bonus or 0.0) <= MOST):
        raise ConfigError(
            f"language model {part.strip()!r} needs a file, a weight from 0 to {MOST:g} and a "
            f"bonus of at most {MOST:g}"
        )
    return Choice(path, weight, bonus)


def _written(choice: Choice) -> str:
    if choice.weight is None:
        return choice.path
    bonus = "" if choice.bonus is None else f":{choice.bonus:g}"
    return f"{choice.path}:{choice.weight:g}{bonus}"
