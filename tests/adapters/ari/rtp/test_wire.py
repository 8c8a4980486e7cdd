"""RTP packets and key presses, as bytes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruasr_tel.errors import ProtocolError
from ruasr_tel_adapters.ari.rtp.wire import (
    PAYLOAD_TYPE,
    KeyPress,
    Packet,
    decode_payload,
    encode_payload,
    samples_in,
)

U16 = st.integers(0, 0xFFFF)
U32 = st.integers(0, 0xFFFFFFFF)
WORDS = st.binary(max_size=40).map(lambda data: data[: len(data) // 4 * 4])
PACKETS = st.builds(
    Packet,
    payload_type=st.integers(0, 127),
    sequence=U16,
    timestamp=U32,
    ssrc=U32,
    payload=st.binary(max_size=400),
    marker=st.booleans(),
    csrc=st.lists(U32, max_size=15).map(tuple),
    extension=st.none() | st.tuples(U16, WORDS),
    padding=st.integers(0, 255),
)


@given(packet=PACKETS)
def test_a_packet_survives_its_bytes(packet: Packet) -> None:
    assert Packet.parse(bytes(packet)) == packet


@given(data=st.binary(max_size=80))
def test_any_datagram_is_a_packet_or_a_protocol_error(data: bytes) -> None:
    try:
        packet = Packet.parse(data)
    except ProtocolError:
        return
    assert len(packet.payload) + 12 <= len(data)


@given(packet=PACKETS, cut=st.integers(0, 11))
def test_a_cut_header_is_refused(packet: Packet, cut: int) -> None:
    with pytest.raises(ProtocolError):
        Packet.parse(bytes(packet)[:cut])


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("", "0 bytes, an RTP header has 12"),
        ("40" + "00" * 11, "RTP version 1, expected 2"),
        ("83" + "00" * 11, "12 bytes of RTP, its header says at least 24"),
        ("90" + "00" * 11, "12 bytes of RTP, its header says at least 16"),
        ("90" + "00" * 11 + "00000002" + "00" * 4, "20 bytes of RTP, its header says at least 24"),
        ("a0" + "00" * 11 + "000004", "4 bytes of padding in 3 of payload"),
        ("a0" + "00" * 11 + "0000", "0 bytes of padding in 2 of payload"),
    ],
)
def test_what_is_wrong_is_said(data: str, says: str) -> None:
    with pytest.raises(ProtocolError, match=says):
        Packet.parse(bytes.fromhex(data))


def test_a_packet_by_the_letter_of_the_rfc() -> None:
    data = bytes.fromhex(
        "b2 80 0001 000000a0 deadbeef 00000001 00000002 bede0001 10203040 ffff 0002"
    )
    assert Packet.parse(data) == Packet(
        0, 1, 160, 0xDEADBEEF, b"\xff\xff", True, (1, 2), (0xBEDE, b"\x10\x20\x30\x40"), 2
    )


@given(samples=st.lists(st.integers(-32768, 32767), max_size=200))
@pytest.mark.parametrize("format_", ["slin", "slin16"])
def test_linear_audio_is_big_endian_and_exact(format_: str, samples: list[int]) -> None:
    audio = np.array(samples, np.int16)
    payload = encode_payload(audio, format_)  # type: ignore[arg-type]
    assert payload == b"".join(value.to_bytes(2, "big", signed=True) for value in samples)
    assert decode_payload(payload, format_).tolist() == samples  # type: ignore[arg-type]
    assert samples_in(payload, format_) == len(samples)  # type: ignore[arg-type]


@pytest.mark.parametrize("format_", ["ulaw", "alaw"])
def test_g711_keeps_what_its_eight_bits_can(format_: str) -> None:
    every = bytes(range(256))
    audio = decode_payload(every, format_)  # type: ignore[arg-type]
    again = decode_payload(encode_payload(audio, format_), format_)  # type: ignore[arg-type]
    np.testing.assert_array_equal(audio, again)
    assert samples_in(every, format_) == 256  # type: ignore[arg-type]
    assert audio.max() > 30_000


def test_half_a_sample_is_left_out() -> None:
    assert decode_payload(b"\x01\x02\x03", "slin").tolist() == [0x0102]


def test_the_payload_types_are_asterisks() -> None:
    assert PAYLOAD_TYPE == {"slin": 10, "slin16": 118, "ulaw": 0, "alaw": 8}


@given(
    press=st.builds(KeyPress, st.integers(0, 255), st.booleans(), U16, st.integers(0, 63)),
    older=st.binary(max_size=8),
)
def test_a_key_press_survives_its_bytes(press: KeyPress, older: bytes) -> None:
    assert KeyPress.parse(bytes(press) + older) == press


def test_events_above_fifteen_are_no_keys() -> None:
    assert [KeyPress(event, False, 0).digit for event in (0, 10, 11, 15, 16)] == [
        "0",
        "*",
        "#",
        "D",
        None,
    ]


def test_a_short_event_is_refused() -> None:
    with pytest.raises(ProtocolError, match="telephone-event of 3 bytes, expected 4"):
        KeyPress.parse(b"\x01\x02\x03")
