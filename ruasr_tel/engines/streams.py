"""The streams of one engine, in the engine process: their audio is gathered, they advance together.

One thread owns the engine's streams. It takes the audio of all streams that have news and advances
them in one go: at once, or for an engine that gains from batches every `EngineInfo.chunk_s`. A
stream that ends is not held back for that.
"""

import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from ruasr_tel.audio.resample import Downsampler, Upsampler, stream_resampler
from ruasr_tel.engines import wire
from ruasr_tel.engines.base import DecodeOptions, Hypothesis, Piece, StreamingEngine
from ruasr_tel.engines.prepare import SHORTEST_S, clip
from ruasr_tel.errors import DecodeError
from ruasr_tel.types import Samples, Waveform


@dataclass(slots=True)
class _Stream:
    """One stream: what came and was not heard yet, and what the engine knows of it."""

    number: int
    rate_hz: int
    options: DecodeOptions
    waiting: list[Samples] = field(default_factory=list)
    ended: bool = False
    pieces: int = 0  # that were heard
    samples: int = 0  # that were heard, at `rate_hz`
    text: str = ""
    handle: object = None
    resampler: Downsampler | Upsampler | None = None

    @property
    def audio_s(self) -> float:
        return self.samples / self.rate_hz


@dataclass(frozen=True, slots=True)
class _News:
    """What one stream brings to an advance."""

    stream: _Stream
    pieces: Sequence[Samples]
    last: bool


class Streams:
    """Takes pieces from any thread; one thread calls `run`, or a test `step`.

    Args:
        engine: the engine.
        send: takes `Heard`, `Finished` and `Lost`, in the thread of `run`.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        engine: StreamingEngine,
        send: Callable[[wire.Message], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._send = send
        self._clock = clock
        self._came = threading.Condition()
        self._streams: dict[int, _Stream] = {}
        self._news: dict[int, _Stream] = {}  # those with audio that waits, or with an end
        self._pieces = 0  # that came
        self._owes = False  # a piece came that no advance will tell of
        self._ticked_s = -math.inf  # when all streams with news were advanced

    def put(self, audio: wire.Audio) -> None:
        """Take one piece; pieces of a stream that is lost or dropped are ignored."""
        with self._came:
            self._pieces += 1
            if audio.flags & wire.Flag.FIRST:
                stream = _Stream(audio.stream, audio.sample_rate_hz, audio.options)
                self._streams[audio.stream] = stream
            if audio.flags & wire.Flag.DROP:
                self._forget(audio.stream)
            elif audio.stream in self._streams:
                stream = self._streams[audio.stream]
                stream.waiting.append(audio.samples)
                stream.ended = bool(audio.flags & wire.Flag.LAST)
                self._news[audio.stream] = stream
            self._owes = self._owes or audio.stream not in self._streams
            self._came.notify()

    def run(self) -> None:
        """Advance streams for ever."""
        while True:
            wait_s = self.step()
            if wait_s == 0.0:
                continue
            with self._came:
                if self._wait_s() != 0.0:
                    self._came.wait(wait_s)

    def step(self) -> float | None:
        """Advance what is due; return the seconds until something will be, None for no news."""
        with self._came:
            if self._wait_s() != 0.0:
                return self._wait_s()
            news = self._take()
            left = self._pieces - sum(len(stream.waiting) for stream in self._news.values())
        began_s = self._clock()
        heard = tuple(self._advance(news))
        self._send(wire.Heard(left, heard, self._clock() - began_s))
        with self._came:
            return self._wait_s()

    def _wait_s(self) -> float | None:
        """Return how long nothing is due; 0 if something is now, None if there is no news."""
        if self._owes or any(stream.ended for stream in self._news.values()):
            return 0.0
        if not self._news:
            return None
        return max(0.0, self._ticked_s + self._engine.info.chunk_s - self._clock())

    def _take(self) -> list[_News]:
        """Return what to advance now: all with news on a tick, else those that end."""
        self._owes = False
        now_s = self._clock()
        ticks = now_s >= self._ticked_s + self._engine.info.chunk_s
        if ticks and self._news:
            self._ticked_s = now_s
        due = [stream for stream in self._news.values() if ticks or stream.ended]
        news = [_News(stream, stream.waiting, stream.ended) for stream in due]
        for stream in due:
            stream.waiting = []
            del self._news[stream.number]
            if stream.ended:
                del self._streams[stream.number]
        return news

    def _advance(self, news: Sequence[_News]) -> list[tuple[int, int, str | None]]:
        """Advance streams; tell those that end or are lost, return what is heard of the others."""
        ready = [(each, piece) for each in news if (piece := self._piece(each)) is not None]
        if not ready:
            return []
        try:
            hypotheses = self._engine.advance([piece for _, piece in ready])
            if len(hypotheses) != len(ready):
                raise DecodeError(
                    f"the engine gave {len(hypotheses)} answers to {len(ready)} streams"
                )
        except Exception as exc:  # noqa: BLE001 - it belongs to whoever waits for these streams
            for each, _ in ready:
                self._lose(each.stream, exc)
            return []
        heard = []
        for (each, _), hypothesis in zip(ready, hypotheses, strict=True):
            if each.last:
                self._finish(each.stream, hypothesis)
            elif each.stream.number in self._streams:
                heard.append(_heard(each.stream, hypothesis.text))
        return heard

    def _piece(self, news: _News) -> Piece | None:
        """Return new audio as the engine takes it; None if its stream cannot be."""
        stream, rate_hz = news.stream, self._engine.info.sample_rate_hz
        try:
            if stream.resampler is None:
                stream.resampler = stream_resampler(stream.rate_hz, rate_hz)
                stream.handle = self._engine.open_stream(stream.options)
            parts = [stream.resampler.push(np.concatenate(news.pieces))]
            stream.pieces += len(news.pieces)
            stream.samples += sum(map(len, news.pieces))
            if news.last:
                parts += [stream.resampler.finish(), self._padding(stream)]
            return Piece(stream.handle, np.concatenate(parts), news.last)
        except Exception as exc:  # noqa: BLE001 - it belongs to whoever waits for this stream
            self._lose(stream, exc)
            return None

    def _padding(self, stream: _Stream) -> Waveform:
        """Return the silence that makes a stream as long as the model needs."""
        info = self._engine.info
        missing_s = max(0.0, max(SHORTEST_S, info.min_segment_s) - stream.audio_s)
        return np.zeros(math.ceil(missing_s * info.sample_rate_hz), dtype=np.float32)

    def _finish(self, stream: _Stream, hypothesis: Hypothesis) -> None:
        self._send(wire.Finished(stream.number, clip(hypothesis, stream.audio_s)))

    def _lose(self, stream: _Stream, exc: Exception) -> None:
        with self._came:
            self._forget(stream.number)
        reason = str(exc) if isinstance(exc, DecodeError) else f"{type(exc).__name__}: {exc}"
        self._send(wire.Lost(stream.number, reason))

    def _forget(self, number: int) -> None:
        self._streams.pop(number, None)
        self._news.pop(number, None)


def _heard(stream: _Stream, text: str) -> tuple[int, int, str | None]:
    changed = text != stream.text
    stream.text = text
    return stream.number, stream.pieces, text if changed else None
