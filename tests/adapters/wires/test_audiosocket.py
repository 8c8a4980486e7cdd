import struct
import wave
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruasr_tel.errors import ProtocolError
from ruasr_tel_adapters.wires.audiosocket import (
    DTMF_DIGITS,
    KIND_BY_RATE_HZ,
    MAX_PAYLOAD_BYTES,
    RATE_HZ_BY_KIND,
    Kind,
    Message,
    MessageParser,
    check_first_header,
    encode,
    encode_audio,
    encode_dtmf,
    encode_error,
    encode_hangup,
    encode_uuid,
    frame_bytes,
    parse_dtmf,
    parse_uuid,
)

DATA = Path(__file__).parents[2] / "data" / "audiosocket"
CALL = UUID("708f9ffc-c4fe-485b-8acb-cc90cf75b37d")  # the UUID of the recorded call

KINDS = st.one_of(st.sampled_from(Kind), st.integers(0, 255))
PAYLOADS = st.one_of(
    st.binary(max_size=400),
    st.sampled_from([bytes(320), bytes(640), bytes(1764), b"\x10\x01\x40" * 100]),
)
MESSAGES = st.lists(st.builds(Message, KINDS.map(int), PAYLOADS), max_size=12)


def load(name: str) -> bytes:
    return (DATA / f"{name}.bin").read_bytes()


def parse(data: bytes) -> list[Message]:
    return MessageParser().feed(data)


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted(place % (len(data) + 1) for place in cuts)
    return [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]


@given(messages=MESSAGES, cuts=st.lists(st.integers(0, 10**6)), tail=st.binary(max_size=2))
def test_any_split_of_the_stream_gives_the_same_messages(
    messages: list[Message], cuts: list[int], tail: bytes
) -> None:
    stream = b"".join(encode(m.kind, m.payload) for m in messages) + tail
    parser = MessageParser()
    got = [message for piece in cut(stream, cuts) for message in parser.feed(piece)]
    assert got == messages
    assert parser.pending_bytes == len(tail)


@given(stream=st.binary(max_size=3000), cuts=st.lists(st.integers(0, 10**6)))
def test_any_bytes_at_all_give_messages_that_encode_back_to_them(
    stream: bytes, cuts: list[int]
) -> None:
    parser = MessageParser()
    got = [message for piece in cut(stream, cuts) for message in parser.feed(piece)]
    whole = b"".join(encode(m.kind, m.payload) for m in got)
    assert stream.startswith(whole)
    assert len(stream) - len(whole) == parser.pending_bytes
    assert got == parse(stream)


def test_a_stream_one_byte_at_a_time() -> None:
    stream = load("app_call")
    parser = MessageParser()
    got = [m for byte in stream for m in parser.feed(bytes([byte]))]
    assert got == parse(stream)
    assert parser.pending_bytes == 0


def test_the_parser_never_holds_more_than_one_message_less_a_byte() -> None:
    parser = MessageParser()
    whole = encode(0x10, bytes(MAX_PAYLOAD_BYTES))
    assert parser.feed(whole * 3 + whole[:-1]) == [Message(0x10, bytes(MAX_PAYLOAD_BYTES))] * 3
    assert parser.pending_bytes == 65_537


def test_what_the_parser_waits_for() -> None:
    parser = MessageParser()
    assert parser.waiting_for is None
    parser.feed(b"\x01\x00")
    assert parser.waiting_for is None
    parser.feed(b"\x10")
    assert parser.waiting_for == (1, 16)
    parser.feed(CALL.bytes)
    assert parser.waiting_for is None


def test_first_bytes_of_asterisk() -> None:
    data = load("uuid")
    (message,) = parse(data)
    assert message == Message(0x01, CALL.bytes)
    assert parse_uuid(message) == CALL
    assert encode_uuid(CALL) == data


def test_a_call_of_the_application_with_short_frames_and_a_digit() -> None:
    data = load("app_call")
    messages = parse(data)
    assert [(m.kind, len(m.payload)) for m in messages] == [
        (Kind.UUID, 16),
        (Kind.SLIN, 320),
        (Kind.SLIN, 320),
        (Kind.SLIN, 188),
        (Kind.SLIN, 320),
        (Kind.SLIN, 20),
        (Kind.DTMF, 1),
        (Kind.SLIN, 320),
        (Kind.SLIN, 116),
    ]
    assert parse_dtmf(messages[6].payload) == "5"
    assert b"".join(encode(m.kind, m.payload) for m in messages) == data


@pytest.mark.parametrize(
    ("name", "kind", "size"),
    [
        ("chan_slin16", Kind.SLIN16, 640),
        ("chan_slin48", Kind.SLIN48, 1920),
        ("chan_ulaw_labelled_slin", Kind.SLIN, 160),
    ],
)
def test_a_call_of_the_channel_driver(name: str, kind: Kind, size: int) -> None:
    first, *audio = parse(load(name))
    assert parse_uuid(first) == CALL
    assert {(m.kind, len(m.payload)) for m in audio} == {(kind, size)}


