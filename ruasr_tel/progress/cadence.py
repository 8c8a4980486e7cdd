"""Tones in their rhythm: ringback, busy, congestion, special information, beeps, fax. Pure.

Sources: ITU-T E.180 (limits of cadences and frequencies, special information tone), its
supplement 2 and the `ru` zone of Asterisk's indications.conf (425 Hz; ring 1000/4000 ms, busy
350/350, congestion 175/175), ITU-T T.30 (CNG, CED). Lines of 8 kHz may be a little off in
frequency, and a tone's edges are known to 20 ms, so every limit is a little wider than its source.
"""

from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from ruasr_tel.events import Progress
from ruasr_tel.progress.tones import RATE_HZ, Moment, Tone, ToneFinder, is_real
from ruasr_tel.types import Waveform

Range: TypeAlias = tuple[float, float]

NETWORK_HZ: Range = (410.0, 440.0)
"""Ringback, busy and congestion in Russia: 425 Hz (E.180 supplement 2), 3.5 % either way."""
RINGING_S: Range = (0.6, 1.6)
"""A ring: 0.67 to 1.5 s (E.180), 1 s in Russia."""
RING_ALONE_S = 0.6
"""No other tone may follow a ring for so long: E.180 asks for 3 s, one rhythm slower than busy."""
BUSY_S: Range = (0.27, 0.6)
"""Busy, tone and pause each: 0.35 to 0.4 s in Russia, up to 0.55 s in E.180."""
CONGESTION_S: Range = (0.11, 0.27)
"""Congestion, tone and pause each: 0.175 to 0.2 s in Russia, 0.25 s elsewhere."""
REPEATS = 3
"""Tones of a rhythm until it is believed: two periods."""
EPISODE_S = 1.5
"""A rhythm that was silent for so long is told anew."""
SIT_HZ = (950.0, 1400.0, 1800.0)
"""Special information tone, one after another (E.180)."""
SIT_OFF_HZ = 50.0
"""Its tolerance (E.180)."""
SIT_S: Range = (0.2, 0.48)
"""Each of them: 330 ms, 70 either way (E.180); 276 ms are used, too (North American plan)."""
SIT_GAP_S = 0.1
"""Between them: up to 30 ms (E.180)."""
BEEP_HZ: Range = (390.0, 2040.0)
"""The beep of an answering machine: 400 to 2000 Hz, but not `NETWORK_HZ` (our choice)."""
BEEP_S: Range = (0.18, 1.25)
"""Its length (our choice)."""
BEEP_ALONE_S = 0.25
"""No other tone may be so near to a beep."""
FAX_OFF_HZ = 40.0
"""T.30 has 38 Hz for CNG."""
CNG_HZ = 1100.0
"""A fax that calls (T.30)."""
CNG_S: Range = (0.4, 0.6)
"""Its tone: 0.5 s, 15 % either way (T.30)."""
CNG_PAUSE_S: Range = (2.5, 3.5)
"""Its pause: 3 s, 15 % either way (T.30)."""
CED_HZ = 2100.0
"""A fax or modem that answers (T.30; ANSam of V.8)."""
CED_AT_LEAST_S = 1.0
"""Told after so long; it lasts 2.6 to 4 s (T.30)."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A tone or a rhythm of tones over samples [start, end) at 8 kHz, and its frequency."""

    kind: Progress
    start: int
    end: int
    hz: float


class ToneDetector:
    """Tells what the tones of one leg mean; the same however the audio was cut."""

    def __init__(self) -> None:
        self._finder = ToneFinder()
        self._cadences = Cadences()

    def push(self, audio: Waveform) -> list[Heard]:
        """Return what became certain by `audio`.

        A beep is any lone tone of its length: whether somebody spoke before is for the caller.

        Args:
            audio: float32 in [-1, 1], shape (n,), at 8 kHz; any n >= 0.
        """
        return [
            heard for moment in self._finder.push(audio) for heard in self._cadences.take(moment)
        ]


