"""The RIFF header at the start of audio, cut anywhere."""

import io
import struct
import wave
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruasr_tel.audio.codec import Encoding
from ruasr_tel_adapters.vosk_ws.wav import WavFormat, WavSniffer

PCM = bytes(range(1, 201))


def wav(audio: bytes = PCM, rate_hz: int = 8000, channels: int = 1) -> bytes:
    out = io.BytesIO()
    with wave.open(out, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(2)
        writer.setframerate(rate_hz)
        writer.writeframes(audio)
    return out.getvalue()


def riff(
    tag: int, bits: int, rate_hz: int = 8000, *, extra: bytes = b"", before: bytes = b""
) -> bytes:
    body = struct.pack("<HHIIHH", tag, 1, rate_hz, rate_hz * bits // 8, bits // 8, bits) + extra
    fmt = struct.pack("<4sI", b"fmt ", len(body)) + body + bytes(len(body) % 2)
    return b"RIFF\xff\xff\xff\xffWAVE" + before + fmt + b"data\x00\x00\x00\x00" + PCM


def feed(data: bytes, cuts: list[int]) -> tuple[bytes, WavFormat | None]:
    sniffer = WavSniffer()
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    pieces = [sniffer.feed(data[a:b]) for a, b in pairwise(edges)]
    return b"".join(pieces) + sniffer.flush(), sniffer.format


CUTS = st.lists(st.integers(0, 10**6), max_size=20)


@given(cuts=CUTS, rate_hz=st.sampled_from([8000, 11025, 16000, 48000]))
def test_a_header_is_skipped_however_it_was_cut(cuts: list[int], rate_hz: int) -> None:
    audio, header = feed(wav(rate_hz=rate_hz), cuts)
    assert audio == PCM
    assert header == WavFormat(
        rate_hz, 1, Encoding.SLIN, f"format tag 1, 16 bits, 1 channels, {rate_hz} Hz"
    )


@given(data=st.binary(max_size=300), cuts=CUTS)
def test_audio_without_a_header_passes_unchanged(data: bytes, cuts: list[int]) -> None:
    if data.startswith(b"RIFF"):
        data = b"\x00" + data
    assert feed(data, cuts) == (data, None)


@pytest.mark.parametrize("data", [b"R", b"RIF", b"RIFF", b"RIFF1234AVI ", b"RIFFRIFFRIFFRIFF", b""])
def test_audio_that_begins_like_riff_is_not_lost(data: bytes) -> None:
    assert feed(data, [1, 2, 3, 9]) == (data, None)


@pytest.mark.parametrize(
    ("tag", "bits", "encoding"),
    [
        (1, 16, Encoding.SLIN),
        (6, 8, Encoding.PCMA),
        (7, 8, Encoding.PCMU),
        (1, 8, None),
        (3, 32, None),
    ],
)
def test_formats(tag: int, bits: int, encoding: Encoding | None) -> None:
    audio, header = feed(riff(tag, bits), [])
    assert audio == PCM
    assert header is not None
    assert header.encoding is encoding


def test_extensible_format_says_what_it_really_is() -> None:
    extra = struct.pack("<HHIH14s", 22, 16, 4, 1, b"\x00" * 14)
    _, header = feed(riff(0xFFFE, 16, extra=extra), [])
    assert header is not None
    assert (header.encoding, header.described[:12]) == (Encoding.SLIN, "format tag 1")


def test_other_chunks_and_their_padding_are_skipped() -> None:
    before = b"LIST\x03\x00\x00\x00abc\x00"
    audio, header = feed(riff(7, 8, before=before, extra=b"x"), [10, 20, 30, 50])
    assert audio == PCM
    assert header is not None
    assert header.encoding is Encoding.PCMU


def test_a_header_that_never_ends_is_audio() -> None:
    data = b"RIFF\x00\x00\x00\x00WAVEjunk\xff\xff\xff\xff" + bytes(70_000)
    assert feed(data, [65_000, 66_000]) == (data, None)


def test_a_format_too_short_to_read_is_none() -> None:
    data = b"RIFF\x00\x00\x00\x00WAVEfmt \x04\x00\x00\x00\x01\x00\x01\x00data\x00\x00\x00\x00" + PCM
    assert feed(data, [])[0] == PCM
    assert feed(data, [])[1] is None
