"""Hypotheses become words in call time, in order, and doubled words are said once."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruasr_tel.assemble import (
    Agreement,
    Assembler,
    Line,
    merge,
    without_repeated,
    words_of,
)
from ruasr_tel.boundary import Reason, SegmentReady
from ruasr_tel.engines.base import Hypothesis
from ruasr_tel.events import Word

RATE_HZ = 8000


def segment(
    index: int, start_s: float, end_s: float, overlap_s: float = 0, repeated_s: float = 0
) -> SegmentReady:
    start, end = round(start_s * RATE_HZ), round(end_s * RATE_HZ)
    return SegmentReady(
        index,
        start,
        end,
        Reason.LENGTH if repeated_s else Reason.ENDPOINT,
        round(overlap_s * RATE_HZ),
        round(repeated_s * RATE_HZ),
        not repeated_s,
        np.zeros(end - start, np.int16),
    )


def spoken(*words: tuple[str, float]) -> Hypothesis:
    """A letter model's answer: each word at its time, a letter per 50 ms, spaces between."""
    tokens: list[str] = []
    starts: list[float] = []
    for text, at in words:
        if tokens:
            tokens.append(" ")
            starts.append(starts[-1] + 0.08)
        tokens += text
        starts += [at + 0.05 * i for i in range(len(text))]
    return Hypothesis(" ".join(w for w, _ in words), tuple(tokens), tuple(starts))


def texts(lines: list[Line]) -> list[str]:
    return [line.text for line in lines]


# Words


def test_letters_become_words_in_call_time() -> None:
    words = words_of(spoken(("да", 0.5), ("нет", 1.0)), 10.0, 12.0)
    assert [w.text for w in words] == ["да", "нет"]
    assert [w.start_s for w in words] == [10.5, 11.0]
    assert words[0].confidence is None


def test_a_word_ends_after_its_last_letter_has_sounded() -> None:
    first, last = words_of(spoken(("да", 0.5), ("нет", 1.0)), 0.0, 2.0)
    assert first.end_s == pytest.approx(0.55 + 0.11)
    assert last.end_s == pytest.approx(1.1 + 0.11)


def test_a_word_ends_at_the_latest_where_the_next_one_begins() -> None:
    hypothesis = Hypothesis("я не", ("я", " ", "н", "е"), (0.1, 0.14, 0.18, 0.26))
    assert words_of(hypothesis, 0.0, 3.0)[0].end_s == pytest.approx(0.18)


def test_a_last_token_of_several_letters_lasts_longer() -> None:
    (word,) = words_of(Hypothesis("алло", (" ал", "ло"), (0.1, 0.3)), 0.0, 3.0)
    assert word.end_s == pytest.approx(0.3 + 0.19)


def test_tokens_at_the_same_time_never_give_a_negative_word() -> None:
    hypothesis = Hypothesis("я не", ("я", " н", "е"), (0.5, 0.4, 0.4))
    assert words_of(hypothesis, 0.0, 3.0)[0] == Word("я", 0.5, 0.5, None)


def test_no_word_lasts_longer_than_its_segment() -> None:
    words = words_of(spoken(("да", 0.5), ("нет", 9.0)), 0.0, 0.6)
    assert [(w.start_s, w.end_s) for w in words] == [(0.5, 0.6), (0.6, 0.6)]


@pytest.mark.parametrize("mark", ["▁", " "])
def test_word_pieces_with_a_leading_mark_become_words(mark: str) -> None:
    hypothesis = Hypothesis("да нет", (mark + "да", mark + "не", "т"), (0.1, 0.5, 0.6))
    assert [(w.text, w.start_s) for w in words_of(hypothesis, 0.0, 1.0)] == [
        ("да", 0.1),
        ("нет", 0.5),
    ]


def test_confidence_is_the_geometric_mean_of_a_words_tokens() -> None:
    hypothesis = Hypothesis(
        "да я", ("д", "а", " ", "я"), (0.1, 0.2, 0.3, 0.4), (math.log(0.9), math.log(0.4), 0.0, 0.1)
    )
    words = words_of(hypothesis, 0.0, 1.0)
    assert [w.confidence for w in words] == [pytest.approx(0.6), 1.0]


def test_a_probability_that_is_not_a_number_is_no_confidence_at_all() -> None:
    hypothesis = Hypothesis("я", ("я",), (0.1,), (math.nan,))
    assert words_of(hypothesis, 0.0, 1.0)[0].confidence == 0.0


# Order


@given(st.permutations(range(6)))
def test_lines_come_in_order_each_once_whatever_the_order_of_answers(order: list[int]) -> None:
    assembler = Assembler(RATE_HZ)
    for i in range(6):
        assembler.expect(segment(i, i, i + 0.5))
    lines = [line for i in order for line in assembler.answer(i, spoken((f"слово{i}", 0.1)))]
    assert texts(lines) == [f"слово{i}" for i in range(6)]
    assert [line.segment for line in lines] == list(range(6))
    assert (assembler.pending, assembler.pending_samples) == (0, 0)


