"""What travels between the server and its engine process, as bytes; no sockets, no processes.

Both ends run the same version on the same machine, so numbers are in native byte order.

    server → engine   one frame with the `EngineSpec`, then segments of requests and pieces of
                      streams: HEADER, then options as JSON, then samples as raw int16
    engine → server   frames: `Ready` or `Failed` once, then one `Decoded` or `Refused` per request,
                      in any order, and what streams bring: `Heard`, one `Finished` or `Lost` each

A frame is LENGTH followed by that many bytes of JSON.
"""

import json
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import IntFlag
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ruasr_tel.engines.base import PLAIN, DecodeOptions, EngineInfo, EngineSpec, Hypothesis
from ruasr_tel.errors import ProtocolError
from ruasr_tel.types import Samples

LENGTH = struct.Struct("=I")  # bytes of JSON that follow
HEADER = struct.Struct("=BIiIII")
"""Kind, number of request or stream, sample rate in Hz, samples, segments still to come or `Flag`,
bytes of options; 0 bytes mean PLAIN, or with a piece that is not the first, nothing."""

SEGMENT_KIND, PIECE_KIND = 0, 1

MAX_FRAME_BYTES = 1 << 24
"""A longer frame means a damaged peer: a hypothesis of 60 s of speech takes about 60 kB of JSON."""

Segment: TypeAlias = tuple[Samples, int]
"""int16 samples, shape (n,), and their rate in Hz."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The model is loaded and has decoded its probe.

    Attributes:
        info: what was loaded.
        load_s: seconds from the spec to here.
    """

    info: EngineInfo
    load_s: float


