"""The speech-boundary buffer: properties over arbitrary input, and what a phrase gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ruasr_tel.boundary import (
    BoundaryBuffer,
    BoundaryConfig,
    BoundaryEvent,
    Reason,
    SegmentReady,
    SpeechStarted,
)
from ruasr_tel.vad.base import VAD_RATE_HZ, WINDOW_SAMPLES
from tests.core.boundary_runs import audio_of, feed, windows_of

RATES = st.sampled_from([8000, 11025, 16000, 44100])


PROBABILITIES = st.lists(
    st.tuples(st.sampled_from([0.0, 0.2, 0.4, 0.6, 0.95]), st.integers(1, 70)), max_size=12
).map(lambda parts: [p for p, n in parts for _ in range(n)])
CONFIGS = st.builds(
    BoundaryConfig,
    pre_roll_ms=st.sampled_from([0, 100, 250]),
    hangover_ms=st.sampled_from([0, 100, 300, 900]),
    endpoint_ms=st.sampled_from([100, 500, 1000, 10000]),
    max_segment_s=st.sampled_from([2.0, 3.1, 5.0]),
    start_windows=st.sampled_from([1, 2, 3, 10]),
    pause_windows=st.sampled_from([1, 2, 3, 20]),
    overlap_ms=st.sampled_from([0, 400, 1000]),
)


@given(
    PROBABILITIES, CONFIGS, RATES, st.integers(0, 200), st.lists(st.integers(0, 10**6)), st.data()
)
def test_any_split_of_the_input_gives_the_same_boundaries(
    probabilities: list[float],
    config: BoundaryConfig,
    rate_hz: int,
    tail: int,
    cuts: list[int],
    data: st.DataObject,
) -> None:
    whole = feed(probabilities, config, rate_hz, tail=tail)
    buffer = BoundaryBuffer(config, rate_hz)
    events: list[BoundaryEvent] = []
    ends = sorted(c % (len(whole.audio) + 1) for c in cuts)
    scored = 0
    at = 0
    for end in [*ends, len(whole.audio)]:
        portion = data.draw(st.integers(0, len(probabilities) - scored))
        events += buffer.push(whole.audio[at:end], probabilities[scored : scored + portion])
        at, scored = end, scored + portion
    events += buffer.push(probabilities=probabilities[scored:])
    events += buffer.flush()
    assert events == whole.events
    for event, expected in zip(events, whole.events, strict=True):
        if isinstance(event, SegmentReady) and isinstance(expected, SegmentReady):
            np.testing.assert_array_equal(event.samples, expected.samples)


@given(PROBABILITIES, CONFIGS, RATES, st.integers(0, 200))
def test_segments_are_ordered_bounded_and_disjoint_but_for_declared_overlap(
    probabilities: list[float], config: BoundaryConfig, rate_hz: int, tail: int
) -> None:
    run = feed(probabilities, config, rate_hz, tail=tail)
    closed = repeated = 0
    for number, segment in enumerate(run.segments):
        assert segment.index == number
        assert segment.start == max(closed - segment.overlap, segment.start)
        assert closed - segment.overlap <= segment.start < segment.end <= len(run.audio)
        assert closed <= segment.end
        assert segment.overlap in (0, rate_hz * config.overlap_ms // 1000)
        assert segment.end - segment.start <= config.max_segment_s * rate_hz
        np.testing.assert_array_equal(segment.samples, run.audio[segment.start : segment.end])
        assert segment.overlap == repeated
        closed, repeated = segment.end, segment.repeated
    assert repeated == 0


@given(PROBABILITIES, CONFIGS, RATES, st.integers(0, 200))
def test_every_speech_sample_is_in_a_segment_and_every_other_is_counted_as_silence(
    probabilities: list[float], config: BoundaryConfig, rate_hz: int, tail: int
) -> None:
    run = feed(probabilities, config, rate_hz, tail=tail)
    times_decoded = np.zeros(len(run.audio), int)
    for segment in run.segments:
        times_decoded[segment.start + segment.overlap : segment.end] += 1
        if segment.overlap:
            assert (times_decoded[segment.start : segment.start + segment.overlap] == 1).all()
    assert times_decoded.max(initial=0) <= 1
    edges = [i * WINDOW_SAMPLES * rate_hz // VAD_RATE_HZ for i in range(len(probabilities) + 1)]
    speech = [p >= config.threshold for p in probabilities]
    needed = config.start_windows
    for i in range(len(speech)):
        run_of_speech = speech[i : i + needed]
        if all(run_of_speech):  # long enough to be a start, or cut short by the end of the audio
            assert times_decoded[edges[i] : edges[min(i + needed, len(speech))]].all()
    assert run.buffer.silence == (times_decoded == 0).sum()


@given(PROBABILITIES, CONFIGS, RATES)
def test_memory_is_bounded_by_the_limit_and_the_pre_roll(
    probabilities: list[float], config: BoundaryConfig, rate_hz: int
) -> None:
    run = feed(probabilities, config, rate_hz)
    limit = (config.max_segment_s + config.pre_roll_ms / 1000) * rate_hz
    starting = (config.start_windows + 1) * WINDOW_SAMPLES * rate_hz / VAD_RATE_HZ
    assert max(run.held, default=0) <= limit + starting
    assert run.buffer.held == 0


@given(PROBABILITIES, CONFIGS, RATES, st.integers(0, 200))
def test_every_speech_start_is_closed_exactly_once(
    probabilities: list[float], config: BoundaryConfig, rate_hz: int, tail: int
) -> None:
    speaking = False
    for event in feed(probabilities, config, rate_hz, tail=tail).events:
        if isinstance(event, SpeechStarted):
            assert not speaking
            speaking = True
        else:
            assert speaking
            speaking = not event.ends_utterance
            assert event.ends_utterance == (event.reason is not Reason.LENGTH)
    assert not speaking


@given(PROBABILITIES, CONFIGS, RATES, st.integers(0, 200))
def test_flushing_twice_gives_what_flushing_once_gives(
    probabilities: list[float], config: BoundaryConfig, rate_hz: int, tail: int
) -> None:
    run = feed(probabilities, config, rate_hz, tail=tail)
    assert run.buffer.flush() == []
    assert run.buffer.silence + sum(s.end - s.start - s.overlap for s in run.segments) == len(
        run.audio
    )


@given(st.lists(st.floats(0, 0.49), max_size=300), RATES)
def test_silence_gives_nothing(probabilities: list[float], rate_hz: int) -> None:
    run = feed(probabilities, rate_hz=rate_hz)
    assert run.events == []
    assert run.buffer.silence == len(run.audio)


def test_a_phrase_is_one_segment_with_pre_roll_hangover_and_endpoint() -> None:
    run = feed(windows_of((0.0, 992), (0.9, 992), (0.0, 2016)))
    speech, speech_end = 31 * 256, 62 * 256
    segment = SegmentReady(
        0, speech - 2000, speech_end + 2400, Reason.ENDPOINT, 0, 0, True, run.audio[:0]
    )
    assert run.events == [SpeechStarted(speech), segment]


def test_an_endpoint_comes_when_the_silence_is_long_enough_and_not_before() -> None:
    buffer = BoundaryBuffer(BoundaryConfig(endpoint_ms=500), 8000)
    spoken = windows_of((0.9, 960))
    buffer.push(audio_of(len(spoken), 8000), spoken)
    quiet = [buffer.push(audio_of(1, 8000), [0.1]) for _ in range(16)]
    assert [bool(events) for events in quiet] == [False] * 15 + [True]  # 15.6 windows


def test_a_pause_shorter_than_the_endpoint_does_not_split_the_phrase() -> None:
    run = feed(windows_of((0.9, 640), (0.1, 448), (0.9, 640), (0.0, 640)))
    assert [s.reason for s in run.segments] == [Reason.ENDPOINT]


def test_a_segment_never_starts_before_the_previous_one_ended() -> None:
    config = BoundaryConfig(pre_roll_ms=2000, endpoint_ms=100, hangover_ms=100)
    run = feed(windows_of((0.9, 640), (0.0, 320), (0.9, 640), (0.0, 320)), config)
    first, second = run.segments
    assert second.start == first.end


def test_one_window_above_the_threshold_is_a_click_and_not_speech() -> None:
    assert feed(windows_of((0.0, 320), (0.9, 32), (0.0, 640))).events == []


def test_a_word_cut_off_by_the_hang_up_in_its_first_window_is_not_lost() -> None:
    run = feed(windows_of((0.0, 320), (0.9, 32)), tail=100)
    (segment,) = run.segments
    assert (segment.end, segment.reason) == (len(run.audio), Reason.FLUSH)


def test_the_clock_ends_an_utterance_when_audio_stops_arriving() -> None:
    buffer = BoundaryBuffer(BoundaryConfig(), 8000)
    probabilities = windows_of((0.9, 640))
    buffer.push(audio_of(len(probabilities), 8000, tail=100), probabilities)
    (segment,) = buffer.end_utterance()
    assert isinstance(segment, SegmentReady)
    assert (segment.reason, segment.end) == (Reason.ENDPOINT, buffer.end)
    assert buffer.end_utterance() == []


def test_the_clock_does_not_end_an_utterance_whose_audio_is_not_scored_yet() -> None:
    buffer = BoundaryBuffer(BoundaryConfig(), 8000)
    buffer.push(audio_of(40, 8000), windows_of((0.9, 640)))
    assert buffer.end_utterance() == []


@pytest.mark.parametrize("past", [0, 1, 15, 16])
def test_the_clock_waits_for_no_window_that_lacks_what_was_kept_back(past: int) -> None:
    buffer = BoundaryBuffer(BoundaryConfig(), 16_000)
    probabilities = windows_of((0.9, 640))
    buffer.push(audio_of(len(probabilities) + 1, 16_000, tail=past), probabilities)
    events = buffer.end_utterance(kept_back=16)
    assert [e.end for e in events if isinstance(e, SegmentReady)] == [buffer.end] * (past < 16)
    later = buffer.push(audio_of(2, 16_000), [0.9, 0.9])  # the first one is of the window above
    assert later == []
    assert len(buffer.push(audio_of(1, 16_000), [0.9])) == (past < 16)


def test_audio_that_no_detector_scored_counts_as_speech_at_the_flush() -> None:
    buffer = BoundaryBuffer(BoundaryConfig(), 8000)
    audio = audio_of(100, 8000)
    buffer.push(audio)
    events = buffer.flush()
    assert [e.end for e in events if isinstance(e, SegmentReady)] == [len(audio)]
    assert buffer.push(probabilities=[0.9] * 100) == []  # late: these windows are done
    assert buffer.push(audio_of(2, 8000), [0.9, 0.9]) == [SpeechStarted(len(audio))]


def test_the_open_segment_can_be_looked_at_for_a_partial() -> None:
    buffer = BoundaryBuffer(BoundaryConfig(), 8000)
    audio = audio_of(40, 8000)
    assert len(buffer.open_audio()) == 0
    assert buffer.open_start is None
    buffer.push(audio, windows_of((0.0, 640), (0.9, 640)))
    assert buffer.open_start == 20 * 256 - 2000
    assert buffer.last_speech == 40 * 256
    np.testing.assert_array_equal(buffer.open_audio(), audio[buffer.open_start :])


def test_thresholds_out_of_order_are_refused() -> None:
    with pytest.raises(ValidationError, match=r"threshold_off \(0\.7\) must not exceed"):
        BoundaryConfig(threshold=0.6, threshold_off=0.7)
