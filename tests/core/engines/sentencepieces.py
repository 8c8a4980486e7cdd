"""Writes sentencepiece models."""

import struct


def sentencepiece_model(pieces: dict[str, float]) -> bytes:
    """The bytes of a ModelProto: pieces with text, score and type, then a field of another kind."""
    content = b""
    for text, score in pieces.items():
        name = text.encode()
        piece = (
            b"\x0a" + bytes([len(name)]) + name + b"\x15" + struct.pack("<f", score) + b"\x18\x01"
        )
        content += b"\x0a" + bytes([len(piece)]) + piece
    return content + b"\x12\x02\x08\x01"  # trainer_spec