@dataclass(frozen=True, slots=True)
class Failed:
    """The model cannot be used.

    Attributes:
        kind: name of the error in `ruasr_tel.errors`: ModelLoadError or ConfigError.
        reason: its sentence.
    """

    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class Decoded:
    """The answer to one request: one hypothesis per segment, in order."""

    request: int
    hypotheses: tuple[Hypothesis, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The engine could not decode one request, and why."""

    request: int
    reason: str


@dataclass(frozen=True, slots=True)
class Heard:
    """What the engine took in of streams, all together.

    Attributes:
        pieces: of all streams together, how many of those that came do not wait any more.
        streams: of each stream that was advanced and goes on, its number, how many pieces of it
            were heard so far, and its text if that has changed, else None.
        busy_s: how long the engine worked on it, those that ended included.
    """

    pieces: int
    streams: tuple[tuple[int, int, str | None], ...]
    busy_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Finished:
    """A stream was heard to its last piece; there is nothing more of it."""

    stream: int
    hypothesis: Hypothesis


@dataclass(frozen=True, slots=True)
class Lost:
    """The engine gave a stream up, and why; there is nothing more of it."""

    stream: int
    reason: str


Message: TypeAlias = Ready | Failed | Decoded | Refused | Heard | Finished | Lost


class Flag(IntFlag):
    """What a piece is to its stream."""

    MIDDLE = 0
    FIRST = 1
    """The stream is new; the piece carries its options."""
    LAST = 2
    """No more audio comes: `Finished` is the answer."""
    DROP = 4
    """Nobody waits for the stream any more; no answer is sent."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrives in the engine process."""

    number: int
    segments: tuple[Segment, ...]
    options: DecodeOptions = PLAIN


@dataclass(frozen=True, slots=True)
class Audio:
    """One piece of a stream as it arrives in the engine process.

    Attributes:
        stream: its number; never used again for another one.
        samples: int16, shape (n,), n >= 0.
        sample_rate_hz: the same for all pieces of a stream.
        flags: what the piece is to its stream.
        options: of the stream, with the first piece.
    """

    stream: int
    samples: Samples
    sample_rate_hz: int
    flags: Flag
    options: DecodeOptions = PLAIN


def encode_request(
    number: int, segments: Sequence[Segment], options: DecodeOptions = PLAIN
) -> list[bytes | memoryview]:
    """Return one request as chunks to write in order; the samples are not copied.

    Args:
        number: 0..2^32-1, names the answer.
        segments: at least one; int16, one dimension.
        options: what is asked of the decode.
    """
    chunks: list[bytes | memoryview] = []
    asked = _encode_options(options)
    for following, (samples, rate_hz) in zip(reversed(range(len(segments))), segments, strict=True):
        chunks += _unit(SEGMENT_KIND, number, rate_hz, following, asked, samples)
        asked = b""
    return chunks


def encode_piece(piece: Audio) -> list[bytes | memoryview]:
    """Return one piece of a stream as chunks to write in order; the samples are not copied."""
    asked = _encode_options(piece.options)
    return _unit(PIECE_KIND, piece.stream, piece.sample_rate_hz, piece.flags, asked, piece.samples)


def _unit(
    kind: int, number: int, rate_hz: int, more: int, asked: bytes, samples: Samples
) -> list[bytes | memoryview]:
    chunks: list[bytes | memoryview] = [
        HEADER.pack(kind, number, rate_hz, len(samples), more, len(asked)) + asked
    ]
    if len(samples):
        chunks.append(np.ascontiguousarray(samples).data.cast("B"))
    return chunks


def _encode_options(options: DecodeOptions) -> bytes:
    if options == PLAIN:
        return b""
    return json.dumps(_plain(options), ensure_ascii=False).encode()


def _parse_options(content: bytearray) -> DecodeOptions:
    """Return the options a unit carries; it comes from our own end, so it is one."""
    body = json.loads(content)
    return DecodeOptions(**body | {"phrases": tuple(body["phrases"])})


class RequestParser:
    """Reads requests and pieces straight into their arrays.

    Read up to `len(want())` bytes into `want()`, tell `filled` how many came, and again. So the
    samples are copied once, by the kernel.
    """

    def __init__(self) -> None:
        self._header = bytearray(HEADER.size)
        self._rest = memoryview(self._header)
        self._steps = self._units()
        next(self._steps)
        self._segments: list[Segment] = []  # of the request that is arriving
        self._options = PLAIN  # its options

    def want(self) -> memoryview:
        """Return the buffer for the next bytes; never empty."""
        return self._rest

    def filled(self, count: int) -> Request | Audio | None:
        """Take note of `count` bytes written to `want()`; return what they complete."""
        self._rest = self._rest[count:]
        return None if self._rest else next(self._steps)

    def _units(self) -> Iterator[Request | Audio | None]:
        """Read one unit after another; at each yield `_rest` is to be filled."""
        complete: Request | Audio | None = None
        while True:
            self._rest = memoryview(self._header)
            yield complete
            kind, number, rate_hz, length, more, asked = HEADER.unpack(self._header)
            options = PLAIN
            if asked:
                content = bytearray(asked)
                self._rest = memoryview(content)
                yield None
                options = _parse_options(content)
            samples: Samples = np.empty(length, dtype=np.int16)
            if length:
                self._rest = samples.data.cast("B")
                yield None
            if kind == PIECE_KIND:
                complete = Audio(number, samples, rate_hz, Flag(more), options)
            else:
                complete = self._segment(number, (samples, rate_hz), more, options)

    def _segment(
        self, number: int, segment: Segment, following: int, options: DecodeOptions
    ) -> Request | None:
        """Keep one whole segment; return its request if it was the last one."""
        if not self._segments:
            self._options = options
        self._segments.append(segment)
        if following:
            return None
        request = Request(number, tuple(self._segments), self._options)
        self._segments = []
        return request


class FrameParser:
    """Cuts a stream of bytes into frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Return the content of every frame completed by `data`; keep the rest for later.

        Raises:
            ProtocolError: a frame is longer than MAX_FRAME_BYTES.
        """
        self._buffer += data
        out: list[bytes] = []
        while len(self._buffer) >= LENGTH.size:
            (length,) = LENGTH.unpack_from(self._buffer)
            if length > MAX_FRAME_BYTES:
                raise ProtocolError(f"frame of {length} bytes, at most {MAX_FRAME_BYTES} allowed")
            end = LENGTH.size + length
            if len(self._buffer) < end:
                break
            out.append(bytes(self._buffer[LENGTH.size : end]))
            del self._buffer[:end]
        return out


def encode_spec(spec: EngineSpec) -> bytes:
    """Return the frame that tells a new engine process what to load."""
    return _frame(
        _plain(spec)
        | {
            "model_dir": None if spec.model_dir is None else str(spec.model_dir),
            "options": dict(spec.options),
        }
    )


def parse_spec(content: bytes) -> EngineSpec:
    """Return the spec in a frame's content.

    Raises:
        ProtocolError: it is not a spec.
    """
    try:
        spec = json.loads(content)
        folder = spec.pop("model_dir")
        return EngineSpec(model_dir=None if folder is None else Path(folder), **spec)
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise ProtocolError(f"not an engine spec: {exc!r}") from exc


def encode_message(message: Message) -> bytes:
    """Return the frame of one message; numpy numbers become plain ones.

    Raises:
        TypeError: an engine put something into a hypothesis that is neither text nor number.
    """
    body = _plain(message)
    if isinstance(message, Ready):
        body["info"] = _plain(message.info)
    elif isinstance(message, Decoded):
        body["hypotheses"] = [_encode_hypothesis(one) for one in message.hypotheses]
    elif isinstance(message, Finished):
        body["hypothesis"] = _encode_hypothesis(message.hypothesis)
    return _frame({"message": type(message).__name__} | body)


def parse_message(content: bytes) -> Message:
    """Return the message in a frame's content.

    Raises:
        ProtocolError: it is none.
    """
    try:
        body = json.loads(content)
        kind = body.pop("message")
        parse = _PARSERS.get(kind) if isinstance(kind, str) else None
        if parse is not None:
            return parse(body)
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise ProtocolError(f"not a message of an engine: {exc!r}") from exc
    raise ProtocolError(f"unknown message {kind!r} of an engine")


_PARSERS: dict[str, Callable[[dict[str, Any]], Message]] = {
    "Ready": lambda body: Ready(EngineInfo(**body["info"]), float(body["load_s"])),
    "Failed": lambda body: Failed(**body),
    "Decoded": lambda body: Decoded(body["request"], tuple(map(_hypothesis, body["hypotheses"]))),
    "Refused": lambda body: Refused(**body),
    "Heard": lambda body: Heard(
        body["pieces"],
        tuple((int(n), int(k), t) for n, k, t in body["streams"]),
        float(body["busy_s"]),
    ),
    "Finished": lambda body: Finished(body["stream"], _hypothesis(body["hypothesis"])),
    "Lost": lambda body: Lost(**body),
}


def _encode_hypothesis(hypothesis: Hypothesis) -> dict[str, Any]:
    body = _plain(hypothesis)
    if hypothesis.alternatives:
        body["alternatives"] = [_encode_hypothesis(one) for one in hypothesis.alternatives]
    return body


def _hypothesis(body: Mapping[str, Any]) -> Hypothesis:
    log_probs = body["log_probs"]
    return Hypothesis(
        body["text"],
        tuple(body["tokens"]),
        tuple(body["starts_s"]),
        None if log_probs is None else tuple(log_probs),
        body["score"],
        tuple(map(_hypothesis, body["alternatives"])),
        body["match"],
    )


def _plain(
    value: EngineSpec | EngineInfo | DecodeOptions | Hypothesis | Message,
) -> dict[str, Any]:
    """Return a dataclass's own fields; unlike `dataclasses.asdict` it copies nothing below them."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _frame(body: dict[str, Any]) -> bytes:
    content = json.dumps(body, ensure_ascii=False, default=_number).encode()
    return LENGTH.pack(len(content)) + content


def _number(value: object) -> float:
    """Return a numpy number as a plain one: engines may answer with either."""
    if isinstance(value, np.generic):
        return float(value)
    raise TypeError(f"{type(value).__name__} in an engine's answer")
