import contextlib
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruasr_tel.engines import wire
from ruasr_tel.engines.base import DecodeOptions, EngineInfo, EngineSpec, Hypothesis
from ruasr_tel.errors import ProtocolError
from ruasr_tel.types import Samples

INT16 = st.integers(-(2**15), 2**15 - 1)
SAMPLES = st.lists(INT16, max_size=40).map(lambda values: np.array(values, dtype=np.int16))
SEGMENTS = st.lists(st.tuples(SAMPLES, st.integers(-1, 192_000)), min_size=1, max_size=4)
OPTIONS = st.builds(
    DecodeOptions,
    st.lists(st.text(max_size=5), max_size=3).map(tuple),
    st.booleans(),
    st.floats(0, 10),
    st.integers(1, 10),
)
NUMBERS = st.integers(0, 2**32 - 1)
UNITS = st.lists(
    st.builds(wire.Request, NUMBERS, SEGMENTS.map(tuple), OPTIONS)
    | st.builds(
        wire.Audio,
        NUMBERS,
        SAMPLES,
        st.integers(-1, 192_000),
        st.integers(0, 7).map(wire.Flag),
        OPTIONS,
    ),
    max_size=4,
)
CUTS = st.lists(st.integers(1, 30), min_size=1, max_size=20)

FLOATS = st.floats(allow_nan=False)
READINGS = st.builds(
    Hypothesis,
    st.text(max_size=20),
    st.lists(st.text(max_size=3), max_size=4).map(tuple),
    st.lists(FLOATS, max_size=4).map(tuple),
    st.none() | st.lists(FLOATS, max_size=4).map(tuple),
    st.none() | FLOATS,
)
HYPOTHESES = st.builds(
    replace,
    READINGS,
    alternatives=st.lists(READINGS, max_size=2).map(tuple),
    match=st.none() | FLOATS,
)
INFO = EngineInfo("scripted", "пробная", 8000, 0.1, 20.0, 4, True, "cuda")
MESSAGES = st.one_of(
    st.builds(wire.Ready, st.just(INFO), FLOATS),
    st.builds(wire.Failed, st.sampled_from(("ConfigError", "ModelLoadError")), st.text()),
    st.builds(wire.Decoded, st.integers(0), st.lists(HYPOTHESES, max_size=3).map(tuple)),
    st.builds(wire.Refused, st.integers(0), st.text()),
    st.builds(
        wire.Heard,
        st.integers(0),
        st.lists(
            st.tuples(st.integers(0), st.integers(0), st.none() | st.text(max_size=9)), max_size=3
        ).map(tuple),
    ),
    st.builds(wire.Finished, st.integers(0), HYPOTHESES),
    st.builds(wire.Lost, st.integers(0), st.text()),
)

JSON = st.dictionaries(
    st.sampled_from(("message", "request", "reason", "kind", "info", "hypotheses", "streams")),
    st.none() | st.integers() | st.sampled_from(("Ready", "Decoded", "Refused", "Heard", "Lost")),
)


def read_units(data: bytes, cuts: list[int]) -> list[wire.Request | wire.Audio]:
    """Give the parser `data` as reads of the lengths in `cuts`, repeated."""
    parser = wire.RequestParser()
    units: list[wire.Request | wire.Audio] = []
    step = 0
    while data:
        want = parser.want()
        count = min(len(want), len(data), cuts[step % len(cuts)])
        step += 1
        want[:count] = data[:count]
        data = data[count:]
        unit = parser.filled(count)
        if unit is not None:
            units.append(unit)
    return units


def encode(unit: wire.Request | wire.Audio) -> bytes:
    if isinstance(unit, wire.Audio):
        return b"".join(wire.encode_piece(unit))
    return b"".join(wire.encode_request(unit.number, unit.segments, unit.options))


def plain(unit: wire.Request | wire.Audio) -> list[object]:
    """Return all that is in a unit, as values that compare."""
    if isinstance(unit, wire.Audio):
        assert unit.samples.dtype == np.int16
        return [unit.stream, unit.samples.tolist(), unit.sample_rate_hz, unit.flags, unit.options]
    assert {samples.dtype for samples, _ in unit.segments} == {np.dtype(np.int16)}
    segments = [(samples.tolist(), rate_hz) for samples, rate_hz in unit.segments]
    return [unit.number, segments, unit.options]


@given(units=UNITS, cuts=CUTS)
def test_units_arrive_whole_however_they_are_cut(
    units: list[wire.Request | wire.Audio], cuts: list[int]
) -> None:
    arrived = read_units(b"".join(map(encode, units)), cuts)
    assert list(map(plain, arrived)) == list(map(plain, units))


def test_samples_are_handed_on_without_a_copy() -> None:
    samples: Samples = np.arange(4, dtype=np.int16)
    header, payload = wire.encode_request(7, [(samples, 8000)])
    assert header == wire.HEADER.pack(wire.SEGMENT_KIND, 7, 8000, 4, 0, 0)
    assert isinstance(payload, memoryview)
    samples[0] = 99
    assert bytes(payload) == samples.tobytes()


