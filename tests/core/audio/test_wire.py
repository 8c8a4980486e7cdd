import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruasr_tel.audio import wire
from ruasr_tel.audio.wire import End, Head, Kind, Refused, Request
from ruasr_tel.errors import ProtocolError

TEXTS = st.text(max_size=50)


def content(frame: bytes, kind: Kind) -> bytes:
    head, rest = frame[: wire.HEADER.size], frame[wire.HEADER.size :]
    assert wire.parse_header(head) == (kind, len(rest))
    return rest


@given(TEXTS, st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_request_comes_as_it_was_sent(name: str, lowest_hz: int, highest_hz: int) -> None:
    request = Request(name, lowest_hz, highest_hz)
    assert wire.parse_request(content(wire.encode(request), Kind.REQUEST)) == request


@given(
    st.integers(1, wire.MOST_CHANNELS),
    st.integers(1, wire.MOST_HZ),
    st.none() | st.floats(0, 1e12),
)
def test_a_head_comes_as_it_was_sent(channels: int, rate_hz: int, declared_s: float | None) -> None:
    head = Head(channels, rate_hz, declared_s)
    assert wire.parse_head(content(wire.encode(head), Kind.HEAD)) == head


@given(TEXTS)
def test_ends_and_refusals_come_as_they_were_sent(text: str) -> None:
    assert wire.parse_end(content(wire.encode(End(text)), Kind.END)) == End(text)
    refused = wire.encode(Refused(text))
    assert wire.parse_refused(content(refused, Kind.REFUSED)) == Refused(text)


def test_no_fault_is_none_and_a_negative_length_is_nothing() -> None:
    assert wire.parse_end(content(wire.encode(End(None)), Kind.END)) == End(None)
    head = content(wire.encode(Head(1, 8000, -1.0)), Kind.HEAD)
    assert wire.parse_head(head) == Head(1, 8000, 0.0)


def test_long_texts_are_cut_on_both_sides() -> None:
    sent = content(wire.encode(Refused("я" * 9999)), Kind.REFUSED)
    assert len(wire.parse_refused(sent).reason) == wire.LONGEST_TEXT
    forged = json.dumps({"reason": "x" * 9999}).encode()
    assert len(wire.parse_refused(forged).reason) == wire.LONGEST_TEXT


@given(st.binary(max_size=200))
def test_nonsense_is_no_message(nonsense: bytes) -> None:
    for parse in (wire.parse_head, wire.parse_end, wire.parse_refused):
        with pytest.raises(ProtocolError):
            parse(nonsense)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"channels": 0, "sample_rate_hz": 8000, "declared_s": None}, "a file of 0 channels"),
        ({"channels": True, "sample_rate_hz": 8000, "declared_s": None}, "a file of True channels"),
        ({"channels": 10**9, "sample_rate_hz": 8000, "declared_s": None}, "a file of 1000000000 c"),
        ({"channels": 1, "sample_rate_hz": -8000, "declared_s": None}, "a file of -8000 Hz"),
        ({"channels": 1, "sample_rate_hz": 8000, "declared_s": math.nan}, "a file of nan s"),
        ({"channels": 1, "sample_rate_hz": 8000, "declared_s": "ever"}, "a file of 'ever' s"),
        ({"channels": 1, "sample_rate_hz": 8000}, "a frame without exactly channels, declared_s"),
        ([1, 8000, None], "a frame without exactly"),
    ],
)
def test_a_head_that_cannot_be_is_none(fields: object, said: str) -> None:
    with pytest.raises(ProtocolError) as refused:
        wire.parse_head(json.dumps(fields).encode())
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize("deep", [b"[" * 100_000, b"\xff", b"{"])
def test_what_is_no_json_is_named(deep: bytes) -> None:
    with pytest.raises(ProtocolError, match="a frame that is no JSON"):
        wire.parse_end(deep)


def test_a_text_is_a_text() -> None:
    with pytest.raises(ProtocolError, match="a int where a text belongs"):
        wire.parse_refused(b'{"reason": 5}')
    with pytest.raises(ProtocolError, match="a list where a text belongs"):
        wire.parse_end(b'{"fault": []}')


def test_headers_that_cannot_be_are_none() -> None:
    with pytest.raises(ProtocolError, match="a frame of kind 77, which there is not"):
        wire.parse_header(wire.HEADER.pack(77, 0))
    with pytest.raises(ProtocolError, match="a frame of 4294967295 bytes, more than 1048576"):
        wire.parse_header(wire.HEADER.pack(Kind.BLOCK, 2**32 - 1))


@pytest.mark.parametrize("size", [0, 1, 2, 6])
def test_a_block_holds_as_much_of_every_channel(size: int) -> None:
    with pytest.raises(ProtocolError) as refused:
        wire.check_block(bytearray(size), 2)
    assert str(refused.value) == f"a block of {size} bytes for 2 channels"
    assert wire.check_block(bytearray(8), 2) == bytearray(8)


def test_a_block_is_framed() -> None:
    assert content(wire.encode_block(b"1234"), Kind.BLOCK) == b"1234"
