from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ruasr_tel.events import Dtmf, Final, Word
from ruasr_tel.transcript import KEY_PAUSE_S, transcript
from ruasr_tel.types import CallId, LegId

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def final(side: str, segment: int, start_s: float, text: str) -> Final:
    leg = LegId(f"a/b/{side}")
    return Final(CallId("a/b"), leg, NOW, segment, text, (), start_s, start_s + 1, "endpoint")


def test_one_party_is_one_line_by_start_without_what_is_empty() -> None:
    finals = [final("0", 1, 2.0, "да"), final("0", 0, 0.5, "алло"), final("0", 2, 4.0, "")]
    assert transcript(finals) == "алло да"


@pytest.mark.parametrize("silent", [[LegId("a/b/1")], []])
def test_a_final_that_comes_twice_counts_once(silent: list[LegId]) -> None:
    finals = [final("0", 0, 0.5, "алло")] * 2
    assert transcript(finals, legs=silent) == ("0: алло" if silent else "алло")


def test_more_parties_are_lines_with_their_sides() -> None:
    finals = [
        final("1", 0, 1.0, "слушаю вас"),
        final("0", 0, 0.5, "алло"),
        final("0", 1, 2.0, "да"),
    ]
    assert transcript(finals) == "0: алло\n1: слушаю вас\n0: да"


def test_a_party_that_changed_its_rate_is_still_one() -> None:
    finals = [final("0", 0, 0.5, "алло"), final("0.2", 0, 3.0, "да")]
    assert transcript(finals) == "алло да"


def test_a_call_in_which_nothing_was_said_is_empty() -> None:
    assert transcript([], legs=[LegId("c/0"), LegId("c/1")]) == ""


def keys(side: str, digits: str, at_s: float, apart_s: float = 0.2) -> list[Dtmf]:
    leg = LegId(f"a/b/{side}")
    return [
        Dtmf(CallId("a/b"), leg, NOW, digit, at_s + count * apart_s)
        for count, digit in enumerate(digits)
    ]


def test_keys_of_one_input_stand_together_in_brackets_at_their_time() -> None:
    finals = [final("0", 0, 0.5, "номер"), final("0", 1, 4.0, "спасибо")]
    pressed = keys("0", "12#", 2.0)
    assert transcript(finals, pressed) == "номер [12#] спасибо"
    assert transcript(finals, pressed * 2) == "номер [12#] спасибо"
    assert transcript([], pressed) == "[12#]"


def test_keys_part_the_words_of_their_own_side() -> None:
    words = tuple(
        Word(text, at, at + 0.4, None) for at, text in enumerate(["номер", "договора", "да"])
    )
    whole = replace(final("0", 0, 0.0, "номер договора да"), words=words)
    pressed = keys("0", "12", 1.5)
    assert transcript([whole], pressed) == "номер договора [12] да"
    other = replace(whole, leg_id=LegId("a/b/1"))
    assert transcript([other], pressed) == "1: номер договора да\n0: [12]"
    late = replace(final("0", 1, 1.2, "да"), words=words[2:])  # its pre-roll is before the keys
    assert transcript([late], pressed) == "[12] да"
    assert transcript([replace(whole, text="№ 5")], pressed) == "№ 5 [12]"


def test_keys_pressed_while_somebody_speaks_follow_those_words() -> None:
    assert transcript([final("0", 0, 0.5, "номер")], keys("0", "1", 0.7)) == "номер [1]"


@pytest.mark.parametrize(
    ("apart_s", "text"), [(KEY_PAUSE_S, "[12]"), (KEY_PAUSE_S + 0.1, "[1] [2]")]
)
def test_keys_far_apart_are_two_inputs(apart_s: float, text: str) -> None:
    assert transcript([], keys("0", "12", 1.0, apart_s)) == text


def test_words_between_keys_part_them_an_empty_final_does_not() -> None:
    pressed = [*keys("0", "1", 1.0), *keys("0", "2", 3.0)]
    assert transcript([final("0", 0, 2.0, "да")], pressed) == "[1] да [2]"
    assert transcript([final("0", 0, 2.0, "")], pressed) == "[12]"


def test_keys_of_two_parties_are_lines_with_their_sides() -> None:
    pressed = [*keys("0", "1", 1.0), *keys("1", "2", 1.1), *keys("0", "3", 1.2)]
    finals = [final("1", 0, 0.5, "слушаю")]
    assert transcript(finals, pressed) == "1: слушаю\n0: [1]\n1: [2]\n0: [3]"
