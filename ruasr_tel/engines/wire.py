"""What travels between the server and its engine process, as bytes; no sockets, no processes.

Both ends run the same version on the same machine, so numbers are in native byte order.

    server → engine   one frame with the `EngineSpec`, then segments of requests:
                      SEGMENT header, then its samples as raw int16
    engine → server   frames: `Ready` or `Failed` once, then one `Decoded` or `Refused` per request,
                      in any order

A frame is LENGTH followed by that many bytes of JSON.
"""

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ruasr_tel.engines.base import EngineInfo, EngineSpec, Hypothesis
from ruasr_tel.errors import ProtocolError
from ruasr_tel.types import Samples

LENGTH = struct.Struct("=I")  # bytes of JSON that follow
SEGMENT = struct.Struct("=IiII")  # request, sample rate in Hz, samples, segments still to come

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


Message: TypeAlias = Ready | Failed | Decoded | Refused


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrives in the engine process."""

    number: int
    segments: tuple[Segment, ...]


def encode_request(number: int, segments: Sequence[Segment]) -> list[bytes | memoryview]:
    """Return one request as chunks to write in order; the samples are not copied.

    Args:
        number: 0..2^32-1, names the answer.
        segments: at least one; int16, one dimension.
    """
    chunks: list[bytes | memoryview] = []
    for following, (samples, rate_hz) in zip(reversed(range(len(segments))), segments, strict=True):
        chunks.append(SEGMENT.pack(number, rate_hz, len(samples), following))
        if len(samples):
            chunks.append(np.ascontiguousarray(samples).data.cast("B"))
    return chunks


class RequestParser:
    """Reads requests straight into their arrays.

    Read up to `len(want())` bytes into `want()`, tell `filled` how many came, and again. So the
    samples are copied once, by the kernel.
    """

    def __init__(self) -> None:
        self._header = bytearray(SEGMENT.size)
        self._rest = memoryview(self._header)
        self._samples: Samples | None = None  # None while the header is read
        self._number, self._rate_hz, self._following = 0, 0, 0
        self._segments: list[Segment] = []

    def want(self) -> memoryview:
        """Return the buffer for the next bytes; never empty."""
        return self._rest

    def filled(self, count: int) -> Request | None:
        """Take note of `count` bytes written to `want()`; return the request they complete."""
        self._rest = self._rest[count:]
        if self._rest:
            return None
        if self._samples is None:
            self._number, self._rate_hz, length, self._following = SEGMENT.unpack(self._header)
            self._samples = np.empty(length, dtype=np.int16)
            if length:
                self._rest = self._samples.data.cast("B")
                return None
        return self._end_segment(self._samples)

    def _end_segment(self, samples: Samples) -> Request | None:
        """Keep one whole segment; return its request if it was the last one."""
        self._segments.append((samples, self._rate_hz))
        self._samples = None
        self._rest = memoryview(self._header)
        if self._following:
            return None
        request = Request(self._number, tuple(self._segments))
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
        body["hypotheses"] = [_plain(one) for one in message.hypotheses]
    return _frame({"message": type(message).__name__} | body)


def parse_message(content: bytes) -> Message:
    """Return the message in a frame's content.

    Raises:
        ProtocolError: it is not one of the four.
    """
    try:
        body = json.loads(content)
        kind = body.pop("message")
        if kind == "Ready":
            return Ready(EngineInfo(**body["info"]), float(body["load_s"]))
        if kind == "Failed":
            return Failed(**body)
        if kind == "Decoded":
            return Decoded(body["request"], tuple(map(_hypothesis, body["hypotheses"])))
        if kind == "Refused":
            return Refused(**body)
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise ProtocolError(f"not a message of an engine: {exc!r}") from exc
    raise ProtocolError(f"unknown message {kind!r} of an engine")


def _hypothesis(body: Mapping[str, Any]) -> Hypothesis:
    log_probs = body["log_probs"]
    return Hypothesis(
        body["text"],
        tuple(body["tokens"]),
        tuple(body["starts_s"]),
        None if log_probs is None else tuple(log_probs),
    )


def _plain(value: EngineSpec | EngineInfo | Hypothesis | Message) -> dict[str, Any]:
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
