from datetime import UTC, datetime

import pytest

from ruasr_tel.events import Final
from ruasr_tel.types import CallId, LegId
from ruasr_tel_adapters.rest.call_text import said

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def final(side: str, segment: int, start_s: float, text: str) -> Final:
    leg = LegId(f"a/b/{side}")
    return Final(CallId("a/b"), leg, NOW, segment, text, (), start_s, start_s + 1, "endpoint")


def test_one_party_is_one_line_by_start_without_what_is_empty() -> None:
    finals = [final("0", 1, 2.0, "да"), final("0", 0, 0.5, "алло"), final("0", 2, 4.0, "")]
    assert said(finals, []) == "алло да"


@pytest.mark.parametrize("silent", [[LegId("a/b/1")], []])
def test_a_final_that_comes_twice_counts_once(silent: list[LegId]) -> None:
    finals = [final("0", 0, 0.5, "алло")] * 2
    assert said(finals, silent) == ("0: алло" if silent else "алло")


def test_more_parties_are_lines_with_their_sides() -> None:
    finals = [
        final("1", 0, 1.0, "слушаю вас"),
        final("0", 0, 0.5, "алло"),
        final("0", 1, 2.0, "да"),
    ]
    assert said(finals, []) == "0: алло\n1: слушаю вас\n0: да"


def test_a_party_that_changed_its_rate_is_still_one() -> None:
    finals = [final("0", 0, 0.5, "алло"), final("0.2", 0, 3.0, "да")]
    assert said(finals, []) == "алло да"


def test_a_call_in_which_nothing_was_said_is_empty() -> None:
    assert said([], [LegId("c/0"), LegId("c/1")]) == ""
