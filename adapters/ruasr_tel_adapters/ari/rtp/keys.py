"""Key presses out of telephone-event packets, each once. Pure; no clock."""

from ruasr_tel_adapters.ari.rtp.wire import KeyPress


class Keys:
    """Turns the many packets of a key press into one key.

    A press is known by its timestamp: every packet of it has the one of its beginning, and the last
    packet comes three times (RFC 4733, 2.5.1.4). A press whose end was lost counts when the next
    one begins.
    """

    def __init__(self) -> None:
        self._open: tuple[int, str | None] | None = None  # timestamp and digit, not told yet
        self._told: int | None = None

    def push(self, timestamp: int, press: KeyPress) -> list[str]:
        """Return the keys that are over now.

        Args:
            timestamp: the packet's.
            press: its payload.
        """
        keys: list[str] = []
        if timestamp == self._told:
            return keys
        if self._open is not None and self._open[0] != timestamp:
            keys += self.flush()
        self._open = (timestamp, press.digit)
        return keys + (self.flush() if press.is_end else [])

    def flush(self) -> list[str]:
        """Return the key that is still down, for nothing more comes."""
        if self._open is None:
            return []
        self._told, digit = self._open
        self._open = None
        return [] if digit is None else [digit]
