"""One party's audio: its clock, voice activity, buffer and ledger."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil

import numpy as np

from ruasr_tel.audio.level import level_db
from ruasr_tel.audio.resample import stream_resampler
from ruasr_tel.boundary import BoundaryBuffer, BoundaryEvent, SegmentReady
from ruasr_tel.call_progress import ProgressWatch
from ruasr_tel.engines.base import DecodeOptions
from ruasr_tel.events import DialOutcome, Ledger
from ruasr_tel.profile import Profile
from ruasr_tel.segments import Segments, Surroundings
from ruasr_tel.types import CallId, LegId, Samples, Waveform
from ruasr_tel.vad.base import VAD_RATE_HZ, WINDOW_SAMPLES

IDLE_AT_LEAST_S = 0.3
"""Audio is late rather than absent up to here: Asterisk's worst gap was 153 ms (measured)."""
STALE_LEVEL_S = 1.0
"""A level is shown for so long after the audio it was measured on."""


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
        self._buffer = BoundaryBuffer(profile.boundary, sample_rate_hz)
        self._progress: ProgressWatch | None = None
        if profile.progress.enabled:
            self._progress = ProgressWatch(call_id, leg_id, profile.progress, around.emit)
            around = replace(around, emit=self._progress.emit)
        self._segments = Segments(
            call_id, leg_id, sample_rate_hz, profile, around, offset_s, self._wake
        )
        self._resampler = stream_resampler(sample_rate_hz, VAD_RATE_HZ)
        self._kept_back = ceil(self._resampler.latency_s * sample_rate_hz)
        self._fresh: list[Samples] = []  # arrived since the detector last looked
        self._fresh_samples = 0
        self._unscored: list[Waveform] = []  # at the detector's rate
        self._unscored_samples = 0
        self._in_vad = 0  # windows that the detector has taken and not answered
        self._received = 0
        self._dropped: Counter[str] = Counter()
        self._concealed: Counter[str] = Counter()
        self._waiters: list[tuple[Callable[[], bool], asyncio.Future[None]]] = []
        self._last_audio_s = around.mono()
        self._last_push = 0  # samples
        self._newest: Samples | None = None
        self._held = False  # the clock must not end an utterance: somebody waits for us
        around.batcher.add(self)

    # What a door sees

    @property
    def clock_s(self) -> float:
        """Call time of the next sample."""
        return self._segments.time_s(self._end)

    @property
    def backlog_s(self) -> float:
        """Seconds of audio not scored yet or in segments not answered yet."""
        unscored = self._unscored_samples + self._in_vad * WINDOW_SAMPLES
        waiting = self._fresh_samples + self._segments.pending_samples
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
        if self._buffer.beginning:
            self._hurry()

    def conceal(self, samples_count: int, reason: str) -> None:
        """Fill a hole that is too short to end an utterance with silence, and account for it.

        Args:
            samples_count: length of the hole, by the door's clock; >= 0.
            reason: why it is there.
        """
        if samples_count:
            self._concealed[reason] += samples_count
            self.push(np.zeros(samples_count, np.int16))

    def drop(self, samples_count: int, reason: str) -> None:
        """Account for audio that arrived and will not be decoded; ends the open utterance."""
        self._absorb()
        self._take(self._buffer.flush())
        if self._progress is not None:
            self._progress.skip()
        self._received += samples_count
        self._dropped[reason] += samples_count
        self._segments.shift(samples_count / self.sample_rate_hz)

    def set_options(self, options: DecodeOptions) -> None:
        """Ask this of the engine for the segments that begin from now on.

        What the engine cannot do is left out (`engines.prepare.fit`). Audio pushed a moment ago
        may still begin a segment; `flush` first where that matters.
        """
        self._segments.set_options(options)

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
            if not await self._until(lambda: not self._segments.pending, deadline_s):
                timeout_s = self._around.finish_timeout_s
                self._segments.give_up(f"not decoded within {timeout_s:g} s of the call's end")
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
            self._take(self._buffer.end_utterance(self._kept_back))

    def close(self) -> None:
        """Leave the detector; after `flush`."""
        self._segments.stop()
        self._around.batcher.remove(self)

    def ledger(self) -> Ledger:
        """Where every sample went; the difference is 0 after `flush`."""
        return Ledger(
            self.sample_rate_hz,
            self._received,
            self._segments.decoded,
            self._buffer.silence,
            dict(self._dropped + self._segments.undecoded),
            dict(self._concealed),
        )

    def outcome(self) -> DialOutcome | None:
        """What was heard of the call's progress; None where it is not followed."""
        return None if self._progress is None else self._progress.outcome()

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
        if self._progress is not None and self._is_scored():
            self._progress.settle()
        if self._buffer.open_start is not None:
            self._segments.grow(
                self._buffer.open_start, self._buffer.scored, self._buffer.open_audio
            )
        elif self._buffer.beginning:
            self._hurry()
        self._wake()

    # Inside

    @property
    def _end(self) -> int:
        """Samples received, but for the dropped ones: the buffer's count and the fresh ones."""
        return self._buffer.end + self._fresh_samples

    def _hurry(self) -> None:
        """Have the next window scored at once if it is whole: a prompt may have to stop."""
        fresh = self._fresh_samples * VAD_RATE_HZ // self.sample_rate_hz
        if self._unscored_samples + fresh >= WINDOW_SAMPLES:
            self._around.batcher.hurry(self)

    def _absorb(self) -> None:
        """Hand the fresh audio to the buffer and to the detector's filter."""
        if not self._fresh:
            return
        fresh = self._fresh[0] if len(self._fresh) == 1 else np.concatenate(self._fresh)
        self._fresh = []
        self._fresh_samples = 0
        self._newest = fresh
        self._buffer.push(fresh)
        scaled = self._resampler.push(fresh)
        if self._progress is not None:
            self._progress.push(scaled, self._segments.time_s(self._buffer.end))
        self._unscored.append(scaled)
        self._unscored_samples += len(scaled)

    def _is_scored(self) -> bool:
        return self._unscored_samples < WINDOW_SAMPLES and not self._in_vad

    def _take(self, events: Sequence[BoundaryEvent]) -> None:
        for event in events:
            if isinstance(event, SegmentReady):
                quiet_s = (self._end - self._buffer.last_speech) / self.sample_rate_hz
                self._segments.close(event, self._buffer.scored, quiet_s)
            else:
                self._segments.begin(event.at, self._buffer.scored)

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
