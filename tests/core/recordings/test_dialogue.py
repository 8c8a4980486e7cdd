import random
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ruasr_tel.events import Word
from ruasr_tel.recordings.dialogue import DialogueConfig, make_dialogue
from ruasr_tel.recordings.model import Segment, Side, Transcript, Turn
from ruasr_tel.recordings.spans import Spans
from tests.core.recordings.talk import (
    PATIENT,
    leaked,
    said,
    texts,
    transcript,
    transcripts,
    untimed,
)


def turns_of(*segments: Segment) -> tuple[Turn, ...]:
    return make_dialogue(transcript(*segments)).turns


def phrases(*pauses_s: float, channel: int = 0) -> Segment:
    """Phrases of three words of 0.27 s, with these pauses between them."""
    words: list[Word] = []
    at_s = 1.0
    for pause_s in (*pauses_s, 0.0):
        for text in ("раз", "два", "три"):
            words.append(Word(text, round(at_s, 3), round(at_s + 0.27, 3), None))
            at_s += 0.3
        at_s += pause_s - 0.03
    text = " ".join(word.text for word in words)
    return Segment(channel, 1.0, at_s, text, tuple(words), None, -25.0, -65.0)


def test_sides_speaking_in_turn() -> None:
    turns = turns_of(
        said(0, 1.0, "добрый день чем могу помочь"),
        said(1, 3.0, "здравствуйте где мой заказ"),
        said(0, 5.0, "назовите номер"),
    )
    assert texts(turns) == [
        "0: добрый день чем могу помочь",
        "1: здравствуйте где мой заказ",
        "0: назовите номер",
    ]
    assert [(turn.start_s, turn.end_s) for turn in turns] == [(1.0, 2.47), (3.0, 4.17), (5.0, 5.57)]
    assert not any(turn.overlaps or turn.interrupts or turn.crosstalk for turn in turns)
    assert turns[2].words == (Word("назовите", 5.0, 5.27, None), Word("номер", 5.3, 5.57, None))


def test_segments_without_a_pause_between_them_are_one_turn() -> None:
    turns = turns_of(said(0, 1.0, "ваш номер"), said(0, 1.9, "пять восемь"))
    assert texts(turns) == ["0: ваш номер пять восемь"]


def test_a_recording_with_few_pauses_is_divided_by_a_usual_one() -> None:
    assert len(turns_of(phrases(0.9))) == 1
    assert len(turns_of(phrases(1.1))) == 2


def test_a_pause_is_long_or_short_by_the_recording_s_own_rhythm() -> None:
    hasty = [0.3, 0.25, 0.3, 0.25, 0.3, 0.25, 0.3, 0.25, 0.3]
    calm = [0.9, 0.8, 0.9, 0.8, 0.9, 0.8, 0.9, 0.8, 0.9]
    assert len(turns_of(phrases(*hasty, 0.7))) == 2
    assert len(turns_of(phrases(*calm, 0.7))) == 1
    assert len(turns_of(phrases(*calm, 1.5))) == 2


def test_no_pause_of_a_prompt_s_length_divides_and_every_long_one_does() -> None:
    assert len(turns_of(phrases(*[0.21] * 10, 0.45))) == 1
    assert len(turns_of(phrases(*[1.9] * 10, 2.1))) == 2


def test_the_other_side_taking_over_divides() -> None:
    turns = turns_of(
        said(0, 1.0, "вы получили посылку"),  # until 1.87, a pause of 0.83 s
        said(1, 2.0, "нет ещё"),
        said(0, 2.7, "тогда я проверю"),
    )
    assert texts(turns) == ["0: вы получили посылку", "1: нет ещё", "0: тогда я проверю"]


def test_a_backchannel_in_a_pause_does_not_divide() -> None:
    turns = turns_of(
        said(0, 1.0, "сначала введите номер договора"),
        said(1, 2.3, "угу"),
        said(0, 2.8, "затем нажмите решётку"),
    )
    assert texts(turns) == ["0: сначала введите номер договора затем нажмите решётку", "1: угу"]
    assert not any(turn.overlaps or turn.interrupts for turn in turns)


def test_a_backchannel_over_the_other_s_words_overlaps_and_does_not_interrupt() -> None:
    turns = turns_of(said(0, 1.0, "сначала введите номер договора затем"), said(1, 1.6, "Да, да."))
    assert texts(turns) == ["0: сначала введите номер договора затем", "1: Да, да."]
    assert [turn.overlaps for turn in turns] == [True, True]
    assert [turn.interrupts for turn in turns] == [False, False]


