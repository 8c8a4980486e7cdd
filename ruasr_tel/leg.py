"""One party's audio: its clock, voice activity, buffer, partials and ledger."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from ruasr_tel.assemble import Assembler, Line
from ruasr_tel.audio.level import level_db
from ruasr_tel.audio.resample import Downsampler
from ruasr_tel.boundary import (
    BoundaryBuffer,
    BoundaryConfig,
    BoundaryEvent,
    SegmentReady,
)
from ruasr_tel.engines.base import Hypothesis
from ruasr_tel.errors import Overloaded
from ruasr_tel.events import Event, Final, Ledger, Partial, SpeechStarted
from ruasr_tel.partials import Partials, PartialsConfig
from ruasr_tel.scheduler import FINAL_DUE_S, Job, Priority, Scheduler
from ruasr_tel.section import Section
from ruasr_tel.types import CallId, LegId, Samples, Waveform
from ruasr_tel.vad.base import VAD_RATE_HZ, WINDOW_SAMPLES
from ruasr_tel.vad.batcher import VadBatcher

IDLE_AT_LEAST_S = 0.3
"""Audio is late rather than absent up to here: Asterisk's worst gap was 153 ms (measured)."""
STALE_LEVEL_S = 1.0
"""A level is shown for so long after the audio it was measured on."""


class Profile(Section):
    """A named way to listen, chosen per connection."""

    boundary: BoundaryConfig = BoundaryConfig()
    """Where to cut."""
    partials: PartialsConfig = PartialsConfig()
    """What to show before a final."""


