"""The speech-boundary buffer where an utterance is too long, and each inherited fault by name."""

import numpy as np
import pytest

from ruasr_tel.boundary import (
    BoundaryBuffer,
    BoundaryConfig,
    Reason,
    SegmentReady,
    SpeechStarted,
)
from ruasr_tel.types import Samples
from tests.core.boundary_runs import audio_of, feed, windows_of

# At the limit


def speech_with_gap(gap: slice, windows: int, level: int = 0) -> Samples:
    """Loud noise with one quiet stretch."""
    audio = audio_of(windows, 8000)
    audio[gap] = level
    return audio


def test_at_the_limit_the_cut_falls_in_the_longest_pause() -> None:
    probabilities = windows_of(
        (0.0, 320),
        (0.9, 3200),
        (0.1, 96),
        (0.9, 3200),
        (0.1, 288),
        (0.9, 3200),
        (0.1, 192),
        (0.9, 6400),
    )
    first = feed(probabilities).segments[0]
    pause_start = (10 + 100 + 3 + 100) * 256
    assert first.reason is Reason.LENGTH
    assert pause_start - 800 <= first.end <= pause_start + 9 * 256


def test_of_equal_pauses_the_quieter_one_is_taken() -> None:
    probabilities = windows_of((0.9, 4800), (0.1, 160), (0.9, 4800), (0.1, 160), (0.9, 9600))
    quiet = slice(150 * 256, 155 * 256)
    first = feed(probabilities, audio=speech_with_gap(quiet, len(probabilities))).segments[0]
    assert quiet.start <= first.end <= quiet.stop


def test_the_cut_reaches_back_over_the_detectors_lag_to_the_quiet() -> None:
    probabilities = windows_of((0.9, 8000), (0.1, 64), (0.9, 12000))
    quiet = slice(250 * 256 - 700, 250 * 256 - 100)  # the detector says "silence" when it is over
    first = feed(probabilities, audio=speech_with_gap(quiet, len(probabilities))).segments[0]
    assert quiet.start <= first.end <= quiet.stop


def test_a_limit_that_falls_in_a_pause_ends_the_utterance_there() -> None:
    run = feed(windows_of((0.0, 320), (0.9, 14400), (0.1, 480), (0.9, 320), (0.0, 640)))
    first, second = run.segments
    assert (first.reason, first.ends_utterance) == (Reason.ENDPOINT, True)
    assert [type(e) for e in run.events] == [SpeechStarted, SegmentReady] * 2
    assert second.start >= first.end


@pytest.mark.parametrize("noise", [0, 3, 300])  # 300: 15 dB below the speech
def test_a_pause_of_100_ms_that_the_detector_missed_is_in_the_middle_of_the_doubled_audio(
    noise: int,
) -> None:
    quiet = slice(64000, 64000 + 810)
    probabilities = windows_of((0.9, 20000))
    audio = audio_of(len(probabilities), 8000)
    audio[quiet] = np.random.default_rng(2).integers(-noise, noise + 1, 810)
    first, second, *_ = feed(probabilities, audio=audio).segments
    assert quiet.start <= first.end - 1600 <= quiet.stop
    assert (first.repeated, second.overlap) == (3200, 3200)


def test_without_any_pause_the_cut_is_doubled() -> None:
    run = feed(windows_of((0.9, 20000), (0.0, 640)))
    first, second, *_ = run.segments
    assert 7.5 * 8000 <= first.end - first.start <= 15 * 8000
    assert (second.start, second.overlap, first.repeated) == (first.end - 3200, 3200, 3200)
    assert [e for e in run.events if isinstance(e, SpeechStarted)] == [SpeechStarted(0)]


def test_without_any_overlap_configured_the_cut_is_single() -> None:
    first, second, *_ = feed(windows_of((0.9, 20000)), BoundaryConfig(overlap_ms=0)).segments
    assert (second.start, second.overlap) == (first.end, 0)


