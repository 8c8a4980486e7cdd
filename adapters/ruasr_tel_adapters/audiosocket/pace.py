"""Notices audio whose size and pace contradict its label.

Asterisk labels every format that has no kind of its own as kind 0x10, 8 kHz slin (asterisk
channels/chan_audiosocket.c takes the caller's first codec when the dial string has no `c(...)`):
a mu-law call arrives as 160-byte messages every 20 ms and nothing says so.
"""

from collections.abc import Mapping
from typing import Final

from ruasr_tel_adapters.wires.audiosocket import FRAME_S, RATE_HZ_BY_KIND, Kind, frame_bytes

WINDOW_MESSAGES: Final = 50
"""Messages that are timed together: 1 s, over which 13 to 24 ms of jitter average out."""

TOLERANCE: Final = 0.25
"""Share of 20 ms by which the mean interval may be off; audio of 10 and 30 ms frames is farther."""

GUESSES: Final[Mapping[tuple[int, int], str]] = {
    (Kind.SLIN, 160): "G.711 (mu-law or A-law)",
    (Kind.SLIN, 640): "16 kHz slin",
    (Kind.SLIN12, 640): "16 kHz slin",
}
"""What 20 ms of that many bytes under that kind most likely are."""


class PaceCheck:
    """Judges the first audio messages of one call."""

    def __init__(self) -> None:
        self.settled = False
        self._label = (-1, -1)
        self._count = 0
        self._since_s = 0.0

    def observe(self, now_s: float, kind: int, size_bytes: int) -> str | None:
        """Return a warning when the audio cannot be what its kind says, at most once.

        `settled` becomes true when there is nothing more to learn: call no more then.

        Args:
            now_s: when the message came, on any steady clock, in seconds.
            kind: an audio kind.
            size_bytes: length of its payload.
        """
        if (kind, size_bytes) != self._label:
            self._label, self._count, self._since_s = (kind, size_bytes), 1, now_s
            self.settled = size_bytes == frame_bytes(RATE_HZ_BY_KIND[kind])
            return None
        self._count += 1
        if self._count < WINDOW_MESSAGES:
            return None
        interval_s = (now_s - self._since_s) / (WINDOW_MESSAGES - 1)
        self._label = (-1, -1)
        if interval_s > FRAME_S * (1 + TOLERANCE):  # longer frames, or a pause among them: go on
            return None
        self.settled = True
        if interval_s < FRAME_S * (1 - TOLERANCE):  # shorter frames, or faster than a call
            return None
        return _warning(kind, size_bytes, interval_s)


def _warning(kind: int, size_bytes: int, interval_s: float) -> str:
    rate_hz = RATE_HZ_BY_KIND[kind]
    guess = GUESSES.get((kind, size_bytes), "another codec")
    return (
        f"{WINDOW_MESSAGES} messages of kind 0x{kind:02x} ({rate_hz} Hz slin) had "
        f"{size_bytes} bytes and came every {interval_s * 1000:.0f} ms, "
        f"where {frame_bytes(rate_hz)} bytes are due: this looks like {guess} and will not be "
        "recognised; in the dialplan write c(slin), as in Dial(AudioSocket/host:port/uuid/c(slin))"
    )
