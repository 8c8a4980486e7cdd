from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ruasr_tel.call_progress import ProgressWatch
from ruasr_tel.events import CallProgress, Event, Final, Progress, SpeechStarted, Word
from ruasr_tel.progress.config import ProgressConfig
from ruasr_tel.types import CallId, LegId
from tests.core.progress.sounds import sounds

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


def test_a_message_without_words_has_the_time_of_its_segment() -> None:
    events: list[Event] = []
    progress = watch(events.append)
    progress.emit(FINAL)
    progress.emit(replace(FINAL, text="", segment=1))
    (message,) = of_progress(events)
    assert (message.start_s, message.end_s) == (1.0, 3.0)