class Cadences:
    """Takes the tones of one leg in time, moment by moment."""

    def __init__(self) -> None:
        self._last: deque[Tone] = deque(maxlen=REPEATS)
        self._alone: Tone | None = None  # may be a ring or a beep, if no other tone follows
        self._told: dict[Progress, int] = {}  # end of the last tone of each rhythm that was told
        self._answering = -1  # start of the fax tone that was told

    def take(self, moment: Moment) -> list[Heard]:
        """Return what became certain by this moment."""
        found = [self._rhythm(moment.ended)] if moment.ended is not None else []
        sounding = moment.sounding
        if sounding is None:
            found.append(self._lone(moment.now))
        elif is_real(sounding):
            found.append(self._next(sounding))
            found.append(self._long(sounding))
        return [each for each in found if each is not None]

    def _rhythm(self, tone: Tone) -> Heard | None:
        """A tone is over: return what it makes with those before, else let it wait alone."""
        before = self._last[-1] if self._last else None
        self._last.append(tone)
        for kind, tones in (
            (Progress.SIT, self._information()),
            (Progress.BUSY, self._even(BUSY_S)),
            (Progress.CONGESTION, self._even(CONGESTION_S)),
            (Progress.FAX_CALLING, self._calling()),
        ):
            if tones:
                return self._once(kind, tones)
        gap_s = _seconds(tone.start - before.end) if before is not None else EPISODE_S
        if gap_s >= (RING_ALONE_S if _within(tone.hz, NETWORK_HZ) else BEEP_ALONE_S):
            self._alone = tone
        return None

    def _once(self, kind: Progress, tones: list[Tone]) -> Heard | None:
        """Return a rhythm if it was not told already."""
        told = self._told.get(kind)
        self._told[kind] = tones[-1].end
        pause_s = CNG_PAUSE_S[1] if kind is Progress.FAX_CALLING else EPISODE_S
        if told is not None and _seconds(tones[0].start - told) < pause_s:
            return None
        return Heard(kind, tones[0].start, tones[-1].end, tones[-1].hz)

    def _even(self, limits: Range) -> list[Tone]:
        """Return the last tones if they and the pauses between them are of such a length."""
        tones = list(self._last)
        if len(tones) < REPEATS or not all(_within(tone.hz, NETWORK_HZ) for tone in tones):
            return []
        edges = [edge for tone in tones for edge in (tone.start, tone.end)]
        lengths = [after - at for at, after in pairwise(edges)]
        return tones if all(_within(_seconds(each), limits) for each in lengths) else []

    def _information(self) -> list[Tone]:
        """Return the last three tones if they are those of the special information tone."""
        tones = list(self._last)
        fits = len(tones) == len(SIT_HZ) and all(
            abs(tone.hz - hz) <= SIT_OFF_HZ and _within(_length_s(tone), SIT_S)
            for tone, hz in zip(tones, SIT_HZ, strict=True)
        )
        gaps = [_seconds(after.start - at.end) for at, after in pairwise(tones)]
        return tones if fits and max(gaps) <= SIT_GAP_S else []

    def _calling(self) -> list[Tone]:
        """Return the last two tones if a fax calls by them."""
        tones = list(self._last)[-2:]
        if len(tones) < 2 or not _within(_seconds(tones[1].start - tones[0].end), CNG_PAUSE_S):
            return []
        fits = all(
            abs(tone.hz - CNG_HZ) <= FAX_OFF_HZ and _within(_length_s(tone), CNG_S)
            for tone in tones
        )
        return tones if fits else []

    def _lone(self, now: int) -> Heard | None:
        """Nothing sounds: return the tone that stayed alone long enough."""
        tone = self._alone
        if tone is None or _seconds(now - tone.end) < _alone_s(tone):
            return None
        self._alone = None
        kind = _kind_of_lone(tone)
        return None if kind is None else Heard(kind, tone.start, tone.end, tone.hz)

    def _next(self, sounding: Tone) -> Heard | None:
        """Another tone sounds: the one before was not alone, unless it was over long ago."""
        tone = self._alone
        if tone is None or sounding.start - tone.end >= _alone_s(tone) * RATE_HZ:
            return self._lone(sounding.start)
        self._alone = None
        return None

    def _long(self, tone: Tone) -> Heard | None:
        """Return the answer of a fax once it has lasted long enough."""
        if abs(tone.hz - CED_HZ) > FAX_OFF_HZ or _length_s(tone) < CED_AT_LEAST_S:
            return None
        if tone.start == self._answering:
            return None
        self._answering = tone.start
        return Heard(Progress.FAX_ANSWERING, tone.start, tone.end, tone.hz)


def _kind_of_lone(tone: Tone) -> Progress | None:
    if _within(tone.hz, NETWORK_HZ):
        return Progress.RINGBACK if _within(_length_s(tone), RINGING_S) else None
    beeps = _within(tone.hz, BEEP_HZ) and _within(_length_s(tone), BEEP_S)
    return Progress.BEEP if beeps else None


def _alone_s(tone: Tone) -> float:
    return RING_ALONE_S if _within(tone.hz, NETWORK_HZ) else BEEP_ALONE_S


def _within(value: float, limits: Range) -> bool:
    return limits[0] <= value <= limits[1]


def _length_s(tone: Tone) -> float:
    return _seconds(tone.end - tone.start)


def _seconds(samples: int) -> float:
    return samples / RATE_HZ
