from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruasr_tel.call_progress import ProgressWatch
from ruasr_tel.events import AnsweredBy, CallProgress, Event, Final, Progress, SpeechStarted, Word
from ruasr_tel.progress.config import ProgressConfig
from ruasr_tel.types import CallId, LegId
from tests.core.progress.sounds import melody, sounds

CALL, LEG = CallId("c"), LegId("c/0")
AT = datetime(2026, 1, 2, tzinfo=UTC)
FINAL = Final(CALL, LEG, AT, 0, "все линии заняты", (), start_s=1.0, end_s=3.0, reason="endpoint")


def watch(emit: Callable[[Event], None]) -> ProgressWatch:
    return ProgressWatch(CALL, LEG, ProgressConfig(enabled=True), emit)


def of_progress(events: list[Event]) -> list[CallProgress]:
    return [event for event in events if isinstance(event, CallProgress)]


def test_a_ring_is_told_in_call_time() -> None:
    events: list[Event] = []
    audio = sounds((425, 1.0), (0, 1.0))
    watch(events.append).push(audio, 12.0)
    (ring,) = of_progress(events)
    assert (ring.call_id, ring.leg_id, ring.kind) == (CALL, LEG, Progress.RINGBACK)
    assert (ring.start_s, ring.end_s) == pytest.approx((10.0, 11.0), abs=0.03)
    assert ring.detail == {"hz": 425}


@pytest.mark.parametrize(("spoke_s", "beeps"), [(None, 0), (0.9, 0), (2.9, 0), (0.2, 1)])
def test_a_lone_tone_is_a_beep_only_after_speech(spoke_s: float | None, beeps: int) -> None:
    events: list[Event] = []
    progress = watch(events.append)
    progress.push(sounds((0, 1.0), (1000, 0.5), (0, 0.5)), 2.0)
    if spoke_s is not None:  # the detector of speech is a little behind
        progress.emit(SpeechStarted(CALL, LEG, AT, spoke_s))
    assert of_progress(events) == []
    progress.settle()
    progress.settle()
    assert [event.kind for event in of_progress(events)] == [Progress.BEEP] * beeps


def test_music_is_told_in_call_time_unless_it_is_not_wanted() -> None:
    events: list[Event] = []
    tune = melody(1, seconds=6)
    watch(events.append).push(tune, 16.0)
    (music,) = of_progress(events)
    assert music.kind is Progress.MUSIC
    assert 10.0 <= music.start_s < music.end_s <= 16.0
    assert set(music.detail) == {"share"}
    config = ProgressConfig(enabled=True, music=False)
    ProgressWatch(CALL, LEG, config, events.append).push(tune, 16.0)
    assert events == [music]


@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(0, 40_000), max_size=40))
def test_any_split_of_the_audio_gives_the_same_times(cuts: list[int]) -> None:
    audio = sounds((425, 1.0), (0, 1.5), (425, 1.0), (0, 1.5))
    events: list[Event] = []
    progress = watch(events.append)
    for at, end in pairwise([0, *sorted(cuts), len(audio)]):
        progress.push(audio[at:end], 10.0 + end / 8000)
    first, second = of_progress(events)
    assert (first.start_s, first.end_s) == pytest.approx((10.0, 11.0), abs=0.03)
    assert (second.start_s, second.end_s) == pytest.approx((12.5, 13.5), abs=0.03)


def test_a_rhythm_does_not_go_on_over_missing_audio() -> None:
    events: list[Event] = []
    progress = watch(events.append)
    busy = sounds(*[(425.0, 0.35), (0.0, 0.35)] * 2)
    progress.push(busy, 1.4)
    progress.skip()
    progress.push(busy, 7.4)
    assert events == []
    progress.push(sounds((425, 0.35), (0, 0.35)), 8.1)
    (event,) = of_progress(events)
    assert event.kind is Progress.BUSY
    assert (event.start_s, event.end_s) == pytest.approx((6.0, 7.75), abs=0.03)


def test_a_message_has_the_time_of_its_words() -> None:
    events: list[Event] = []
    spoken = ("так", "все", "линии", "занято")
    words = tuple(Word(text, i / 2, i / 2 + 0.4, None) for i, text in enumerate(spoken))
    final = replace(FINAL, text=" ".join(spoken), words=words)
    watch(events.append).emit(final)
    assert events[0] is final
    (message,) = of_progress(events)
    assert (message.kind, message.start_s, message.end_s) == (Progress.BUSY, 0.5, 1.9)
    assert message.detail == {"phrase": "все линии заняты", "score": 0.938}


def test_the_outcome_of_a_call_to_an_answering_machine() -> None:
    events: list[Event] = []
    progress = watch(events.append)
    progress.push(sounds((425, 1.0), (0, 4.0)), 5.0)
    progress.emit(SpeechStarted(CALL, LEG, AT, 5.2))
    progress.push(sounds((0, 2.0), (1000, 0.5), (0, 0.5)), 8.0)
    progress.settle()
    greeting = replace(FINAL, text="оставьте сообщение после сигнала", start_s=5.0, end_s=7.0)
    progress.emit(greeting)
    outcome = progress.outcome()
    assert outcome.answered_by is AnsweredBy.MACHINE
    assert outcome.before == {Progress.RINGBACK: 1}
    assert (outcome.first_text, outcome.first_start_s) == (greeting.text, 5.0)
    assert outcome.beep_s == pytest.approx(7.5, abs=0.03)


def test_a_message_without_words_has_the_time_of_its_segment() -> None:
    events: list[Event] = []
    progress = watch(events.append)
    progress.emit(FINAL)
    progress.emit(replace(FINAL, text="", segment=1))
    (message,) = of_progress(events)
    assert (message.start_s, message.end_s) == (1.0, 3.0)
