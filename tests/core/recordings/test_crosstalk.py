import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruasr_tel.events import Word
from ruasr_tel.recordings.crosstalk import CrosstalkConfig, find_crosstalk
from ruasr_tel.recordings.model import Segment, Transcript
from ruasr_tel.recordings.words import timed_words
from tests.core.recordings.talk import (
    FAINT_DB,
    PATIENT,
    VOICE_DB,
    leaked,
    said,
    transcripts,
    untimed,
)

QUESTION = "назовите пожалуйста номер вашего заказа"


def marked(*segments: Segment) -> list[str]:
    """The words found to be copies, with their channel."""
    ordered = sorted(segments, key=lambda each: (each.start_s, each.channel))
    return [
        f"{segment.channel}: {word.text}"
        for segment, flags in zip(ordered, find_crosstalk(ordered), strict=True)
        for word, flag in zip(timed_words(segment), flags, strict=True)
        if flag
    ]


def on(channel: int, text: str) -> list[str]:
    return [f"{channel}: {word}" for word in text.split()]


@pytest.mark.parametrize("lag_s", [-0.1, 0.0, 0.1, 0.2, 0.4])
def test_the_other_side_heard_faintly_is_found(lag_s: float) -> None:
    copy = leaked(1, 1.0 + lag_s, QUESTION)
    assert marked(said(0, 1.0, QUESTION), copy) == on(1, QUESTION)


def test_what_comes_later_than_an_echo_is_repeated_by_the_other_party() -> None:
    assert marked(said(0, 1.0, QUESTION, word_s=0.6), leaked(1, 1.5, QUESTION, word_s=0.6)) == []


def test_it_is_recognised_with_errors() -> None:
    heard = "назвите пожалуста намер вашево заказа"
    assert marked(said(0, 1.0, QUESTION), leaked(1, 1.1, heard)) == on(1, heard)


def test_one_misheard_word_between_others_goes_with_them() -> None:
    heard = "назовите пожалуйста мир вашего заказа"
    assert marked(said(0, 1.0, QUESTION), leaked(1, 1.1, heard)) == on(1, heard)


def test_misheard_words_at_its_ends_go_with_them() -> None:
    heard = "мыс " + QUESTION.partition(" ")[2] + " три дня заск"
    original = said(0, 1.0, QUESTION + " три дня назад")
    assert marked(original, leaked(1, 1.1, heard)) == on(1, heard)


def test_misheard_words_may_be_true_where_the_sides_are_not_far_apart() -> None:
    """A single true word among five at -37 dB would lift their mean to -44 dB."""
    heard = "мыс " + QUESTION.partition(" ")[2]
    copy = said(1, 1.1, heard, level_db=-43.0, other_db=VOICE_DB)
    original = said(0, 1.0, QUESTION, other_db=-43.0)
    assert marked(original, copy) == on(1, QUESTION.partition(" ")[2])


def test_one_word_that_became_two_or_two_that_became_one() -> None:
    original = Segment(
        0,
        1.0,
        2.5,
        "все линии сейчас заняты",
        (
            Word("все", 1.0, 1.2, None),
            Word("линии", 1.2, 1.7, None),
            Word("сейчас", 1.7, 2.1, None),
            Word("заняты", 2.1, 2.5, None),
        ),
        None,
        VOICE_DB,
        FAINT_DB,
    )
    heard = (
        Word("вселинии", 1.05, 1.75, None),
        Word("сейчас", 1.75, 2.15, None),
        Word("заняты", 2.15, 2.55, None),
    )
    copy = Segment(1, 1.05, 2.55, "вселинии сейчас заняты", heard, None, FAINT_DB, VOICE_DB)
    assert marked(original, copy) == on(1, "вселинии сейчас заняты")


def test_a_reply_in_the_same_segment_stays() -> None:
    """The mean over copy and reply is loud, the original's own segment tells."""
    both = said(1, 1.1, QUESTION + " сорок два", level_db=-30.0, other_db=-26.0)
    question = said(0, 1.0, QUESTION, other_db=FAINT_DB)
    assert marked(question, both) == on(1, QUESTION)


def test_a_faint_reply_in_the_same_segment_stays() -> None:
    both = leaked(1, 1.1, QUESTION + " да")
    assert marked(said(0, 1.0, QUESTION), both) == on(1, QUESTION)


def test_loud_words_at_the_same_time_are_two_people_in_unison() -> None:
    together = [said(c, 1.0, "всего доброго до свидания", other_db=VOICE_DB) for c in (0, 1)]
    assert marked(*together) == []


def test_faint_words_that_nobody_said_louder_stay() -> None:
    assert marked(said(0, 1.0, QUESTION), leaked(1, 1.1, "я перезвоню вам завтра утром")) == []


def test_a_lag_that_jumps_is_no_echo() -> None:
    words = tuple(
        Word(text, 1.0 + i * 0.3 + lag, 1.2 + i * 0.3 + lag, None)
        for i, (text, lag) in enumerate(
            zip(QUESTION.split(), (0.35, -0.35, 0.35, -0.35, 0.35), strict=True)
        )
    )
    spoken = Segment(1, 1.0, 2.6, QUESTION, words, None, -40.0, VOICE_DB)
    assert marked(said(0, 1.0, QUESTION), said(1, 9.0, "да", level_db=-40.0), spoken) == []


