"""Reads the word pieces of a sentencepiece model, which icefall's models bring as bpe.model.

Its file is a protobuf (sentencepiece_model.proto): field 1 of ModelProto holds one piece, of which
field 1 is the text and field 2 the score. The package of that name would be 8 MB for this.
"""

import struct
from collections.abc import Iterator
from pathlib import Path

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # protobuf's wire types


def read_pieces(path: Path) -> list[tuple[str, float]]:
    """Return the pieces of a sentencepiece model with their scores, in the order of their ids.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no such file.
    """
    try:
        found = [_piece(content) for number, content in _fields(path.read_bytes()) if number == 1]
    except (ValueError, IndexError, struct.error) as exc:
        raise ValueError(f"{path} is no sentencepiece model") from exc
    if not found:
        raise ValueError(f"{path} has no pieces")
    return found


def _piece(content: bytes) -> tuple[str, float]:
    values = dict(_fields(content))
    (score,) = struct.unpack("<f", values.get(2, b"\0\0\0\0"))
    return values[1].decode("utf-8") if 1 in values else "", score


def _fields(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield number and raw value of each field of a protobuf message; of numbers their bytes."""
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            begin = at
            _, at = _varint(content, at)
        elif kind == _BYTES:
            size, begin = _varint(content, at)
            at = begin + size
        elif kind in (_FIXED32, _FIXED64):
            begin, at = at, at + (4 if kind == _FIXED32 else 8)
        else:
            raise ValueError(f"wire type {kind}")
        if at > len(content):
            raise ValueError("a field is longer than the message")
        yield number, content[begin:at]


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """Return a number and where it ends."""
    value = shift = 0
    while True:
        byte = content[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