def test_samples_that_do_not_lie_side_by_side_are_sent_as_they_read() -> None:
    every_second = np.arange(8, dtype=np.int16)[::2]
    [request] = read_units(b"".join(wire.encode_request(1, [(every_second, 8000)])), [1000])
    assert isinstance(request, wire.Request)
    assert request.segments[0][0].tolist() == [0, 2, 4, 6]


@given(messages=st.lists(MESSAGES, max_size=5), cuts=CUTS)
def test_messages_arrive_whole_however_they_are_cut(
    messages: list[wire.Message], cuts: list[int]
) -> None:
    data = b"".join(map(wire.encode_message, messages))
    parser = wire.FrameParser()
    arrived: list[wire.Message] = []
    step = 0
    while data:
        count = cuts[step % len(cuts)]
        step += 1
        arrived += map(wire.parse_message, parser.feed(data[:count]))
        data = data[count:]
    assert arrived == messages


def content(frame: bytes) -> bytes:
    [body] = wire.FrameParser().feed(frame)
    return body


def test_not_a_number_arrives_as_it_is() -> None:
    frame = wire.encode_message(wire.Decoded(1, (Hypothesis("", ("а",), (0.0,), (math.nan,)),)))
    message = wire.parse_message(content(frame))
    assert isinstance(message, wire.Decoded)
    [hypothesis] = message.hypotheses
    assert hypothesis.log_probs is not None
    assert math.isnan(hypothesis.log_probs[0])


def test_numpy_numbers_arrive_as_plain_ones() -> None:
    numbers: tuple[float, ...] = (np.float32(0.5),)  # type: ignore[assignment]  # engines do that
    frame = wire.encode_message(wire.Decoded(1, (Hypothesis("а", ("а",), numbers, numbers),)))
    assert wire.parse_message(content(frame)) == wire.Decoded(
        1, (Hypothesis("а", ("а",), (0.5,), (0.5,)),)
    )


def test_anything_else_in_a_hypothesis_is_an_error() -> None:
    odd = Hypothesis(text=object())  # type: ignore[arg-type]  # that is the point
    with pytest.raises(TypeError, match=r"^object in an engine's answer$"):
        wire.encode_message(wire.Decoded(1, (odd,)))


@pytest.mark.parametrize("folder", [None, Path("/models/ru")])
def test_a_spec_arrives_as_it_was(folder: Path | None) -> None:
    spec = EngineSpec(
        "sherpa", "vosk5", folder, "transducer", "cpu", 2, 0.2, 18.0, {"a": 1, "b": "ё", "c": True}
    )
    assert wire.parse_spec(content(wire.encode_spec(spec))) == spec
    assert wire.parse_spec(content(wire.encode_spec(replace(spec, options={})))).options == {}


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b"\xff", b'{"model_dir": 1}', b'{"model_dir": null, "rate": 1}']
)
def test_what_is_no_spec_is_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError, match=r"^not an engine spec: "):
        wire.parse_spec(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"message": "Refused"}',
        b'{"message": "Failed", "kind": "x"}',
        b'{"message": "Ready", "info": {}, "load_s": 1}',
        b'{"message": "Decoded", "request": 1, "hypotheses": [{"text": ""}]}',
        b'{"message": "Decoded", "request": 1, "hypotheses": 3}',
        b'{"message": "Heard", "pieces": 1, "streams": [[1, 2]], "busy_s": 0.0}',
        b'{"message": "Heard", "pieces": 1, "streams": []}',
        b'{"message": "Heard", "streams": []}',
        b'{"message": "Finished", "stream": 1, "hypothesis": null}',
        b'{"message": "Lost"}',
    ],
)
def test_what_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(ProtocolError, match=r"^not a message of an engine: "):
        wire.parse_message(body)


def test_an_unknown_message_is_refused() -> None:
    with pytest.raises(ProtocolError, match=r"^unknown message \[1\] of an engine$"):
        wire.parse_message(b'{"message": [1]}')
    with pytest.raises(ProtocolError, match=r"^unknown message 'Hello' of an engine$"):
        wire.parse_message(json.dumps({"message": "Hello"}).encode())


def test_a_frame_too_long_is_refused_before_it_is_read() -> None:
    parser = wire.FrameParser()
    assert parser.feed(wire.LENGTH.pack(wire.MAX_FRAME_BYTES)) == []
    with pytest.raises(ProtocolError, match=r"^frame of 16777217 bytes, at most 16777216 allowed$"):
        wire.FrameParser().feed(wire.LENGTH.pack(wire.MAX_FRAME_BYTES + 1))


@given(body=st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_content_ends_in_a_message_or_a_protocol_error(body: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        assert isinstance(wire.parse_message(body), wire.Message)