def test_without_levels_nothing_is_proved() -> None:
    one = said(0, 1.0, QUESTION, level_db=None, other_db=None)
    assert marked(one, leaked(1, 1.1, QUESTION)) == []
    assert marked(said(0, 1.0, QUESTION), said(1, 1.1, QUESTION, level_db=None)) == []


def test_a_single_word_leaks_as_well() -> None:
    assert marked(said(0, 1.0, "алло"), leaked(1, 1.1, "алло")) == ["1: алло"]


# The seed deleted a true «да» or «алло» of the other side said within 0.9 s (seed 3.4).


@pytest.mark.parametrize("word", ["да", "алло", "угу"])
@pytest.mark.parametrize("after_s", [0.15, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("level_db", [VOICE_DB, -40.0, FAINT_DB])
def test_a_true_da_or_allo_said_shortly_after_is_never_marked(
    word: str, after_s: float, level_db: float
) -> None:
    """However quiet the other party is: its own levels are all that is known of it."""
    end_s = 1.0 + 0.27
    answer = said(1, round(end_s - 0.1 + after_s, 3), word, level_db=level_db)
    assert marked(said(0, 1.0, word), answer) == []
    # Even where the level is measured over a stretch in which the first one still sounds:
    late = said(1, answer.start_s, word, level_db=level_db, other_db=VOICE_DB)
    assert marked(said(0, 1.0, word), late) == []


def test_a_true_da_over_the_other_s_da_is_as_loud_as_its_party_speaks() -> None:
    quiet_party = said(1, 5.0, "хочу узнать про мой заказ", level_db=-38.0)
    at_once = said(1, 1.05, "да", level_db=-38.0, other_db=VOICE_DB)
    assert marked(said(0, 1.0, "да"), at_once, quiet_party) == []


def test_a_number_repeated_word_by_word_is_never_marked() -> None:
    digits = "пять восемь один три"
    dictated = said(0, 1.0, digits, word_s=1.2)
    repeated = said(1, 1.6, digits, word_s=1.2)
    assert marked(dictated, repeated) == []


def test_many_da_in_a_row_from_both_sides_are_no_copies() -> None:
    assert marked(said(0, 1.0, "да да да да"), said(1, 1.15, "да да да", other_db=-30.0)) == []


def test_without_word_times_a_segment_is_marked_as_a_whole_or_not_at_all() -> None:
    original = untimed(0, 1.0, 3.0, QUESTION)
    copy = Segment(1, 1.1, 3.1, QUESTION, (), None, FAINT_DB, VOICE_DB)
    assert marked(original, copy) == on(1, QUESTION)
    more = Segment(1, 1.1, 4.7, QUESTION + " я не знаю где его", (), None, FAINT_DB, VOICE_DB)
    assert marked(original, more) == []


def test_three_channels_find_the_original() -> None:
    parts = [said(0, 1.0, QUESTION), leaked(1, 1.1, QUESTION), leaked(2, 1.2, QUESTION)]
    assert marked(*parts) == on(1, QUESTION) + on(2, QUESTION)


def test_a_copy_of_a_copy_has_the_louder_one_for_its_original() -> None:
    """The faintest one is judged first, by the middle one; so the middle one stays."""
    loud = said(0, 1.0, QUESTION)
    middle = said(1, 1.3, QUESTION, level_db=-40.0, other_db=VOICE_DB)
    faint = said(2, 1.6, QUESTION, level_db=-60.0, other_db=-40.0)
    assert marked(loud, middle, faint) == on(2, QUESTION)


def test_it_can_be_switched_off() -> None:
    parts = [said(0, 1.0, QUESTION), leaked(1, 1.1, QUESTION)]
    assert find_crosstalk(parts, CrosstalkConfig(enabled=False)) == [(False,) * 5] * 2


@PATIENT
@given(transcripts(channels=3))
def test_every_copy_has_an_original_that_is_not_marked(transcript: Transcript) -> None:
    segments = sorted(transcript.segments, key=lambda each: each.start_s)
    flags = find_crosstalk(segments)
    kept = [
        (segment, word)
        for segment, copied in zip(segments, flags, strict=True)
        for word, flag in zip(timed_words(segment), copied, strict=True)
        if not flag
    ]
    for segment, copied in zip(segments, flags, strict=True):
        if any(copied):
            assert segment.level_db is not None
            assert any(
                other.channel != segment.channel
                and word.start_s <= segment.end_s + 0.4
                and word.end_s >= segment.start_s - 0.4
                for other, word in kept
            )


@PATIENT
@given(
    lag=st.sampled_from([-0.3, -0.1, 0.0, 0.1, 0.3]),
    levels=st.lists(st.sampled_from([-60.0, -40.0, -25.0, -20.0]), min_size=4, max_size=4),
    text=st.sampled_from(["да", "алло добрый день", QUESTION]),
)
def test_of_two_copies_never_both_are_marked(lag: float, levels: list[float], text: str) -> None:
    one = said(0, 1.0, text, level_db=levels[0], other_db=levels[1])
    other = said(1, 1.0 + lag, text, level_db=levels[2], other_db=levels[3])
    found = {each.split(": ")[0] for each in marked(one, other)}
    assert len(found) <= 1


def test_the_order_of_equals_does_not_matter() -> None:
    parts = [
        said(0, 1.0, QUESTION),
        leaked(1, 1.0, QUESTION),
        said(1, 5.0, "сорок два"),
        leaked(0, 5.1, "сорок два"),
    ]
    assert {tuple(marked(*order)) for order in itertools.permutations(parts)} == {
        tuple(on(1, QUESTION) + on(0, "сорок два"))
    }
