"""The speech-boundary buffer: samples and speech probabilities in, segments to decode out.

Cut only in pauses, begin in non-speech, bound the length. Pure: no clock, no I/O; every position is
a count of samples since the leg began, so nothing drifts and nothing depends on how audio was cut.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from ruasr_tel.audio.tape import Tape
from ruasr_tel.section import Section
from ruasr_tel.types import Samples
from ruasr_tel.vad.base import VAD_RATE_HZ, WINDOW_SAMPLES

LEVEL_MS = 10
"""Grain of the level search at a cut."""
QUIET_MS = 80
"""The cut falls into the quietest stretch this long by mean log level, which finds a pause of
100 ms in 97 to 100 % of cases from -70 to -44 dBFS of noise; the lowest speech probability finds it
in 53 to 80 % (docs/adr/0006)."""
EARLY_DB = 6.0
"""So much quieter must the first half of a segment be to be cut there: long segments are better."""
VAD_LAG_MS = 100
"""How late Silero reports the end of speech: 84 ms clean, 132 ms at 8 dB SNR (measured)."""
MIN_CUT_S = 1.0
"""At the limit, no cut falls earlier than this after the segment's start."""


class BoundaryConfig(Section):
    """Where a leg's audio is cut into segments."""

    threshold: float = Field(0.5, gt=0, lt=1)
    """Speech probability at which a window counts as speech (Silero's own default)."""
    threshold_off: float = Field(0.35, gt=0, lt=1)
    """Probability below which a window inside speech is silence (Silero: threshold - 0.15)."""
    start_windows: int = Field(2, ge=1, le=10)
    """Windows of 32 ms above the threshold that make a speech start; one alone is a click."""
    pre_roll_ms: int = Field(250, ge=0, le=2000)
    """Non-speech kept before speech; Silero reports onsets up to 143 ms late at 8 dB SNR."""
    hangover_ms: int = Field(300, ge=0, le=2000)
    """Audio kept in a segment after the last speech window, never more than the endpoint."""
    endpoint_ms: int = Field(500, ge=100, le=10000)
    """Silence after which the speaker is judged to have finished."""
    max_segment_s: float = Field(15.0, ge=2.0, le=25.0)
    """Longest segment; Vosk5 takes 2 to 18 s, GigaAM loses words from 15 to 25 s."""
    pause_windows: int = Field(2, ge=1, le=20)
    """Windows below `threshold_off` that make a pause to cut in; see docs/adr/0006."""
    overlap_ms: int = Field(400, ge=0, le=1000)
    """Doubled audio around a cut for which no pause was heard; `assemble` merges its words."""

    @model_validator(mode="after")
    def _thresholds_in_order(self) -> "BoundaryConfig":
        if self.threshold_off > self.threshold:
            raise ValueError(
                f"threshold_off ({self.threshold_off}) must not exceed threshold ({self.threshold})"
            )
        return self


class Reason(StrEnum):
    """Why a segment was closed."""

    ENDPOINT = "endpoint"
    """The speaker paused for `endpoint_ms`, or audio stopped arriving for as long."""
    LENGTH = "length"
    """The segment reached `max_segment_s`; the utterance goes on in the next one."""
    FLUSH = "flush"
    """The call, or the peer's request, ended the utterance."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Speech began at sample `at`; closed by the next segment whose `ends_utterance` is true."""

    at: int


@dataclass(frozen=True, slots=True)
class SegmentReady:
    """A segment to decode: samples [start, end) of the leg.

    Attributes:
        index: 0 for the leg's first segment, then 1, 2, …
        start: first sample, pre-roll included.
        end: one past the last sample, hangover included.
        reason: why it was closed.
        overlap: samples at its start that the previous segment also holds (a hard cut), else 0.
        repeated: samples at its end that the next segment will hold too (a hard cut), else 0.
        ends_utterance: whether the speaker is judged to have finished.
        samples: the audio, int16, shape (end - start,), a copy.
    """

    index: int
    start: int
    end: int
    reason: Reason
    overlap: int
    repeated: int
    ends_utterance: bool
    samples: Samples = field(compare=False, repr=False)


BoundaryEvent: TypeAlias = SpeechStarted | SegmentReady

_NONE: Samples = np.zeros(0, np.int16)


