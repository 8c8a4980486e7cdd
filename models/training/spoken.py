"""Numbers as callers say them: telephone numbers, codes, dates, times, sums. Pure; seeded."""

from collections.abc import Sequence
from random import Random

from models.training.russian import cardinal, counted, ordinal, plural

_CITY_CODES = (495, 499, 812, 843, 383, 343, 846)
"""Moscow twice, Saint Petersburg, Kazan, Novosibirsk, Yekaterinburg, Samara (numbering plan)."""
_PREFIXES = ("восемь", "восемь", "восемь", "плюс семь", "семь", "")
_MINUTES = (0, 0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55)


def digits(rng: Random, count: int) -> str:
    """Return random digits, one by one."""
    return " ".join(cardinal(rng.randrange(10)) for _ in range(count))


def groups(rng: Random, sizes: Sequence[int]) -> str:
    """Return groups of digits, most of them read as numbers with their leading zeros."""
    return " ".join(_group(rng, size) for size in sizes)


def _group(rng: Random, size: int) -> str:
    number = rng.randrange(10**size)
    written = str(number).zfill(size)
    if rng.random() < 0.25:
        return " ".join(cardinal(int(digit)) for digit in written)
    zeros = size - len(str(number))
    return " ".join(["ноль"] * zeros + [cardinal(number)])


def number(rng: Random) -> str:
    """Return a number of a contract, an order, a meter."""
    return rng.choice(
        [
            digits(rng, rng.randint(3, 8)),
            groups(rng, [2] * rng.randint(2, 3)),
            groups(rng, [3] * rng.randint(1, 3)),
            cardinal(rng.randrange(10 ** rng.randint(2, 6))),
        ]
    )


def code(rng: Random) -> str:
    """Return a code of four digits."""
    whole = cardinal(rng.randrange(1000, 10000))
    return rng.choice([digits(rng, 4), groups(rng, [2, 2]), whole])


def phone(rng: Random) -> str:
    """Return a telephone number in one of the ways in which Russians group it."""
    area = rng.choice(
        [cardinal(rng.choice(_CITY_CODES)), cardinal(900 + rng.randrange(100)), digits(rng, 3)]
    )
    line = rng.choice(
        [groups(rng, [3, 2, 2]), groups(rng, [3, 4]), groups(rng, [2, 2, 3]), digits(rng, 7)]
    )
    return f"{rng.choice(_PREFIXES)} {area} {line}".strip()


def day(rng: Random) -> str:
    """Return a day of a month: neuter or genitive."""
    return ordinal(rng.randint(1, 31), rng.choice(["ое", "ого"]))


def date(rng: Random, months: Sequence[str]) -> str:
    """Return a date, some with the year.

    Args:
        rng: of the choice.
        months: in the genitive.
    """
    said = f"{day(rng)} {rng.choice(months)}"
    if rng.random() < 0.6:
        return said
    year = rng.choice([rng.randint(1950, 1999), rng.randint(2000, 2030)])
    return f"{said} {ordinal(year, 'ого')} года"


def time_of_day(rng: Random) -> str:
    """Return a time, with or without its nouns."""
    hour, minute = rng.randrange(24), rng.choice([*_MINUTES, rng.randrange(60)])
    bare = rng.random() < 0.5
    hours = cardinal(hour) if bare else counted(hour, "час", "часа", "часов")
    if minute == 0:
        return f"{cardinal(hour)} {plural(hour, 'час', 'часа', 'часов')} ровно" if bare else hours
    if bare:
        return f"{hours} {'ноль ' if minute < 10 else ''}{cardinal(minute)}"
    return f"{hours} {counted(minute, 'минута', 'минуты', 'минут')}"


def money(rng: Random) -> str:
    """Return a sum in roubles, a quarter with kopecks."""
    sums = (
        rng.randint(1, 99),
        rng.randint(100, 999),
        rng.randint(1, 99) * 100,
        rng.randint(1000, 99999),
        rng.randint(1, 900) * 1000,
        rng.randint(1, 9) * 1000000,
    )
    said = counted(rng.choice(sums), "рубль", "рубля", "рублей")
    if rng.random() < 0.75:
        return said
    return f"{said} {counted(rng.randint(1, 99), 'копейка', 'копейки', 'копеек')}"