def test_speaking_into_the_other_s_words_interrupts() -> None:
    turns = turns_of(
        said(0, 1.0, "ваша посылка прибыла на склад и будет"),
        said(1, 2.0, "подождите у меня другой вопрос"),
    )
    assert [(turn.overlaps, turn.interrupts) for turn in turns] == [(True, False), (True, True)]


def test_who_begins_while_the_other_is_finishing_does_not_interrupt() -> None:
    first = said(0, 1.0, "ваша посылка прибыла")  # until 1.87
    turns = turns_of(first, said(1, 1.7, "спасибо большое"))
    assert [(turn.overlaps, turn.interrupts) for turn in turns] == [(True, False), (True, False)]
    turns = turns_of(first, said(1, 1.8, "спасибо большое"))
    assert [(turn.overlaps, turn.interrupts) for turn in turns] == [(False, False)] * 2


def test_who_begins_at_the_same_time_does_not_interrupt() -> None:
    both = turns_of(said(0, 1.0, "ваша посылка прибыла"), said(1, 1.05, "скажите где посылка моя"))
    assert [(turn.overlaps, turn.interrupts) for turn in both] == [(True, False), (True, False)]


def test_crosstalk_is_marked_and_counts_as_nobody_s_talk() -> None:
    text = "назовите номер договора"
    dialogue = make_dialogue(
        transcript(said(0, 1.0, text), leaked(1, 1.1, text), said(1, 3.0, "сорок два"))
    )
    assert [(t.channel, t.text, t.crosstalk, t.overlaps) for t in dialogue.turns] == [
        (0, text, False, False),
        (1, text, True, False),
        (1, "сорок два", False, False),
    ]
    assert dialogue.sides == (
        Side(0, 0.81, 59.19, 0.0, 0, 1, 3),
        Side(1, 0.54, 59.46, 0.0, 0, 1, 2),
    )


def test_crosstalk_does_not_divide_a_turn() -> None:
    turns = turns_of(
        said(0, 1.0, "ваша посылка прибыла"),
        leaked(1, 1.1, "ваша посылка прибыла"),
        said(0, 2.7, "на склад"),
        leaked(1, 2.8, "на склад"),
    )
    voices = [turn for turn in turns if not turn.crosstalk]
    assert texts(voices) == ["0: ваша посылка прибыла на склад"]


@pytest.mark.parametrize("word", ["да", "алло"])
def test_a_true_word_of_the_other_side_right_afterwards_is_a_turn_of_its_own(word: str) -> None:
    """The seed deleted it (seed 3.4)."""
    turns = turns_of(said(0, 1.0, word), said(1, 1.45, word, level_db=-45.0))
    assert texts(turns) == [f"0: {word}", f"1: {word}"]
    assert not any(turn.crosstalk for turn in turns)


def test_figures_of_the_sides() -> None:
    sides = make_dialogue(
        transcript(
            said(0, 1.0, "ваша посылка прибыла на склад и будет"),  # 1.0 to 3.07
            said(1, 2.0, "подождите у меня другой вопрос"),  # 2.0 to 3.47
            duration_s=10.0,
        )
    ).sides
    # Words last 0.27 s; 0.17 s of four are spoken over by one word, 0.07 s of three by another.
    assert sides == (Side(0, 1.89, 8.11, 0.89, 0, 1, 7), Side(1, 1.35, 8.65, 0.89, 1, 1, 5))


def test_a_segment_without_word_times_is_a_turn_of_its_own() -> None:
    dialogue = make_dialogue(
        transcript(
            untimed(0, 1.0, 2.0, "добрый день"),
            said(0, 2.1, "чем помочь"),
            untimed(0, 2.8, 3.0, "алло"),
        )
    )
    assert [(t.text, t.start_s, t.end_s, len(t.words)) for t in dialogue.turns] == [
        ("добрый день", 1.0, 2.0, 0),
        ("чем помочь", 2.1, 2.67, 2),
        ("алло", 2.8, 3.0, 0),
    ]
    assert dialogue.sides[0] == Side(0, 1.74, 58.26, 0.0, 0, 3, 5)