class BoundaryBuffer:
    """One leg's audio between arrival and recognition.

    Args:
        config: where to cut.
        sample_rate_hz: the leg's rate; windows of the detector are mapped to it exactly.
    """

    def __init__(self, config: BoundaryConfig, sample_rate_hz: int) -> None:
        self._config = config
        self._rate_hz = sample_rate_hz
        self._pre_roll = sample_rate_hz * config.pre_roll_ms // 1000
        self._endpoint = sample_rate_hz * config.endpoint_ms // 1000
        self._hangover = min(sample_rate_hz * config.hangover_ms // 1000, self._endpoint)
        self._overlap = sample_rate_hz * config.overlap_ms // 1000
        self._longest = int(config.max_segment_s * sample_rate_hz) - self._edge(1) - 1
        self._audio = Tape(sample_rate_hz)
        self._queued: list[float] = []  # probabilities whose audio is not here yet
        self._windows = 0  # windows scored so far
        self._presumed = 0  # windows taken for speech before their probability came
        self._run = 0  # speech windows in a row while no segment is open
        self._start: int | None = None  # start of the open segment
        self._doubled = 0  # its overlap
        self._last_speech = 0  # end of the last speech window
        self._pauses: list[bool] = []  # of each window since the open segment's start: is it low?
        self._closed = 0  # end of the previous segment
        self._silence = 0
        self._segments = 0

    @property
    def end(self) -> int:
        """Samples received since the leg began."""
        return self._audio.end

    @property
    def scored(self) -> int:
        """End of the last window that was scored: what came after it may be another segment's."""
        return self._edge(self._windows)

    @property
    def silence(self) -> int:
        """Samples left out of every segment so far, up to the end of the last one or flush."""
        return self._silence

    @property
    def held(self) -> int:
        """Samples in memory: at most the limit and the pre-roll, and what is not scored yet."""
        return self._audio.end - self._audio.start

    @property
    def open_start(self) -> int | None:
        """Start of the open segment, or None while nobody speaks."""
        return self._start

    @property
    def beginning(self) -> bool:
        """Whether nobody speaks, but the last window was speech: the next may be a start."""
        return self._start is None and self._run > 0

    @property
    def last_speech(self) -> int:
        """End of the last window that counted as speech."""
        return self._last_speech

    def open_audio(self, since: int = 0) -> Samples:
        """Return the open segment from sample `since` up to `scored`, shape (n,), n = 0 without."""
        if self._start is None:
            return _NONE
        return self._audio.copy(max(self._start, since), self.scored)

    def push(
        self, samples: Samples = _NONE, probabilities: Sequence[float] = ()
    ) -> list[BoundaryEvent]:
        """Add audio, and speech probabilities of its windows, in any portions.

        Args:
            samples: int16, shape (n,), mono, at the leg's rate; any n >= 0.
            probabilities: 0..1, of the next windows in order; they may come before or after
                the last samples of their window.

        Returns:
            What follows from the windows that are complete and scored by now.
        """
        events: list[BoundaryEvent] = []
        if len(samples):
            self._audio.append(samples)
        self._queued.extend(probabilities)
        late = min(self._presumed, len(self._queued))  # these windows were counted already
        self._presumed -= late
        done = late
        while done < len(self._queued) and self._edge(self._windows + 1) <= self._audio.end:
            self._score(self._queued[done], events)
            done += 1
        del self._queued[:done]
        return events

    def end_utterance(self, kept_back: int = 0) -> list[BoundaryEvent]:
        """End the open utterance because audio stopped arriving (the clock says so).

        Does nothing while a whole window still waits for its probability.

        Args:
            kept_back: newest samples that may not have reached the detector: fewer than a window.
                A window that lacks some of them waits for nothing, and counts as speech.
        """
        events: list[BoundaryEvent] = []
        if self._start is None or self._edge(self._windows + 1) + kept_back <= self._audio.end:
            return events
        self._presume(events)
        self._close_utterance(self._audio.end, Reason.ENDPOINT, events)
        return events

    def flush(self) -> list[BoundaryEvent]:
        """End the utterance now; what was not scored counts as speech if speech is going on.

        A second flush in a row gives nothing.
        """
        events: list[BoundaryEvent] = []
        self._presume(events)
        if self._start is None and self._run:
            self._open(self._windows - self._run, events)
        if self._start is not None:
            self._close_utterance(self._audio.end, Reason.FLUSH, events)
        self._run = 0
        self._silence += self._audio.end - self._closed
        self._closed = self._audio.end
        self._audio.forget(self._closed)
        return events

    def _edge(self, window: int) -> int:
        """First sample of a window, exact at every rate (11025 and 44100 Hz have uneven ones)."""
        return window * WINDOW_SAMPLES * self._rate_hz // VAD_RATE_HZ

    def _presume(self, events: list[BoundaryEvent]) -> None:
        """Take the whole windows that wait for their probabilities for speech."""
        while self._edge(self._windows + 1) <= self._audio.end:
            self._score(1.0, events)
            self._presumed += 1

    def _score(self, probability: float, events: list[BoundaryEvent]) -> None:
        self._windows += 1
        if self._start is None:
            self._listen(probability >= self._config.threshold, events)
        else:
            self._follow(probability >= self._config.threshold_off, events)

    def _listen(self, speech: bool, events: list[BoundaryEvent]) -> None:
        self._run = self._run + 1 if speech else 0
        if self._run >= self._config.start_windows:
            self._open(self._windows - self._run, events)
        else:
            keep = self._edge(self._windows - self._run) - self._pre_roll
            self._audio.forget(max(keep, self._closed))

    def _open(self, window: int, events: list[BoundaryEvent]) -> None:
        speech = self._edge(window)
        self._start = max(speech - self._pre_roll, self._closed, 0)
        self._doubled = 0
        self._last_speech = self._edge(self._windows)
        self._pauses = [False] * self._run
        self._run = 0
        self._audio.forget(self._start)
        events.append(SpeechStarted(max(speech, self._start)))

    def _follow(self, speech: bool, events: list[BoundaryEvent]) -> None:
        assert self._start is not None
        now = self._edge(self._windows)
        self._pauses.append(not speech)
        if speech:
            self._last_speech = now
        if now - self._last_speech >= self._endpoint:
            self._close_utterance(now, Reason.ENDPOINT, events)
        elif now - self._start >= self._longest:
            self._cut(now, events)

    def _close_utterance(self, now: int, reason: Reason, events: list[BoundaryEvent]) -> None:
        """Close the open segment after its hangover; audio past the last window is speech."""
        scored = self._edge(self._windows)
        end = now if now > scored else min(self._last_speech + self._hangover, now)
        events.append(self._segment(max(end, self._closed), reason))
        self._start = None
        self._pauses = []

    def _segment(self, end: int, reason: Reason, repeated: int = 0) -> SegmentReady:
        """Take the open segment up to `end` and account for the silence before it."""
        assert self._start is not None
        start, overlap = self._start, self._doubled
        self._silence += max(0, start - self._closed)
        self._closed = end
        self._segments += 1
        index, ends = self._segments - 1, reason is not Reason.LENGTH
        audio = self._audio.copy(start, end)
        return SegmentReady(index, start, end, reason, overlap, repeated, ends, audio)

    def _cut(self, now: int, events: list[BoundaryEvent]) -> None:
        """The segment is at its limit: cut it in its best pause.

        Without a pause that the detector heard, the quietest point is as good as it gets; it may
        still be inside a word, so the audio around it goes into both segments.
        """
        pause = self._longest_pause()
        pausing = all(self._pauses[-self._config.pause_windows :])
        if pausing and (pause is None or pause[1] == len(self._pauses)):
            self._close_utterance(now, Reason.ENDPOINT, events)
            return
        repeated = self._overlap if pause is None else 0
        end = self._quiet_point(pause, now) + repeated // 2
        events.append(self._segment(end, Reason.LENGTH, repeated))
        self._start = end - repeated
        self._doubled = repeated
        first = self._windows - len(self._pauses)
        kept = next(i for i in range(len(self._pauses) + 1) if self._edge(first + i) >= self._start)
        del self._pauses[:kept]
        self._audio.forget(self._start)

    def _longest_pause(self) -> tuple[int, int] | None:
        """Longest run of low windows past MIN_CUT_S, the quietest of equals: [first, last + 1)."""
        base = self._windows - len(self._pauses)
        low = np.array([False, *self._pauses, False])
        edges = np.flatnonzero(low[1:] != low[:-1]).reshape(-1, 2)
        runs = [
            (int(first), int(last))
            for first, last in edges
            if last - first >= self._config.pause_windows
            and self._edge(base + first) >= self._earliest_cut()
        ]
        if not runs:
            return None
        longest = max(last - first for first, last in runs)

        def level(run: tuple[int, int]) -> float:
            levels, _ = self._levels(self._edge(base + run[0]), self._edge(base + run[1]))
            return float(levels.mean())

        return min((run for run in runs if run[1] - run[0] == longest), key=level)

    def _quiet_point(self, pause: tuple[int, int] | None, now: int) -> int:
        """The middle of the quietest stretch: of the pause, or of all that may be cut.

        The detector's windows lie late on the audio, so a pause is searched VAD_LAG_MS earlier.
        """
        if pause is None:
            last = min(self._last_speech, now - self._overlap // 2)
            first = min(self._earliest_cut(), last - self._rate_hz * QUIET_MS // 1000)
        else:
            base = self._windows - len(self._pauses)
            first = self._edge(base + pause[0]) - self._rate_hz * VAD_LAG_MS // 1000
            last = self._edge(base + pause[1])
        levels, grain = self._levels(first, last)
        width = QUIET_MS // LEVEL_MS
        means = np.convolve(levels, np.full(width, 1 / width), "valid")
        if pause is None:
            means[: len(means) // 2] += EARLY_DB
        quietest = np.flatnonzero(means <= means.min() + 1e-9)
        best = int(quietest[np.abs(quietest - len(means) // 2).argmin()])  # of equals, the middle
        return first + (2 * best + width) * grain // 2

    def _earliest_cut(self) -> int:
        assert self._start is not None
        return self._start + int(MIN_CUT_S * self._rate_hz)

    def _levels(self, start: int, end: int) -> tuple[npt.NDArray[np.float64], int]:
        """Level in dB of each LEVEL_MS of [start, end), and the samples in one grain."""
        grain = self._rate_hz * LEVEL_MS // 1000
        audio = self._audio.copy(start, end).astype(np.float64)
        whole = len(audio) // grain
        power = (audio[: whole * grain].reshape(whole, grain) ** 2).mean(axis=1)
        return 10 * np.log10(power + 1), grain
