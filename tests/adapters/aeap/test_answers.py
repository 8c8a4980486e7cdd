from datetime import UTC, datetime

import pytest

from ruasr_tel.events import Alternative, Final, Partial
from ruasr_tel.types import CallId, LegId
from ruasr_tel_adapters.aeap.answers import Answers, readings, score
from ruasr_tel_adapters.aeap.wire import Result

OF = (CallId("a"), LegId("a/0"), datetime(2026, 1, 1, tzinfo=UTC))


def partial(text: str, start_s: float, end_s: float) -> Partial:
    return Partial(*OF, text, start_s, end_s)


def final(text: str, start_s: float, end_s: float) -> Final:
    return Final(*OF, 0, text, (), start_s, end_s, "endpoint")


def test_an_utterance_whose_partial_was_asked_for_gives_nothing_more() -> None:
    answers = Answers()
    assert answers.ask() == ()
    answers.begin(1.0)
    answers.hear(partial("да", 0.7, 1.5))
    assert answers.ask() == (Result("да", 100),)
    assert answers.ask() == ()
    assert answers.hear(partial("да да", 0.7, 2.0)) == ()
    assert answers.hear(final("да да", 0.7, 2.5)) == ()
    assert answers.ask() == ()
    answers.begin(3.0)
    assert answers.hear(final("нет", 2.7, 4.0)) == (Result("нет", 100),)


def test_a_late_final_of_what_was_answered_is_no_answer_to_what_is_being_said() -> None:
    answers = Answers()
    answers.begin(1.0)
    answers.hear(partial("да", 0.7, 1.5))
    answers.ask()
    answers.begin(3.0)
    answers.hear(partial("не", 2.7, 3.4))
    assert answers.hear(final("да", 0.7, 2.5)) == ()
    assert answers.ask() == (Result("не", 100),)


def test_a_partial_that_nobody_asked_for_leaves_its_final() -> None:
    answers = Answers()
    answers.begin(1.0)
    assert answers.hear(partial("д", 0.7, 1.5)) == (Result("д", 100),)
    pushed = answers.hear(final("да", 0.7, 2.5))
    assert pushed == answers.ask() == answers.ask() == (Result("да", 100),)
    answers.taken()
    assert answers.ask() == ()
    assert answers.hear(final("и ещё", 2.5, 4.0)) == (Result("и ещё", 100),)  # it was cut


@pytest.mark.parametrize(("confidence", "expected"), [(None, 100), (0.256, 26), (1.2, 100)])
def test_scores(confidence: float | None, expected: int) -> None:
    assert score(confidence) == expected


def test_readings_are_the_text_and_its_alternatives() -> None:
    assert readings(final("", 0.0, 1.0)) == readings(partial("", 0.0, 1.0)) == ()
    others = (Alternative("дай", (), 0.25, -2.0), Alternative("дар", (), None, -3.0))
    said = Final(*OF, 0, "да", (), 0.0, 1.0, "endpoint", 0.9, alternatives=others)
    assert readings(said) == (Result("да", 90), Result("дай", 25, 1), Result("дар", 100, 2))