def test_samples_are_little_endian_and_lengths_big_endian() -> None:
    data = load("app_call")
    first_audio = parse(data)[1]
    assert data[19:22] == b"\x10\x01\x40"
    assert struct.unpack("<4h", first_audio.payload[:8]) == (0, 1, 2, 3)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "fault_audio_first",
            "the first message is kind 0x10 with 320 bytes, "
            "expected the call's UUID: kind 0x01 with 16 bytes",
        ),
        (
            "fault_uuid_short",
            "the first message is kind 0x01 with 15 bytes, "
            "expected the call's UUID: kind 0x01 with 16 bytes",
        ),
    ],
)
def test_a_connection_that_does_not_begin_with_a_uuid(name: str, text: str) -> None:
    with pytest.raises(ProtocolError) as error:
        parse_uuid(parse(load(name))[0])
    assert str(error.value) == text


def test_a_foreign_protocol_is_known_by_its_first_three_bytes() -> None:
    parser = MessageParser()
    assert parser.feed(load("fault_http")) == []
    assert parser.waiting_for is not None
    with pytest.raises(ProtocolError, match=r"^the first message is kind 0x47 with 17748 bytes, "):
        check_first_header(*parser.waiting_for)


def test_a_good_first_header_is_silent() -> None:
    check_first_header(Kind.UUID, 16)


@pytest.mark.parametrize(
    ("payload", "size"), [(b"", 0), (parse(load("fault_dtmf_long"))[1].payload, 2)]
)
def test_a_digit_of_the_wrong_length(payload: bytes, size: int) -> None:
    with pytest.raises(ProtocolError) as error:
        parse_dtmf(payload)
    assert str(error.value) == f"a DTMF message (kind 0x03) of {size} bytes, expected 1"


def test_every_key_round_trips() -> None:
    for digit in DTMF_DIGITS:
        (message,) = parse(encode_dtmf(digit))
        assert (message.kind, parse_dtmf(message.payload)) == (Kind.DTMF, digit)


def test_a_byte_that_is_no_key_parses_all_the_same() -> None:
    assert parse_dtmf(b"\xff") not in DTMF_DIGITS


@pytest.mark.parametrize("digit", ["", "E", "12", "٣"])
def test_what_is_no_key_is_not_encoded(digit: str) -> None:
    with pytest.raises(ValueError, match="is not a DTMF digit"):
        encode_dtmf(digit)


@pytest.mark.parametrize(
    ("kind", "rate_hz", "size"),
    [
        (0x10, 8_000, 320),
        (0x11, 12_000, 480),
        (0x12, 16_000, 640),
        (0x13, 24_000, 960),
        (0x14, 32_000, 1280),
        (0x15, 44_100, 1764),
        (0x16, 48_000, 1920),
        (0x17, 96_000, 3840),
        (0x18, 192_000, 7680),
    ],
)
def test_audio_of_every_rate(kind: int, rate_hz: int, size: int) -> None:
    audio = bytes(range(256)) * 30
    assert frame_bytes(rate_hz) == size
    assert encode_audio(audio[:size], rate_hz) == struct.pack("!BH", kind, size) + audio[:size]
    assert RATE_HZ_BY_KIND[kind] == rate_hz
    assert KIND_BY_RATE_HZ[rate_hz] == kind


def test_audio_that_asterisk_would_not_take_is_refused() -> None:
    with pytest.raises(ValueError, match="an audio message of length 0 ends the call in Asterisk"):
        encode_audio(b"")
    with pytest.raises(ValueError, match=r"^no audio kind for 11025 Hz; there are 8000, 12000, "):
        encode_audio(bytes(2), 11_025)
    with pytest.raises(ValueError, match="payload of 65536 bytes, the format takes 65535"):
        encode_audio(bytes(65_536))


def test_the_longest_payload_round_trips() -> None:
    assert parse(encode_audio(bytes(MAX_PAYLOAD_BYTES))) == [Message(0x10, bytes(65_535))]


def test_hangup_and_error_as_bytes() -> None:
    assert encode_hangup() == b"\x00\x00\x00"
    assert encode_error(4) == b"\xff\x00\x01\x04"
    assert parse(encode_hangup() + encode_error(1)) == [Message(0, b""), Message(0xFF, b"\x01")]


def recorded(name: str) -> list[Message]:
    return MessageParser().feed((DATA / name).read_bytes())


def prompt() -> bytes:
    """Return what Asterisk plays of the prompt: its WAV reader leaves out the last 44 bytes."""
    with wave.open(str(DATA.parent / "wav" / "digits_8.wav")) as file:
        frames: bytes = file.readframes(file.getnframes())
    return frames[:-44]


def test_a_whole_call_recorded_from_asterisk_is_its_prompt_its_keys_and_its_prompt() -> None:
    messages = recorded("asterisk_app_dtmf.bin")
    audio = b"".join(m.payload for m in messages if m.kind == Kind.SLIN)
    first = audio.find(prompt())
    assert messages[0].kind == Kind.UUID
    assert [m.payload for m in messages if m.kind == Kind.DTMF] == [b"5", b"#"]
    assert first >= 0
    assert audio.find(prompt(), first + len(prompt())) > first


def test_a_call_recorded_from_the_channel_driver_at_16_khz_is_as_long_as_its_prompt() -> None:
    messages = recorded("asterisk_chan_slin16.bin")
    audio = [m.payload for m in messages[1:]]
    assert {m.kind for m in messages[1:]} == {Kind.SLIN16}
    assert sum(map(len, audio)) > 2 * len(prompt())
