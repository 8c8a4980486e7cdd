"""What engines that hear streams do alike."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from ruasr_tel.engines.base import DecodeOptions, Hypothesis, Piece, StreamingEngine
from ruasr_tel.errors import DecodeError
from ruasr_tel.types import Waveform


class Ending(Protocol):
    """A stream that knows whether it had its last piece."""

    @property
    def ended(self) -> bool:
        """Whether it had."""
        ...


S = TypeVar("S", bound=Ending)


def decode_whole(
    engine: StreamingEngine, segments: Sequence[Waveform], options: DecodeOptions
) -> list[Hypothesis]:
    """Return one hypothesis per segment, in order: each is a stream of one piece.

    Raises:
        DecodeError: the engine could not decode one of them.
    """
    return engine.advance(
        [Piece(engine.open_stream(options), samples, last=True) for samples in segments]
    )


def stream_of(piece: Piece, kind: type[S], engine: str) -> S:
    """Return the stream that a piece belongs to.

    Args:
        piece: new audio.
        kind: the engine's streams.
        engine: its name, for the message.

    Raises:
        DecodeError: it is another engine's stream, or one that has ended.
    """
    if not isinstance(piece.stream, kind):
        raise DecodeError(f"a {type(piece.stream).__name__} is not a stream of engine {engine}")
    if piece.stream.ended:
        raise DecodeError("this stream has ended: it had its last piece")
    return piece.stream
