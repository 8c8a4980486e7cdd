"""What every sink does."""

from collections.abc import Sequence
from typing import Protocol

from ruasr_tel.events import Event


class Sink(Protocol):
    """Takes events out of the server."""

    name: str

    def write(self, events: Sequence[Event]) -> None:
        """Write events in order; blocking, called in a thread of the sink's own.

        Raises:
            OSError: these events are lost; the sink is called again with the next ones.
        """
        ...

    def close(self) -> None:
        """Give back what it holds."""
        ...
