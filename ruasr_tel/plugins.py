"""Finds adapters (doors) by entry point; this is what "plugin server" means.

A third party adds a door with its own distribution and the entry point
`[project.entry-points."ruasr_tel.adapters"] name = "package:ADAPTER"`, where ADAPTER is an `Adapter`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Protocol

from pydantic import BaseModel

from ruasr_tel.call import Calls

ADAPTER_GROUP = "ruasr_tel.adapters"


class Door(Protocol):
    """A listening adapter."""

    @property
    def url(self) -> str:
        """Where it listens, for people: `ws://127.0.0.1:2700` or `tcp://127.0.0.1:9092`."""
        ...

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            PortTaken: the port is in use.
        """
        ...

    async def stop_accepting(self) -> None:
        """Refuse new calls from now on; running calls go on."""
        ...

    async def close(self) -> None:
        """End the running calls in the protocol's own way, each with its last final."""
        ...


@dataclass(frozen=True, slots=True)
class Adapter:
    """What an adapter package offers.

    Attributes:
        name: the entry point's name and the key below `doors:` in the configuration.
        config: its own frozen section, `extra="forbid"`, with `enabled`, `host` and `port`.
        create: makes the door from its section; called once, does not listen yet.
    """

    name: str
    config: type[BaseModel]
    create: Callable[[Any, Calls], Door]


@cache
def adapters() -> dict[str, Adapter]:
    """Return every installed adapter by name."""
    found = entry_points(group=ADAPTER_GROUP)
    return {entry.name: entry.load() for entry in sorted(found, key=lambda entry: entry.name)}
