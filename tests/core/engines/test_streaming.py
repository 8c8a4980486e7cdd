from dataclasses import dataclass

import numpy as np
import pytest

from ruasr_tel.engines import scripted
from ruasr_tel.engines.base import PLAIN, EngineSpec, Piece
from ruasr_tel.engines.streaming import decode_whole, stream_of
from ruasr_tel.errors import DecodeError

SAMPLES = np.zeros(800, dtype=np.float32)


@dataclass
class Stream:
    ended: bool = False


def test_whole_segments_are_streams_of_one_piece() -> None:
    engine = scripted.create(EngineSpec("scripted", "x"))
    segments = [SAMPLES + 0.1, SAMPLES, SAMPLES[:400] + 0.2]
    assert decode_whole(engine, segments, PLAIN) == engine.decode(segments)
    assert decode_whole(engine, [], PLAIN) == []


def test_a_piece_belongs_to_a_stream_that_goes_on() -> None:
    stream = Stream()
    assert stream_of(Piece(stream, SAMPLES), Stream, "toy") is stream
    stream.ended = True
    with pytest.raises(DecodeError, match=r"^this stream has ended: it had its last piece$"):
        stream_of(Piece(stream, SAMPLES), Stream, "toy")
    with pytest.raises(DecodeError, match=r"^a str is not a stream of engine toy$"):
        stream_of(Piece("another's", SAMPLES), Stream, "toy")
