"""What FreeSWITCH's streaming modules send, as values."""

import itertools
import json
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruasr_tel.errors import ProtocolError
from ruasr_tel.events import Event, Final, Partial, SpeechStarted, Word
from ruasr_tel.types import CallId, LegId
from ruasr_tel_adapters.audio_stream.wire import (
    Deinterleaver,
    Settings,
    change,
    digit_in,
    format_result,
    parse_text,
    parse_url,
)

DEFAULTS = Settings(8000, 1)
AT = datetime(2026, 1, 1, tzinfo=UTC)
CALL, CALLEE = CallId("c/1"), LegId("c/1/1")


@given(
    audio=st.binary(max_size=400),
    cuts=st.lists(st.integers(0, 400)),
    channels=st.sampled_from([1, 2]),
)
def test_any_cut_of_the_stream_gives_the_same_samples(
    audio: bytes, cuts: list[int], channels: int
) -> None:
    split = Deinterleaver(channels)
    heard: list[list[int]] = [[] for _ in range(channels)]
    marks = sorted({0, len(audio), *(cut for cut in cuts if cut < len(audio))})
    for start, end in itertools.pairwise(marks):
        for channel, samples in enumerate(split.feed(audio[start:end])):
            heard[channel] += samples.tolist()
    frames = len(audio) // (2 * channels)
    expected = np.frombuffer(audio[: frames * 2 * channels], "<i2").reshape(frames, channels)
    assert heard == expected.T.tolist()


@pytest.mark.parametrize(
    ("target", "settings"),
    [
        ("/", DEFAULTS),
        ("", DEFAULTS),
        ("/16000", Settings(16_000, 1)),
        ("/asr/16k?channels=stereo", Settings(16_000, 2)),
        ("/?sample_rate=16k&channels=2", Settings(16_000, 2)),
        ("/?sampleRate=48000&channels=mixed", Settings(48_000, 1)),
        ("/8000?sample_rate=16000", Settings(16_000, 1)),
        ("/?call_id=+79161234567", Settings(8000, 1, None, CallId("+79161234567"))),
        ("/?call_id=%2B79161234567", Settings(8000, 1, None, CallId("+79161234567"))),
        ("/?uuid=a-1&profile=yesno&x=1", Settings(8000, 1, "yesno", CallId("a-1"))),
    ],
)
def test_the_url_says_what_the_stream_is(target: str, settings: Settings) -> None:
    assert parse_url(target, DEFAULTS) == settings


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("/?sample_rate=11025", "sample_rate: '11025' is not one of 8000, 16000"),
        ("/?channels=3", "channels: '3' is not one of 1, 2"),
        ("//[", "the URL cannot be read: Invalid IPv6 URL"),
        ("/?call_id=a%20b", "call_id: 'a b' is not 1 to 128 of"),
        ("/?" + "a=1&" * 65, "more than 64 fields in the URL"),
    ],
)
def test_what_cannot_be_is_said(target: str, says: str) -> None:
    with pytest.raises(ProtocolError, match=says):
        parse_url(target, DEFAULTS)


@given(text=st.text(max_size=40))
def test_no_text_is_an_error(text: str) -> None:
    assert isinstance(parse_text(text), dict)


def test_metadata_settings() -> None:
    values = parse_text('{"callSid": "x", "sampleRate": 16000, "channels": 2, "other": {}}')
    assert change(DEFAULTS, values) == Settings(16_000, 2, None, CallId("x"))
    nested = {"event": "start", "start": {"callSid": "y", "mediaFormat": {"sampleRate": 16000}}}
    assert change(DEFAULTS, nested) == Settings(16_000, 1, None, CallId("y"))
    nested["start"] = {"mediaFormat": "slin", "channels": 2}
    assert change(DEFAULTS, nested) == Settings(8000, 2)
    assert parse_text("[" * 100_000) == {}
    assert change(DEFAULTS, {}) == DEFAULTS


@pytest.mark.parametrize(
    ("values", "digit"),
    [
        ({"dtmf": "5"}, "5"),
        ({"event": "dtmf", "digit": "a"}, "A"),
        ({"dtmf": "55"}, None),
        ({"dtmf": 5}, None),
        ({}, None),
    ],
)
def test_key_presses(values: dict[str, object], digit: str | None) -> None:
    assert digit_in(values) == digit


def test_a_final_as_freeswitch_gets_it() -> None:
    word = Word("да", 0.5, 0.75004, None)
    final = Final(CALL, CALLEE, AT, 0, "да", (word,), 0.25, 1.0, "endpoint")
    said = format_result(final)
    assert said is not None
    assert "да" in said
    assert json.loads(said) == {
        "type": "transcription",
        "data": {
            "is_final": True,
            "text": "да",
            "start": 0.25,
            "end": 1.0,
            "channel": 1,
            "words": [{"word": "да", "start": 0.5, "end": 0.75, "conf": None}],
        },
    }


def test_a_partial_has_no_words() -> None:
    said = format_result(Partial(CALL, LegId("c/0.2"), AT, "да", 0.0, 1.0))
    assert said is not None
    data = json.loads(said)["data"]
    assert data == {"is_final": False, "text": "да", "start": 0.0, "end": 1.0, "channel": 0}


@pytest.mark.parametrize(
    "event",
    [
        SpeechStarted(CALL, CALLEE, AT, 0.5),
        Final(CALL, CALLEE, AT, 0, "", (), 0.25, 1.0, "endpoint"),
    ],
)
def test_events_that_are_not_taken(event: Event) -> None:
    assert format_result(event) is None
