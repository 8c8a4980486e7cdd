"""Follows the progress of one leg's call: tones and music in its audio, messages in its finals."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final as Constant

import numpy as np
from pydantic import JsonValue

from ruasr_tel.events import CallProgress, DialOutcome, Event, Final, Progress, SpeechStarted
from ruasr_tel.progress.cadence import Heard, ToneDetector
from ruasr_tel.progress.config import ProgressConfig
from ruasr_tel.progress.music import Music, MusicFinder
from ruasr_tel.progress.outcome import OutcomeKeeper
from ruasr_tel.progress.phrases import Match, PhraseFinder
from ruasr_tel.progress.tones import RATE_HZ
from ruasr_tel.types import CallId, LegId, Waveform

GREETING_S: Constant = 0.5
"""A tone is a machine's beep if speech began at least so long before it (our choice): less would
be the detector of speech itself that took the beep for a voice."""
TOGETHER_SAMPLES: Constant = 800
"""Audio is looked at by 100 ms: half the cost of 32 ms, and the shortest wait for a verdict, that
after a beep, is 250 ms."""


class ProgressWatch:
    """Tells what the network and machines say on one leg.

    Its leg gives it the audio as it comes, lets it `settle` once that was looked at for speech, and
    emits by it.

    Args:
        call_id: the call.
        leg_id: the leg.
        config: what to look for.
        emit: takes the leg's events, and the ones found.
    """

    def __init__(
        self, call_id: CallId, leg_id: LegId, config: ProgressConfig, emit: Callable[[Event], None]
    ) -> None:
        self._call_id = call_id
        self._leg_id = leg_id
        self._emit = emit
        self._phrases = PhraseFinder(config.phrases, config.likeness)
        self._finds_music = config.music
        self._tones = ToneDetector()
        self._music = MusicFinder()
        self._samples = 0  # that they were given
        self._waiting: list[Waveform] = []  # for more
        self._waiting_samples = 0
        self._beeps: list[CallProgress] = []  # until it is known whether speech came before
        self._spoke_s: float | None = None  # when speech first began
        self._outcome = OutcomeKeeper()

    def push(self, audio: Waveform, end_s: float) -> None:
        """Look for tones and music.

        Args:
            audio: float32 in [-1, 1], shape (n,), at 8 kHz.
            end_s: call time of its end.
        """
        self._waiting.append(audio)
        self._waiting_samples += len(audio)
        if self._waiting_samples < TOGETHER_SAMPLES:
            return
        audio = np.concatenate(self._waiting)
        self._waiting, self._waiting_samples = [], 0
        self._samples += len(audio)
        for heard in self._tones.push(audio):
            event = self._sound(heard.kind, heard, {"hz": round(heard.hz)}, end_s)
            if heard.kind is Progress.BEEP:
                self._beeps.append(event)
            else:
                self._tell(event)
        for music in self._music.push(audio) if self._finds_music else ():
            self._tell(self._sound(Progress.MUSIC, music, {"share": round(music.share, 3)}, end_s))

    def settle(self) -> None:
        """Speech in all audio so far has been told: decide which lone tones are beeps."""
        beeps, self._beeps = self._beeps, []
        for beep in beeps:
            if self._spoke_s is not None and self._spoke_s <= beep.start_s - GREETING_S:
                self._tell(beep)

    def skip(self) -> None:
        """Audio is missing here: no tone, no rhythm and no music goes on over it."""
        self._tones = ToneDetector()
        self._music = MusicFinder()
        self._samples = 0
        self._waiting, self._waiting_samples = [], 0

    def outcome(self) -> DialOutcome:
        """Return what was heard so far."""
        return self._outcome.outcome()

    def emit(self, event: Event) -> None:
        """Pass the leg's own event on, and what follows from it."""
        self._emit(event)
        if isinstance(event, SpeechStarted) and self._spoke_s is None:
            self._spoke_s = event.start_s
        elif isinstance(event, Final) and event.text:
            self._read(event)

    def _tell(self, event: CallProgress) -> None:
        self._outcome.take(event)
        self._emit(event)

    def _sound(
        self, kind: Progress, heard: Heard | Music, detail: dict[str, JsonValue], end_s: float
    ) -> CallProgress:
        """Return a sound as an event; `end_s` is the call time of all samples so far."""
        start_s = end_s - (self._samples - heard.start) / RATE_HZ
        length_s = (heard.end - heard.start) / RATE_HZ
        return self._event(kind, start_s, start_s + length_s, detail)

    def _read(self, final: Final) -> None:
        """Look for operator messages in a final."""
        timed = [word.text for word in final.words]
        found = self._phrases.find(timed or final.text.split())
        self._outcome.read(final, [match.kind for match in found])
        for match in found:
            start_s, end_s = _times(final, match)
            detail: dict[str, JsonValue] = {
                "phrase": match.phrase,
                "score": round(match.score, 3),
            }
            self._tell(self._event(match.kind, start_s, end_s, detail))

    def _event(
        self, kind: Progress, start_s: float, end_s: float, detail: dict[str, JsonValue]
    ) -> CallProgress:
        return CallProgress(
            self._call_id, self._leg_id, datetime.now(UTC), kind, start_s, end_s, detail
        )


def _times(final: Final, match: Match) -> tuple[float, float]:
    """Return where a phrase lies; the whole segment where its words have no times."""
    if not final.words:
        return final.start_s, final.end_s
    return final.words[match.first].start_s, final.words[match.end - 1].end_s
