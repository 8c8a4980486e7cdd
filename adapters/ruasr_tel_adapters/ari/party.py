"""One side of a listened call: what its audio line says, on its leg's own clock."""

from collections.abc import Callable
from typing import Final

from ruasr_tel.leg import Leg
from ruasr_tel.types import Samples

CONCEAL_S: Final = 0.3
"""A shorter hole becomes silence inside the utterance; Asterisk's worst gap was 153 ms (our
measurement). A longer one ends the utterance."""


class Party:
    """Hands audio to a leg so that call time keeps up with the clock.

    Both sides of a call begin at the same moment, and what is missing takes its time, too: so the
    words of both can be put in one order.

    Args:
        leg: its leg.
        max_backlog_s: audio waiting for recognition above which new audio is dropped.
        on_key: told each key press.
        on_count: told of packets and what became of them.
        on_bad: told what is against the protocol.
        mono: monotonic seconds.
    """

    def __init__(
        self,
        leg: Leg,
        max_backlog_s: float,
        on_key: Callable[[Leg, str], None],
        on_count: Callable[[str, int], None],
        on_bad: Callable[[str, str], None],
        mono: Callable[[], float],
    ) -> None:
        self.leg = leg
        self.count = on_count
        self.bad = on_bad
        self._max_backlog_s = max_backlog_s
        self._on_key = on_key
        self._mono = mono
        self._began_s = mono()
        self._began = False

    def hear(self, samples: Samples) -> None:
        """Take audio.

        Args:
            samples: int16, shape (n,), at the leg's rate.
        """
        if not self._began:
            self._begin(len(samples))
        if self.leg.backlog_s > self._max_backlog_s:
            self.leg.drop(len(samples), "backlog")
        else:
            self.leg.push(samples)

    def miss(self, samples_count: int, *, lost: bool) -> None:
        """Let time pass without audio: a short hole as silence, a long one as a ledger entry."""
        reason = "lost" if lost else "not sent"
        if samples_count <= CONCEAL_S * self.leg.sample_rate_hz:
            self.leg.conceal(samples_count, reason)
        else:
            self.leg.drop(samples_count, reason)

    def key(self, digit: str) -> None:
        """Take a key press."""
        self._on_key(self.leg, digit)

    def _begin(self, samples_count: int) -> None:
        """Let the time pass that went by before the first audio came."""
        self._began = True
        rate_hz = self.leg.sample_rate_hz
        late = round((self._mono() - self._began_s) * rate_hz) - samples_count
        if late > 0:
            self.miss(late, lost=False)
