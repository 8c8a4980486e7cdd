"""What live doors do alike with a call: name it, look up its profile, hear a leg at its pace."""

import structlog

from ruasr_tel.audio.codec import Decoder, Encoding
from ruasr_tel.call import Calls
from ruasr_tel.errors import ConfigError
from ruasr_tel.leg import Leg
from ruasr_tel.types import CallId, Samples

_log = structlog.get_logger(__name__)


def check_profile(door: str, name: str | None, calls: Calls) -> None:
    """See that a door's configured profile is there.

    Args:
        door: the door's name below `doors:`.
        name: what its section says.
        calls: knows the profiles.

    Raises:
        ConfigError: there is none of that name; names the key.
    """
    try:
        calls.profile(name)
    except ConfigError as error:
        raise ConfigError(f"doors.{door}.profile: {error}") from error


def free_id(wanted: CallId, calls: Calls) -> CallId:
    """Return `wanted`, or `wanted#2`, `wanted#3` and so on while calls of that name run."""
    call_id, count = wanted, 1
    while call_id in calls:
        count += 1
        call_id = CallId(f"{wanted}#{count}")
    return call_id


class Ear:
    """Bytes of one leg in; what recognition cannot take in time is dropped, and said to be.

    A PBX cannot be made to wait, so its socket is always read.

    Args:
        leg: takes the samples.
        encoding: how the bytes carry them.
        max_backlog_s: audio waiting for recognition above which new audio is dropped.
    """

    def __init__(self, leg: Leg, encoding: Encoding, max_backlog_s: float) -> None:
        self.leg = leg
        self._decoder = Decoder(encoding)
        self._max_backlog_s = max_backlog_s
        self._dropping = False

    def hear(self, data: bytes) -> None:
        """Take the next bytes of the leg, any number of them."""
        self.take(self._decoder.decode(data))

    def take(self, samples: Samples) -> None:
        """Take the next samples of the leg.

        Args:
            samples: int16, shape (n,), at the leg's rate.
        """
        backlog_s = self.leg.backlog_s
        if backlog_s <= self._max_backlog_s:
            self.leg.push(samples)
            return
        self.leg.drop(len(samples), "backlog")
        if not self._dropping:
            self._dropping = True
            _log.warning(
                "a door drops audio", call_id=self.leg.call_id, backlog_s=round(backlog_s, 1)
            )