def test_a_line_knows_its_segment() -> None:
    assembler = Assembler(RATE_HZ)
    assembler.expect(segment(0, 1.0, 2.0), offset_s=100.0)
    assert (assembler.pending, assembler.pending_samples) == (1, 8000)
    (line,) = assembler.answer(0, Hypothesis("я", ("я",), (0.25,), (0.0,)))
    word = Word("я", 101.25, 101.25 + 0.11, 1.0)
    assert line == Line(0, "я", (word,), 101.0, 102.0, "endpoint", 1.0, None, 8000)


def test_a_segment_that_failed_is_an_empty_line_with_the_reason() -> None:
    assembler = Assembler(RATE_HZ)
    assembler.expect(segment(0, 0.0, 1.0))
    (line,) = assembler.answer(0, "the engine fell over")
    assert (line.text, line.words, line.error) == ("", (), "the engine fell over")


def test_an_answer_to_a_segment_that_is_done_changes_nothing() -> None:
    assembler = Assembler(RATE_HZ)
    assembler.expect(segment(0, 0.0, 1.0))
    assert len(assembler.answer(0, "late")) == 1
    assert assembler.answer(0, spoken(("да", 0.1))) == []


def test_an_engine_without_times_still_gives_its_text() -> None:
    assembler = Assembler(RATE_HZ)
    assembler.expect(segment(0, 0.0, 1.0))
    (line,) = assembler.answer(0, Hypothesis("добрый день"))
    assert (line.text, line.words, line.confidence) == ("добрый день", (), None)


# Doubled words at a hard cut: the first segment is [0, 10), the second [9.6, 15)


def hard_cut(first: Hypothesis | str, second: Hypothesis | str) -> list[str]:
    assembler = Assembler(RATE_HZ)
    assembler.expect(segment(0, 0.0, 10.0, repeated_s=0.4))
    assembler.expect(segment(1, 9.6, 15.0, overlap_s=0.4))
    return texts(assembler.answer(0, first) + assembler.answer(1, second))


def test_a_word_that_both_segments_heard_is_said_once() -> None:
    first = spoken(("один", 8.0), ("два", 9.7))
    second = spoken(("два", 0.12), ("три", 0.6))
    assert hard_cut(first, second) == ["один", "два три"]


def test_a_word_repeated_by_the_speaker_is_said_twice() -> None:
    first = spoken(("да", 9.2), ("да", 9.65))
    second = spoken(("да", 0.05), ("да", 0.5))
    assert hard_cut(first, second) == ["да", "да да"]


def test_the_rest_of_a_word_that_ended_in_the_first_segment_is_not_said_again() -> None:
    first = spoken(("здравствуйте", 9.3))  # to about 10.05
    second = spoken(("уйте", 0.0), ("алло", 1.0))
    assert hard_cut(first, second) == ["здравствуйте", "алло"]


def test_a_word_cut_at_the_limit_is_taken_whole_from_the_second_segment() -> None:
    first = spoken(("один", 8.0), ("завтр", 9.7))
    second = spoken(("завтра", 0.1), ("утром", 0.7))
    assert hard_cut(first, second) == ["один", "завтра утром"]


def test_a_word_cut_at_the_beginning_is_taken_whole_from_the_first_segment() -> None:
    first = spoken(("приехали", 9.61))
    second = spoken(("ехали", 0.1), ("вчера", 0.8))
    assert hard_cut(first, second) == ["", "приехали вчера"]


def test_without_a_common_word_each_side_is_believed_up_to_the_middle() -> None:
    first = spoken(("на", 9.62), ("о", 9.9))
    second = spoken(("по", 0.26), ("том", 0.6))
    assert hard_cut(first, second) == ["", "на по том"]


def test_words_held_back_are_not_lost_when_the_second_segment_fails() -> None:
    assert hard_cut(spoken(("один", 8.0), ("два", 9.9)), "no engine") == ["один", "два"]


def test_a_first_segment_without_words_holds_nothing_back() -> None:
    assert hard_cut("no engine", spoken(("два", 0.1))) == ["", "два"]


def test_an_engine_without_times_is_merged_by_its_words() -> None:
    assert hard_cut(Hypothesis("один два"), Hypothesis("два три")) == ["один два", "три"]


def test_the_doubled_samples_are_counted_once() -> None:
    assembler = Assembler(RATE_HZ)
    assembler.expect(segment(0, 0.0, 10.0, repeated_s=0.4))
    assembler.expect(segment(1, 9.6, 15.0, overlap_s=0.4))
    lines = assembler.answer(0, "x") + assembler.answer(1, "x")
    assert sum(line.fresh_samples for line in lines) == 15 * RATE_HZ