def test_what_could_not_be_decoded_is_kept_in_the_transcript_alone() -> None:
    failed = Segment(0, 1.0, 2.0, "", error="the engine timed out")
    dialogue = make_dialogue(transcript(failed, said(1, 3.0, "алло")))
    assert texts(dialogue.turns) == ["1: алло"]
    assert dialogue.transcript.segments[0] == failed


def test_silence() -> None:
    dialogue = make_dialogue(transcript(duration_s=10_800.0, channels=1))
    assert dialogue.turns == ()
    assert dialogue.sides == (Side(0, 0.0, 10_800.0, 0.0, 0, 0, 0),)


def test_times_have_no_false_digits() -> None:
    word = Word("да", 0.03999999910593033, 0.3199999928474426, 0.123456789)
    segment = Segment(0, 0.0, 0.50000001, "да", (word,), 0.123456789, -25.04999, -64.96)
    made = make_dialogue(Transcript(0.6560000001, 1, (segment,)))
    assert made.turns[0].words == (Word("да", 0.04, 0.32, 0.1235),)
    assert (made.duration_s, made.transcript.duration_s) == (0.656, 0.656)
    assert made.transcript.segments == (
        replace(
            segment,
            end_s=0.5,
            words=made.turns[0].words,
            confidence=0.1235,
            level_db=-25.0,
            other_db=-65.0,
        ),
    )


def test_backchannels_are_configured() -> None:
    parts = transcript(said(0, 1.0, "сначала введите номер договора"), said(1, 1.6, "слушаю вас"))
    assert make_dialogue(parts).turns[1].interrupts
    config = DialogueConfig(backchannels=frozenset({"слушаю", "вас"}))
    assert not make_dialogue(parts, config=config).turns[1].interrupts


def test_bounds_of_pauses_must_be_in_order() -> None:
    with pytest.raises(ValidationError, match="shortest_pause_s, 3, is above longest_pause_s, 2"):
        DialogueConfig(shortest_pause_s=3.0)


@PATIENT
@given(transcripts(channels=3))
def test_every_word_is_in_exactly_one_turn(found: Transcript) -> None:
    dialogue = make_dialogue(found)
    timed = Counter((s.channel, w) for s in dialogue.transcript.segments for w in s.words)
    assert Counter((t.channel, w) for t in dialogue.turns for w in t.words) == timed
    whole = Counter((s.channel, s.text) for s in found.segments if s.text and not s.words)
    assert Counter((t.channel, t.text) for t in dialogue.turns if not t.words) == whole


@PATIENT
@given(transcripts(channels=3))
def test_turns_are_ordered_and_hold_their_words(found: Transcript) -> None:
    turns = make_dialogue(found).turns
    assert [turn.start_s for turn in turns] == sorted(turn.start_s for turn in turns)
    for turn in turns:
        if turn.words:
            assert turn.text == " ".join(word.text for word in turn.words)
            assert turn.start_s == min(word.start_s for word in turn.words)
            assert turn.end_s == max(word.end_s for word in turn.words)


@PATIENT
@given(transcripts())
def test_figures_add_up(found: Transcript) -> None:
    dialogue = make_dialogue(found)
    for side in dialogue.sides:
        own = [t for t in dialogue.turns if t.channel == side.channel and not t.crosstalk]
        assert side.talk_s + side.silence_s == pytest.approx(found.duration_s)
        assert 0 <= side.overlap_s <= side.talk_s + 1e-9
        assert side.turns == len(own)
        assert side.interruptions == sum(turn.interrupts for turn in own)
        assert side.words == sum(len(turn.text.split()) for turn in own)
        spoken = Spans(
            span
            for turn in own
            for span in ([(w.start_s, w.end_s) for w in turn.words] or [(turn.start_s, turn.end_s)])
        )
        assert side.talk_s == pytest.approx(spoken.length_s, abs=1e-3)
    assert dialogue.sides[0].overlap_s == pytest.approx(dialogue.sides[1].overlap_s, abs=2e-3)


@PATIENT
@given(transcripts(channels=3), st.randoms(use_true_random=False))
def test_the_order_of_the_segments_does_not_matter(
    found: Transcript, chance: random.Random
) -> None:
    mixed = list(found.segments)
    chance.shuffle(mixed)
    assert make_dialogue(replace(found, segments=tuple(mixed))) == make_dialogue(found)


@PATIENT
@given(transcripts())
def test_made_again_from_its_own_transcript_it_is_the_same(found: Transcript) -> None:
    dialogue = make_dialogue(found)
    assert make_dialogue(dialogue.transcript) == dialogue
