"""Finds adapters (doors) by entry point; this is what "plugin server" means.

A third party adds a door with its own distribution and the entry point
`[project.entry-points."ruasr_tel.adapters"] name = "package:ADAPTER"`; ADAPTER is an `Adapter`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Protocol

from pydantic import BaseModel

from ruasr_tel.call import Calls
from ruasr_tel.errors import ConfigError
from ruasr_tel.hub import Hub
from ruasr_tel.metrics import Metrics
from ruasr_tel.types import Samples

if TYPE_CHECKING:
    from ruasr_tel.recordings.jobs import Recordings
    from ruasr_tel.store import Store

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
class Server:
    """What a door may use of the server.

    Attributes:
        calls: opens calls.
        hub: follows their events.
        metrics: counts, and what Prometheus reads.
        store: history, or None where it is switched off.
        recordings: jobs, or None where they are switched off.
        ready: whether the engine answers now.
        door_urls: where the doors listen, by name; asked once they do.
    """

    calls: Calls
    hub: Hub
    metrics: Metrics
    store: "Store | None" = None
    recordings: "Recordings | None" = None
    ready: Callable[[], bool] = lambda: True
    door_urls: Callable[[], Mapping[str, str]] = dict[str, str]


@dataclass(frozen=True, slots=True)
class Heard:
    """What a simulated phone's peer saw come back.

    Attributes:
        text: the text; empty finals are heard, too.
        final: whether it is a final.
        end_s: end of its last word in seconds of the call's audio, or None if not told.
        mono_s: when it came, monotonic seconds.
    """

    text: str
    final: bool
    end_s: float | None
    mono_s: float


@dataclass(frozen=True, slots=True)
class PhoneCall:
    """One call for a simulated phone to make.

    Attributes:
        url: the door's, as `Door.url` has it.
        call_id: a UUID in text form, by which the server's events name the call.
        samples: int16, shape (n,).
        sample_rate_hz: their rate.
        pace: seconds of audio per second of clock; 1.0 is a call.
        profile: how the server shall listen, where the protocol can say so; None: its default.
        hear: takes what comes back through the door, as it comes.
        started: told the monotonic seconds at which the first sample is due, once.
    """

    url: str
    call_id: str
    samples: Samples
    sample_rate_hz: int
    pace: float
    profile: str | None
    hear: Callable[[Heard], None]
    started: Callable[[float], None]


class Phone(Protocol):
    """A simulated PBX: plays audio into a door the way a real one would."""

    @property
    def scheme(self) -> str:
        """That of the door's `url`: `ws` or `tcp`."""
        ...

    @property
    def hears(self) -> bool:
        """Whether text comes back through the door; else only the server's sinks have it."""
        ...

    async def play(self, call: PhoneCall) -> None:
        """Play one call to its end.

        Raises:
            OSError: nobody listens there.
            ProtocolError: the server broke its protocol or refused the call.
        """
        ...


@dataclass(frozen=True, slots=True)
class Adapter:
    """What an adapter package offers.

    Attributes:
        name: the entry point's name and the key below `doors:` in the configuration.
        config: its own frozen section, `extra="forbid"`, with `enabled`, `host` and `port`.
        create: makes the door from its section; called once, does not listen yet.
        phone: a simulated peer for `ruasr-tel call`, or None.
    """

    name: str
    config: type[BaseModel]
    create: Callable[[Any, Server], Door]
    phone: Phone | None = None


@cache
def adapters() -> dict[str, Adapter]:
    """Return every installed adapter by name.

    Raises:
        ConfigError: one cannot be imported; names it and the distribution that brought it.
    """
    found = entry_points(group=ADAPTER_GROUP)
    return {entry.name: _load(entry) for entry in sorted(found, key=lambda entry: entry.name)}


def _load(entry: EntryPoint) -> Adapter:
    try:
        adapter: Adapter = entry.load()
    except Exception as error:
        origin = entry.dist.name if entry.dist else "an unknown distribution"
        raise ConfigError(
            f"adapter {entry.name!r} of {origin} cannot be imported ({error}); "
            f"repair it or uninstall {origin}"
        ) from error
    return adapter