def test_a_limit_in_a_pause_that_began_early_ends_the_utterance() -> None:
    config = BoundaryConfig(max_segment_s=2.0, endpoint_ms=5000)
    run = feed(windows_of((0.9, 640), (0.1, 4000)), config)
    assert [s.reason for s in run.segments] == [Reason.ENDPOINT]


def test_a_limit_with_hardly_any_speech_before_it_is_still_cut() -> None:
    config = BoundaryConfig(
        max_segment_s=2.0, endpoint_ms=5000, pause_windows=20, overlap_ms=1000, pre_roll_ms=0
    )
    run = feed(windows_of((0.9, 1344), (0.1, 608), (0.9, 2000), (0.0, 6000)), config)
    assert [s.reason for s in run.segments][-1] is Reason.ENDPOINT
    assert run.segments[0].repeated == 8000


def test_silence_right_after_a_hard_cut_still_closes_the_utterance() -> None:
    windows = next(n for n in range(400, 500) if len(feed([0.9] * n).segments) == 2)
    run = feed([0.9] * windows + [0.0] * 40)
    assert [s.reason for s in run.segments] == [Reason.LENGTH, Reason.ENDPOINT]
    assert run.segments[1].end > run.segments[0].end


# Faults of the seed project's buffer, each never to come back


def test_seed_fault_cut_at_a_third_of_the_buffer_mid_word() -> None:
    segments = feed(windows_of((0.9, 30000))).segments
    assert all(s.repeated == 3200 for s in segments[:-1])  # no pause: both sides have the word
    probabilities = windows_of(*[(0.9, 2016), (0.1, 416)] * 8)  # 0.4 s pauses every 2 s
    for segment in feed(probabilities).segments[:-1]:
        window = segment.end // 256
        assert min(probabilities[window : window + 4]) < 0.5


def test_seed_fault_a_stop_consonant_of_40_ms_taken_for_a_pause() -> None:
    stops = windows_of(*[(0.9, 320), (0.1, 32)] * 60)
    assert feed(stops).segments[0].repeated == 3200


def test_seed_fault_the_search_never_looked_into_what_the_last_cut_left_over() -> None:
    probabilities = windows_of((0.9, 13000), (0.1, 224), (0.9, 3000), (0.1, 192), (0.9, 14000))
    first, second, *_ = feed(probabilities).segments
    left_over = (406 + 7 + 94) * 256  # the second pause arrived in part before the first cut
    assert first.end <= (406 + 7) * 256
    assert left_over - 800 <= second.end <= left_over + 6 * 256


@pytest.mark.parametrize("rate_hz", [8000, 16000, 48000])
def test_seed_fault_the_length_of_a_pause_depended_on_the_rate(rate_hz: int) -> None:
    run = feed(windows_of((0.9, 960), (0.1, 480), (0.9, 960), (0.1, 640)), rate_hz=rate_hz)
    assert [round(s.end / rate_hz, 2) for s in run.segments] == [2.7]


def test_seed_fault_every_flush_moved_the_time_line() -> None:
    buffer = BoundaryBuffer(BoundaryConfig(), 8000)
    starts: list[int] = []
    for turn in range(20):
        probabilities = windows_of((0.0, 320), (0.9, 640))
        events = buffer.push(audio_of(30, 8000, seed=turn), probabilities) + buffer.flush()
        starts += [e.at for e in events if isinstance(e, SpeechStarted)]
    assert starts == [(30 * turn + 10) * 256 for turn in range(20)]


def test_seed_fault_silence_was_sent_to_recognition() -> None:
    run = feed(windows_of((0.0, 30000), (0.9, 640), (0.0, 30000)))
    decoded = sum(s.end - s.start for s in run.segments)
    assert decoded <= (640 + 250 + 300 + 32) * 8


def test_seed_fault_samples_beyond_the_maximum_were_cut_away() -> None:
    run = feed(windows_of((0.9, 60000)))
    assert run.segments[0].start == 0
    assert run.segments[-1].end == len(run.audio)


def test_seed_fault_the_tail_was_dropped_without_eof() -> None:
    run = feed(windows_of((0.0, 320), (0.9, 500)), tail=255)
    assert run.segments[-1].end == len(run.audio)