DEFAULT_PROFILES: dict[str, Profile] = {
    "default": Profile(),
    "yesno": Profile(
        boundary=BoundaryConfig(endpoint_ms=300, hangover_ms=200, max_segment_s=5),
        partials=PartialsConfig(first_ms=200, interval_ms=300),
    ),
    "digits": Profile(boundary=BoundaryConfig(endpoint_ms=1000)),
    "dialogue": Profile(),
    "dictation": Profile(
        boundary=BoundaryConfig(endpoint_ms=1200), partials=PartialsConfig(interval_ms=1000)
    ),
}
"""Short answers end fast, dictated digits and text come with longer pauses."""


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
    """

    scheduler: Scheduler
    batcher: VadBatcher
    emit: Callable[[Event], None]
    mono: Callable[[], float]
    finish_timeout_s: float
    priority: Priority = Priority.FINAL


class Leg:
    """One party of a call; made by `Call.open_leg`.

    Args:
        call_id: the call.
        leg_id: this leg.
        sample_rate_hz: rate of the audio that comes.
        profile: how to listen.
        around: the rest of the server.
        channel: audio channel index, 0-based.
        offset_s: call time of the leg's first sample.
    """

    def __init__(
        self,
        call_id: CallId,
        leg_id: LegId,
        sample_rate_hz: int,
        profile: Profile,
        around: Surroundings,
        channel: int = 0,
        offset_s: float = 0.0,
    ) -> None:
        self.call_id = call_id
        self.leg_id = leg_id
        self.channel = channel
        self.sample_rate_hz = sample_rate_hz
        self.vad_state = around.batcher.new_state()
        self._profile = profile
        self._around = around
        self._offset_s = offset_s
        self._buffer = BoundaryBuffer(profile.boundary, sample_rate_hz)
        self._assembler = Assembler(sample_rate_hz)
        self._downsampler = Downsampler(sample_rate_hz, VAD_RATE_HZ)
        self._fresh: list[Samples] = []  # arrived since the detector last looked
        self._fresh_samples = 0
        self._unscored: list[Waveform] = []  # at the detector's rate
        self._unscored_samples = 0
        self._in_vad = 0  # windows that the detector has taken and not answered
        self._received = 0
        self._dropped: Counter[str] = Counter()
        self._decoded = 0
        self._jobs: dict[int, Job] = {}
        self._spoken_s: dict[int, float] = {}  # when the last speech of a segment arrived
        self._partial = Partials(profile.partials, sample_rate_hz)
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._started_s = self._last_audio_s = around.mono()
        self._last_push = 0  # samples
        self._newest: Samples | None = None
        self._held = False  # the clock must not end an utterance: somebody waits for us
        around.batcher.add(self)

    # What a door sees

    @property
    def clock_s(self) -> float:
        """Call time of the next sample."""
        return self._time_s(self._end)

    @property
    def backlog_s(self) -> float:
        """Seconds of audio not scored yet or in segments not answered yet."""
        unscored = self._unscored_samples + self._in_vad * WINDOW_SAMPLES
        waiting = self._fresh_samples + self._assembler.pending_samples
        return unscored / VAD_RATE_HZ + waiting / self.sample_rate_hz

    def level_db(self) -> float | None:
        """Return the mean level of the newest audio, dBFS; None when none came for a second."""
        if self._newest is None or self._around.mono() - self._last_audio_s > STALE_LEVEL_S:
            return None
        return level_db(float(np.square(self._newest, dtype=np.float64).mean()))

    def push(self, samples: Samples) -> None:
        """Add audio; never blocks.

        The frames of one tick of the detector are worked on together: that costs half as much.

        Args:
            samples: int16, shape (n,), at `sample_rate_hz`; any n >= 0; must not change any more.
        """
        count = len(samples)
        if not count:
            return
        self._fresh.append(samples)
        self._fresh_samples += count
        self._received += count
        self._last_push = count
        self._last_audio_s = self._around.mono()

    def drop(self, samples_count: int, reason: str) -> None:
        """Account for audio that arrived and will not be decoded; ends the open utterance."""
        self._absorb()
        self._take(self._buffer.flush())
        self._received += samples_count
        self._dropped[reason] += samples_count
        self._offset_s += samples_count / self.sample_rate_hz

    async def flush(self) -> None:
        """End the open utterance and wait until every final so far was emitted.

        Waits at most `finish_timeout_s`; a segment that is not answered by then gets an empty
        final with that reason.
        """
        self._held = True
        try:
            deadline_s = self._around.mono() + self._around.finish_timeout_s
            self._absorb()
            await self._until(self._is_scored, deadline_s)
            self._take(self._buffer.flush())
            if not await self._until(lambda: not self._assembler.pending, deadline_s):
                self._give_up()
        finally:
            self._last_audio_s = self._around.mono()
            self._held = False

    async def backlog_below(self, seconds: float) -> None:
        """Wait until less than so much audio is outstanding: back-pressure for fast peers."""
        self._held = True
        try:
            await self._until(lambda: self.backlog_s < seconds, None)
        finally:
            self._last_audio_s = self._around.mono()
            self._held = False

    # What the call sees

    def tick(self, now_s: float) -> None:
        """End the utterance if audio stopped arriving; Asterisk sends no frames in silence."""
        if self._buffer.open_start is None or self._held or not self._is_scored():
            return
        quiet_s = (self._end - self._buffer.last_speech) / self.sample_rate_hz
        missing_s = max(self._profile.boundary.endpoint_ms / 1000 - quiet_s, 0)
        late_s = max(missing_s, IDLE_AT_LEAST_S)
        late_s += 2 * self._last_push / self.sample_rate_hz
        if now_s - self._last_audio_s >= late_s:
            self._absorb()
            self._take(self._buffer.end_utterance())

    def close(self) -> None:
        """Leave the detector; after `flush`."""
        self._partial.cancel()
        self._around.batcher.remove(self)

    def ledger(self) -> Ledger:
        """Where every sample went; the difference is 0 after `flush`."""
        return Ledger(
            self.sample_rate_hz,
            self._received,
            self._decoded,
            self._buffer.silence,
            dict(self._dropped),
        )

    # What the detector sees (vad.batcher.WindowSource)

    def take_windows(self) -> Waveform:
        """Hand over the whole windows that wait, float32, shape (k, 256), k >= 0."""
        self._absorb()
        windows = self._unscored_samples // WINDOW_SAMPLES
        if not windows:
            return np.zeros((0, WINDOW_SAMPLES), np.float32)
        audio = self._unscored[0] if len(self._unscored) == 1 else np.concatenate(self._unscored)
        used = windows * WINDOW_SAMPLES
        self._unscored = [audio[used:]]
        self._unscored_samples -= used
        self._in_vad += windows
        return audio[:used].reshape(windows, WINDOW_SAMPLES)

    def on_probabilities(self, probabilities: Sequence[float]) -> None:
        """Take the speech probabilities of the windows that were handed over, in order."""
        self._in_vad -= len(probabilities)
        self._take(self._buffer.push(probabilities=probabilities))
        self._maybe_partial()
        self._wake()

    # Inside

    @property
    def _end(self) -> int:
        """Samples received, but for the dropped ones: the buffer's count and the fresh ones."""
        return self._buffer.end + self._fresh_samples

    def _absorb(self) -> None:
        """Hand the fresh audio to the buffer and to the detector's filter."""
        if not self._fresh:
            return
        fresh = self._fresh[0] if len(self._fresh) == 1 else np.concatenate(self._fresh)
        self._fresh = []
        self._fresh_samples = 0
        self._newest = fresh
        self._buffer.push(fresh)
        scaled = self._downsampler.push(fresh)
        self._unscored.append(scaled)
        self._unscored_samples += len(scaled)

    def _is_scored(self) -> bool:
        return self._unscored_samples < WINDOW_SAMPLES and not self._in_vad

    def _take(self, events: Sequence[BoundaryEvent]) -> None:
        for event in events:
            if isinstance(event, SegmentReady):
                self._submit(event)
            else:
                self._around.emit(
                    SpeechStarted(self.call_id, self.leg_id, _utc(), self._time_s(event.at))
                )
                self._partial.begin(self._buffer.end)

    def _time_s(self, sample: int) -> float:
        return self._offset_s + sample / self.sample_rate_hz

    def _submit(self, segment: SegmentReady) -> None:
        self._partial.begin(self._buffer.end)
        self._assembler.expect(segment, self._offset_s)
        quiet_s = (self._end - self._buffer.last_speech) / self.sample_rate_hz
        self._spoken_s[segment.index] = self._around.mono() - quiet_s
        # Due by the pace of a call, so that a file that runs ahead of it yields to live calls.
        paced_s = self._started_s + segment.end / self.sample_rate_hz
        job = self._around.scheduler.submit(
            segment.samples,
            self.sample_rate_hz,
            self._around.priority,
            deadline_s=max(self._around.mono(), paced_s) + FINAL_DUE_S,
        )
        self._jobs[segment.index] = job
        job.result.add_done_callback(lambda done: self._answered(segment.index, done))

    def _answered(self, index: int, done: "asyncio.Future[Hypothesis]") -> None:
        self._jobs.pop(index, None)
        answer: Hypothesis | str
        if done.cancelled():
            answer = "the server stopped before this segment was decoded"
        else:
            error = done.exception()
            answer = done.result() if error is None else str(error)
        self._lines(self._assembler.answer(index, answer))
        self._wake()

    def _lines(self, lines: Sequence[Line]) -> None:
        for line in lines:
            if line.error is None:
                self._decoded += line.fresh_samples
            else:
                self._dropped["not decoded"] += line.fresh_samples
            self._around.emit(
                Final(
                    self.call_id,
                    self.leg_id,
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
                )
            )

    def _give_up(self) -> None:
        reason = f"not decoded within {self._around.finish_timeout_s:g} s of the call's end"
        for index, job in sorted(self._jobs.items()):
            job.cancel()
            self._lines(self._assembler.answer(index, reason))
        self._jobs.clear()

    def _maybe_partial(self) -> None:
        if self._buffer.open_start is None or not self._partial.due(self._buffer.end):
            return
        start_s, end_s = self._time_s(self._buffer.open_start), self._time_s(self._buffer.end)
        try:
            job = self._around.scheduler.submit(
                self._buffer.open_audio(), self.sample_rate_hz, Priority.PARTIAL
            )
        except Overloaded:
            self._partial.skip(self._buffer.end)
            return
        sent_s = self._around.mono()
        agreement = self._partial.sent(job, self._buffer.end)

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
                self._around.emit(Partial(self.call_id, self.leg_id, _utc(), text, start_s, end_s))

        job.result.add_done_callback(answered)

    async def _until(self, done: Callable[[], bool], deadline_s: float | None) -> bool:
        if done():
            return True
        waiter = (done, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        timeout_s = None if deadline_s is None else max(deadline_s - self._around.mono(), 0)
        try:
            await asyncio.wait_for(waiter[1], timeout_s)
        except TimeoutError:
            return False
        finally:
            self._waiters = [w for w in self._waiters if w is not waiter]
        return True

    def _wake(self) -> None:
        for done, future in self._waiters:
            if not future.done() and done():
                future.set_result(None)


def _utc() -> datetime:
    return datetime.now(UTC)
