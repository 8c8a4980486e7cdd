import struct
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruasr_tel.audio.codec import Decoder, Encoding, encode


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    """`data`, cut at the given places (taken modulo its length)."""
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in pairwise(places)]


@given(
    encoding=st.sampled_from(Encoding), data=st.binary(max_size=400), cuts=st.lists(st.integers(0))
)
def test_any_split_of_the_bytes_gives_the_same_samples(
    encoding: Encoding, data: bytes, cuts: list[int]
) -> None:
    whole = Decoder(encoding).decode(data)
    decoder = Decoder(encoding)
    parts = [decoder.decode(piece) for piece in pieces(data, cuts)]

    assert np.concatenate(parts).tolist() == whole.tolist()
    assert all(part.dtype == np.int16 for part in parts)


def test_slin_is_little_endian() -> None:
    data = struct.pack("<4h", 1, -2, 32767, -32768)

    assert Decoder(Encoding.SLIN).decode(data).tolist() == [1, -2, 32767, -32768]


def test_an_odd_byte_waits_for_the_next_message() -> None:
    decoder = Decoder(Encoding.SLIN)

    assert decoder.decode(b"\x34").tolist() == []
    assert decoder.pending_bytes == 1
    assert decoder.decode(b"\x12\x78").tolist() == [0x1234]
    assert decoder.pending_bytes == 1
    assert decoder.decode(b"\x56").tolist() == [0x5678]
    assert decoder.pending_bytes == 0


@pytest.mark.parametrize(
    ("encoding", "data", "samples"),
    [
        # ITU-T G.711 tables 1a and 2a, scaled to 16 bits: both ends, the smallest steps, a middle.
        (Encoding.PCMU, b"\x00\x80\x7f\xff\x7e\xfe\x0f", [-32124, 32124, 0, 0, -8, 8, -16764]),
        (Encoding.PCMA, b"\x2a\xaa\x55\xd5\x54\xd4\x35", [-32256, 32256, -8, 8, -24, 24, -8448]),
    ],
)
def test_g711_matches_the_tables_of_the_recommendation(
    encoding: Encoding, data: bytes, samples: list[int]
) -> None:
    assert Decoder(encoding).decode(data).tolist() == samples


@pytest.mark.parametrize("encoding", [Encoding.PCMU, Encoding.PCMA])
def test_every_g711_code_survives_a_round_trip(encoding: Encoding) -> None:
    codes = bytes(range(256))

    again = encode(Decoder(encoding).decode(codes), encoding)

    changed = [(code, new) for code, new in zip(codes, again, strict=True) if code != new]
    # mu-law has two zeros, 0x7f (negative) and 0xff (positive); only the positive one is written.
    assert changed == ([(0x7F, 0xFF)] if encoding is Encoding.PCMU else [])


@given(data=st.binary(max_size=400).filter(lambda data: len(data) % 2 == 0))
def test_slin_survives_a_round_trip(data: bytes) -> None:
    assert encode(Decoder(Encoding.SLIN).decode(data), Encoding.SLIN) == data


def test_importing_the_codec_warns_of_nothing() -> None:
    command = [sys.executable, "-W", "error", "-c", "import ruasr_tel.audio.codec"]

    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
