"""What becomes of one leg's segments: recognised while they grow and when closed, then told."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ruasr_tel.assemble import Assembler, Line
from ruasr_tel.boundary import SegmentReady
from ruasr_tel.engines.base import DecodeOptions, Hypothesis
from ruasr_tel.engines.hearing import Hearing
from ruasr_tel.errors import Overloaded
from ruasr_tel.events import Event, Final, Partial, SpeechStarted
from ruasr_tel.language.choice import NONE
from ruasr_tel.open_segment import LiveSegment
from ruasr_tel.partials import Partials
from ruasr_tel.profile import Profile
from ruasr_tel.scheduler import FINAL_DUE_S, Job, Priority, Scheduler
from ruasr_tel.types import CallId, LegId, Samples
from ruasr_tel.vad.batcher import VadBatcher

STREAMS = 2
"""Streams of one segment: when the engine process ends under the first, its successor hears the
segment from its start, so that partials go on. No more: it may be this segment that ends it."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a leg needs of the rest of the server.

    Attributes:
        scheduler: takes segments.
        batcher: scores windows.
        emit: takes the leg's events.
        mono: monotonic seconds.
        finish_timeout_s: longest wait for outstanding finals at a flush.
        priority: of its segments; BULK for a recording, which then has no partials.
        streams: takes the open segment while it is spoken: `scheduler` itself, then finals come
            from the stream as well; or that of another engine, then only partials do; or None.
    """

    scheduler: Scheduler
    batcher: VadBatcher
    emit: Callable[[Event], None]
    mono: Callable[[], float]
    finish_timeout_s: float
    priority: Priority = Priority.FINAL
    streams: Scheduler | None = None


class Segments:
    """One leg's segments on their way to text; positions are samples of its buffer.

    Args:
        call_id: the call.
        leg_id: the leg.
        sample_rate_hz: rate of the audio.
        profile: how to listen.
        around: the rest of the server.
        offset_s: call time of the buffer's sample 0.
        on_answer: told whenever a segment was answered.
    """

    def __init__(
        self,
        call_id: CallId,
        leg_id: LegId,
        sample_rate_hz: int,
        profile: Profile,
        around: Surroundings,
        offset_s: float,
        on_answer: Callable[[], None],
    ) -> None:
        self._call_id = call_id
        self._leg_id = leg_id
        self._rate_hz = sample_rate_hz
        self._around = around
        self._offset_s = offset_s
        self._on_answer = on_answer
        self._started_s = around.mono()
        self._assembler = Assembler(sample_rate_hz)
        self._partial = Partials(profile.partials, sample_rate_hz)
        self._shows_partials = profile.partials.enabled
        self._live: LiveSegment | None = None
        self._streams_left = STREAMS  # that the open segment may still have
        self._hearings: dict[int, Hearing] = {}  # of closed segments
        self._jobs: dict[int, Job] = {}
        self._spoken_s: dict[int, float] = {}  # when the last speech of a segment arrived
        self._options = profile.options  # of the segments that will begin
        self._lm = self._options.lm
        self._open_options = self._options  # of the open one
        self.decoded = 0
        """Samples in segments that the engine answered."""
        self.undecoded: Counter[str] = Counter()
        """Samples in segments that got an empty final, by reason."""

    @property
    def pending(self) -> int:
        """Segments that have no final yet."""
        return self._assembler.pending

    @property
    def pending_samples(self) -> int:
        """Their samples."""
        return self._assembler.pending_samples

    def set_options(self, options: DecodeOptions) -> None:
        """Ask this of the engine for the segments that begin from now on."""
        self._options = replace(options, lm=options.lm or self._lm)

    def time_s(self, sample: int) -> float:
        """Return the call time of a sample of the buffer."""
        return self._offset_s + sample / self._rate_hz

    def shift(self, seconds: float) -> None:
        """Move the time line: so much audio came that the buffer never saw."""
        self._offset_s += seconds

    def begin(self, speech: int, end: int) -> None:
        """Speech began at sample `speech`; the detector has heard the audio up to `end`."""
        self._around.emit(SpeechStarted(self._call_id, self._leg_id, _utc(), self.time_s(speech)))
        self._next(end)

    def grow(self, start: int, end: int, audio: Callable[[int], Samples]) -> None:
        """Recognise the open segment as it is, if it is time.

        Args:
            start: its first sample.
            end: one past the newest sample that the detector has heard.
            audio: gives its audio from a sample up to `end`, int16, shape (n,).
        """
        if self._live is not None and self._live.hearing.died and self._streams_left:
            self._live = None
        if self._live is None and self._around.streams is not None:
            self._live = self._open_stream(self._around.streams, start)
        if self._live is not None:
            self._live.grow(end, audio)
        elif self._partial.due(end):
            self._decode_open(start, end, audio(start))

    def _open_stream(self, streams: Scheduler, start: int) -> LiveSegment | None:
        """Return the open segment as a stream; None where there is none to be had."""
        only_shown = streams is not self._around.scheduler
        if only_shown and not self._shows_partials:
            return None
        options = _shown(self._open_options) if only_shown else self._open_options
        priority = Priority.PARTIAL if only_shown else self._around.priority
        hearing = streams.open_stream(self._rate_hz, options, priority)
        if hearing is None:
            return None
        self._streams_left -= 1
        self._partial.cancel()
        live = LiveSegment(hearing, start, self._rate_hz)
        if self._shows_partials:
            hearing.on_text = lambda text: self._show(live, text, start)
        return live

    def _show(self, live: LiveSegment, text: str, start: int) -> None:
        """Show what a stream has heard so far, if its segment is still open."""
        if live is self._live and text:
            self._tell_partial(text, self.time_s(start), self.time_s(live.sent))

    def _decode_open(self, start: int, end: int, audio: Samples) -> None:
        """Decode the open segment as it is for a partial."""
        options = _shown(self._open_options)
        priority = Priority.FIRST_PARTIAL if self._partial.is_first else Priority.PARTIAL
        try:
            job = self._around.scheduler.submit(audio, self._rate_hz, priority, options=options)
        except Overloaded:
            self._partial.skip(end)
            return
        self._await_partial(job, start, end)

    def close(self, segment: SegmentReady, end: int, quiet_s: float) -> None:
        """Send a closed segment to recognition.

        Args:
            segment: the segment.
            end: one past the newest sample that the detector has heard.
            quiet_s: seconds of audio since its last speech.
        """
        options, hearing = self._open_options, self._end_stream(segment)
        self._next(end)
        self._assembler.expect(segment, self._offset_s)
        self._spoken_s[segment.index] = self._around.mono() - quiet_s
        if hearing is None:
            self._decode(segment, options)
            return
        self._hearings[segment.index] = hearing
        hearing.result.add_done_callback(lambda done: self._heard(segment, options, done))

    def _end_stream(self, segment: SegmentReady) -> Hearing | None:
        """Return the stream that will give the segment's final, if there is one."""
        live, self._live = self._live, None
        if live is None:
            return None
        if self._around.streams is not self._around.scheduler:
            live.cancel()
            return None
        return live.close(segment)

    def _heard(
        self, segment: SegmentReady, options: DecodeOptions, done: "asyncio.Future[Hypothesis]"
    ) -> None:
        """A stream that ended with its segment was heard, or lost: then decode the segment."""
        if self._hearings.pop(segment.index, None) is None:
            return  # given up
        if done.cancelled() or done.exception() is not None:
            self._decode(segment, options)
        else:
            self._answered(segment.index, done)

    def _decode(self, segment: SegmentReady, options: DecodeOptions) -> None:
        # Due by the pace of a call, so that a file that runs ahead of it yields to live calls.
        paced_s = self._started_s + segment.end / self._rate_hz
        job = self._around.scheduler.submit(
            segment.samples,
            self._rate_hz,
            self._around.priority,
            deadline_s=max(self._around.mono(), paced_s) + FINAL_DUE_S,
            options=options,
        )
        self._jobs[segment.index] = job
        job.result.add_done_callback(lambda done: self._answered(segment.index, done))

    def give_up(self, reason: str) -> None:
        """Give every segment that has no answer an empty final."""
        for index in sorted([*self._jobs, *self._hearings]):
            work = self._jobs.pop(index, None) or self._hearings.pop(index)
            work.cancel()
            self._lines(self._assembler.answer(index, reason))
        self._on_answer()

    def stop(self) -> None:
        """Recognise the open segment no more."""
        self._partial.cancel()
        self._drop_stream()

    def _drop_stream(self) -> None:
        if self._live is not None:
            self._live.cancel()
            self._live = None

    def _next(self, end: int) -> None:
        """A segment begins, or will."""
        self._drop_stream()
        self._streams_left = STREAMS
        self._open_options = self._options
        self._partial.begin(end)

    def _answered(self, index: int, done: "asyncio.Future[Hypothesis]") -> None:
        self._jobs.pop(index, None)
        answer: Hypothesis | str
        if done.cancelled():
            answer = "the server stopped before this segment was decoded"
        else:
            error = done.exception()
            answer = done.result() if error is None else str(error)
        self._lines(self._assembler.answer(index, answer))
        self._on_answer()

    def _lines(self, lines: Sequence[Line]) -> None:
        for line in lines:
            if line.error is None:
                self.decoded += line.fresh_samples
            else:
                self.undecoded["not decoded"] += line.fresh_samples
            self._around.emit(
                Final(
                    self._call_id,
                    self._leg_id,
                    _utc(),
                    line.segment,
                    line.text,
                    line.words,
                    line.start_s,
                    line.end_s,
                    line.reason,
                    line.confidence,
                    line.error,
                    self._around.mono() - self._spoken_s.pop(line.segment),
                    line.alternatives,
                    line.score,
                    line.match,
                )
            )

    def _await_partial(self, job: Job, start: int, end: int) -> None:
        start_s, end_s = self.time_s(start), self.time_s(end)
        sent_s = self._around.mono()
        agreement = self._partial.sent(job, end)

        def answered(done: "asyncio.Future[Hypothesis]") -> None:
            self._partial.came_back(job, self._around.mono() - sent_s)
            if done.cancelled():
                return
            failed = done.exception() is not None
            if self._partial.is_stale(agreement):
                return
            if failed:
                self._partial.stop()  # what hurt the engine once would hurt it again
                return
            text = agreement.push(done.result().text)
            if text is not None:
                self._tell_partial(text, start_s, end_s)

        job.result.add_done_callback(answered)

    def _tell_partial(self, text: str, start_s: float, end_s: float) -> None:
        self._around.emit(Partial(self._call_id, self._leg_id, _utc(), text, start_s, end_s))


def _shown(options: DecodeOptions) -> DecodeOptions:
    """Return what to ask for where the answer is only shown: one reading, no language model.

    With one, the embedded model's first partials at 50 calls came after 1.5 s (p95 4.5 s) in place
    of 0.8 s (our measurement): the search costs several times what so small a network does.
    """
    return replace(options, alternatives=1, lm=NONE)


def _utc() -> datetime:
    return datetime.now(UTC)
