"""Puts the packets of one RTP stream back in order and says what is missing. Pure; no clock.

A recogniser needs no playout clock, so nothing waits that is in order: a packet is held only while
an earlier one is missing, and for as many packets as `depth` allows.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from ruasr_tel_adapters.ari.rtp.wire import Packet

MAX_DROPOUT: Final = 3_000
"""A sequence number farther ahead than this is another stream's (RFC 3550, A.1)."""

MAX_MISORDER: Final = 100
"""A sequence number at most this far behind is a late packet (RFC 3550, A.1)."""

SEQUENCES: Final = 1 << 16
TIMESTAMPS: Final = 1 << 32


@dataclass(frozen=True, slots=True)
class Missing:
    """Audio that is not there before the next packet.

    Attributes:
        samples: how much, by the timestamps; at least 1.
        packets: lost ones; 0 when the sender was silent.
    """

    samples: int
    packets: int


InOrder: TypeAlias = Packet | Missing

Count: TypeAlias = Callable[[str, int], None]
"""Takes a name and how many more there were."""


class Reorder:
    """The packets of one port, in order.

    Counted are: `lost`, `late` (it came twice, or after it was given up), `reordered`, `stray` (a
    sequence number out of range) and `restarted` (another SSRC, or another numbering).

    Args:
        depth: packets that are held for a missing one; 0 takes everything as it comes.
        max_gap_samples: a timestamp that jumps farther, or back, tells nothing about time.
        count: told what to count, and how many.
    """

    def __init__(self, depth: int, max_gap_samples: int, count: Count) -> None:
        self._count = count
        self._depth = depth
        self._max_gap_samples = max_gap_samples
        self._ssrc: int | None = None
        self._held: dict[int, tuple[Packet, int]] = {}  # by sequence number
        self._next = 0  # sequence number that is due
        self._due_timestamp: int | None = None  # of the next sample, or None if not known
        self._lost = 0  # packets given up since the last one that came
        self._bad: int | None = None  # RFC 3550 A.1: bad_seq

    def push(self, packet: Packet, samples: int) -> list[InOrder]:
        """Take a packet as it came; return what is in order now.

        Args:
            packet: any payload type.
            samples: that it holds; 0 for one without audio, whose timestamp means nothing here.
        """
        out: list[InOrder] = []
        if packet.ssrc != self._ssrc:
            out += self._restart(packet)
        ahead = (packet.sequence - self._next) % SEQUENCES
        if ahead >= MAX_DROPOUT:
            return out + self._out_of_range(packet, samples, SEQUENCES - ahead)
        self._bad = None
        if packet.sequence in self._held:
            self._count("late", 1)
            return out
        if ahead:
            self._held[packet.sequence] = (packet, samples)
            if len(self._held) > self._depth:
                out += self._give_up()
            return out
        if self._held:
            self._count("reordered", 1)
        return out + self._emit(packet, samples) + self._ready()

    def flush(self) -> list[InOrder]:
        """Wait for nothing any more: return what is held, with its gaps."""
        out: list[InOrder] = []
        while self._held:
            out += self._give_up()
        return out

    def _restart(self, packet: Packet) -> list[InOrder]:
        """Begin anew with a packet of another stream."""
        out = self.flush()
        if self._ssrc is not None:
            self._count("restarted", 1)
        self._ssrc, self._next = packet.ssrc, packet.sequence
        self._due_timestamp, self._lost, self._bad = None, 0, None
        return out

    def _out_of_range(self, packet: Packet, samples: int, behind: int) -> list[InOrder]:
        """Count a late packet or a stray; two strays in a row are a sender that began anew."""
        if behind <= MAX_MISORDER:
            self._count("late", 1)
            return []
        if packet.sequence != self._bad:
            self._count("stray", 1)
            self._bad = (packet.sequence + 1) % SEQUENCES
            return []
        return self._restart(packet) + self._emit(packet, samples)

    def _give_up(self) -> list[InOrder]:
        """Stop waiting for what is before the oldest held packet."""
        oldest = min(self._held, key=lambda sequence: (sequence - self._next) % SEQUENCES)
        missing = (oldest - self._next) % SEQUENCES
        self._count("lost", missing)
        self._lost += missing
        self._next = oldest
        return self._ready()

    def _ready(self) -> list[InOrder]:
        out: list[InOrder] = []
        while self._next in self._held:
            out += self._emit(*self._held.pop(self._next))
        return out

    def _emit(self, packet: Packet, samples: int) -> list[InOrder]:
        self._next = (packet.sequence + 1) % SEQUENCES
        if not samples:
            return [packet]
        out: list[InOrder] = [packet]
        if self._due_timestamp is not None:
            gap = (packet.timestamp - self._due_timestamp) % TIMESTAMPS
            if 0 < gap <= self._max_gap_samples:
                out.insert(0, Missing(gap, self._lost))
        self._lost = 0
        self._due_timestamp = (packet.timestamp + samples) % TIMESTAMPS
        return out