WORDS = st.lists(
    st.tuples(st.sampled_from(["да", "нет", "на", "завтра"]), st.floats(0, 0.9)), max_size=5
).map(lambda pairs: [Word(t, s, s + 0.2, None) for t, s in sorted(pairs, key=lambda p: p[1])])


def cut_lines(first: Hypothesis, second: Hypothesis) -> list[Line]:
    assembler = Assembler(RATE_HZ)
    assembler.expect(segment(0, 0.0, 3.2, repeated_s=0.4))
    assembler.expect(segment(1, 2.8, 5.0, overlap_s=0.4, repeated_s=0.4))
    return assembler.answer(0, first) + assembler.answer(1, second)


SAID = st.lists(
    st.tuples(st.sampled_from(("да", "нет", "алло")), st.integers(0, 12)), max_size=4
).map(lambda words: spoken(*((text, at / 5) for text, at in sorted(words, key=lambda w: w[1]))))


@given(first=SAID, second=SAID, others=st.lists(SAID, max_size=3))
def test_other_readings_are_cut_and_joined_as_if_they_were_the_best(
    first: Hypothesis, second: Hypothesis, others: list[Hypothesis]
) -> None:
    best = cut_lines(first, replace(second, alternatives=tuple(others)))[1]
    alone = [cut_lines(first, other)[1].text for other in others]
    expected = [text for text in dict.fromkeys(alone) if text != best.text]
    assert [other.text for other in best.alternatives] == expected
    assert replace(best, alternatives=()) == cut_lines(first, second)[1]


def test_other_readings_keep_their_confidence_and_score() -> None:
    other = Hypothesis("до", ("д", "о"), (0.1, 0.2), (math.log(0.5),) * 2, -3.0)
    best = Hypothesis("да", ("д", "а"), (0.1, 0.2), None, -1.0, (other, replace(other, score=-4)))
    (line,) = lines_of(replace(best, match=0.75))
    assert (line.text, line.score, line.match) == ("да", -1.0, 0.75)
    (alternative,) = line.alternatives
    assert (alternative.text, alternative.score) == ("до", -3.0)
    assert alternative.confidence == pytest.approx(0.5)
    assert [word.text for word in alternative.words] == ["до"]


def test_other_readings_without_times_lose_the_repeated_words_too() -> None:
    second = Hypothesis("два три", alternatives=(Hypothesis("два четыре"), Hypothesis("два три")))
    line = cut_lines(Hypothesis("раз два"), second)[1]
    assert (line.text, [other.text for other in line.alternatives]) == ("три", ["четыре"])


def lines_of(hypothesis: Hypothesis) -> list[Line]:
    assembler = Assembler(RATE_HZ)
    assembler.expect(segment(0, 0.0, 1.0))
    return assembler.answer(0, hypothesis)


@given(WORDS, WORDS)
def test_a_merge_invents_no_word_and_keeps_each_sides_order(
    before: list[Word], after: list[Word]
) -> None:
    merged = merge(before, after, 0.2)
    from_before = [w for w in merged if any(w is b for b in before)]
    assert merged[: len(from_before)] == from_before == before[: len(from_before)]
    rest = merged[len(from_before) :]
    assert rest == after[len(after) - len(rest) :]


def test_two_words_that_lie_on_each_other_at_the_middle_are_one() -> None:
    before, after = Word("дом", 9.70, 9.86, None), Word("том", 9.75, 9.93, None)
    assert merge([before], [after], 9.8) == [before]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ("", "да", "да"),
        ("да", "", ""),
        ("один два", "два три", "три"),
        ("один два", "один два", ""),
        ("да да", "да да нет", "нет"),
        ("один", "два", "два"),
    ],
)
def test_repeated_words_are_taken_off(before: str, after: str, expected: str) -> None:
    assert without_repeated(before, after) == expected


# Partials


def shown(*decodes: str) -> list[str | None]:
    agreement = Agreement()
    return [agreement.push(text) for text in decodes]


def test_a_partial_is_what_two_decodes_agree_on() -> None:
    assert shown("добрый день как", "добрый день кажется", "добрый день кажется да") == [
        None,
        "добрый день",
        "добрый день кажется",
    ]


def test_the_first_word_may_show_before_it_is_complete() -> None:
    assert shown("здрав", "здравствуй", "здравствуйте") == [None, "здрав", "здравствуй"]


def test_a_partial_that_did_not_change_is_not_shown_again() -> None:
    assert shown("да", "да", "да") == [None, "да", None]


def test_words_that_were_shown_are_not_taken_back_one_by_one() -> None:
    assert shown("да нет", "да нет", "да", "да нет", "да нет или", "да нет или") == [
        None,
        "да нет",
        None,
        None,
        None,
        "да нет или",
    ]


def test_decodes_that_disagree_show_nothing() -> None:
    assert shown("", "да", "нет", "") == [None, None, None, None]


def test_a_word_that_is_still_growing_waits() -> None:
    assert shown("номер пят", "номер пять", "номер пятьдесят") == [None, "номер", None]
