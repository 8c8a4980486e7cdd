"""How fast the engine is, and who may use how much of it; no clock of its own."""


class TokenBucket:
    """Allows a share of something over time.

    Args:
        rate: tokens that come in per second.
        capacity: the most it holds and the most it owes; it begins full.
    """

    def __init__(self, rate: float, capacity: float) -> None:
        self._rate = rate
        self._capacity = capacity
        self._tokens = capacity
        self._at_s: float | None = None

    def allows(self, now_s: float, in_debt: bool = False) -> bool:
        """Return whether any tokens are left; in debt: or half of what can be owed is not."""
        if self._at_s is not None:
            gained = (now_s - self._at_s) * self._rate
            self._tokens = min(self._capacity, self._tokens + gained)
        self._at_s = now_s
        return self._tokens > (-self._capacity / 2 if in_debt else 0.0)

    def charge(self, tokens: float) -> None:
        """Take tokens away, more than there are if need be."""
        self._tokens = max(-self._capacity, self._tokens - tokens)


class DecodeRate:
    """Engine seconds per second of audio, recent decodes counting most."""

    KEEP = 0.9
    """Weight of what was before each decode: about the last ten count."""
    STREAMED_S = 5.0
    """Audio of streams that counts as one decode: an ordinary segment. A piece of 100 ms alone says
    nothing: it costs nothing, or a whole chunk (our choice)."""

    def __init__(self) -> None:
        self._busy_s = 0.0
        self._audio_s = 0.0
        self._streamed_busy_s = 0.0  # that do not count yet
        self._streamed_s = 0.0

    def add(self, busy_s: float, audio_s: float) -> None:
        """Count one decode."""
        self._busy_s = self._busy_s * self.KEEP + busy_s
        self._audio_s = self._audio_s * self.KEEP + audio_s

    def add_streamed(self, busy_s: float, audio_s: float) -> None:
        """Count work on a part of a stream."""
        self._streamed_busy_s += busy_s
        self._streamed_s += audio_s
        if self._streamed_s >= self.STREAMED_S:
            self.add(self._streamed_busy_s, self._streamed_s)
            self._streamed_busy_s = self._streamed_s = 0.0

    @property
    def value(self) -> float:
        """Seconds per second; 0 before the first decode."""
        return self._busy_s / self._audio_s if self._audio_s else 0.0
