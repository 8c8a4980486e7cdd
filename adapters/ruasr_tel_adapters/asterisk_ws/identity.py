"""How a call is named. Pure.

Asterisk keeps the `v(...)` parameters of a dial in the connection that all calls share: the next
call without them comes with those of the last (our measurement, 22.10.1). So the URI's uuid is a
hint, believed once; a variable of the channel itself and the channel's id are certain.
"""

import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from ruasr_tel.errors import ProtocolError
from ruasr_tel.types import CallId
from ruasr_tel_adapters.wires.chan_websocket import MediaStart

CALL_ID_VARIABLE: Final = "RUASR_CALL_ID"
"""Channel variable with the call's name; `Set(__RUASR_CALL_ID=...)` before Dial, with f(json)."""
PROFILE_VARIABLE: Final = "RUASR_PROFILE"
"""Channel variable with the profile, likewise."""

REMEMBERED: Final = 10_000
"""UUIDs that are known to have been used; the oldest is forgotten first."""

_CALL_ID = re.compile(r"[\w.:@+-]{1,128}", re.ASCII)
_FIELDS_MAX = 64


@dataclass(frozen=True, slots=True)
class Uri:
    """What a request's target says; both are hints.

    Attributes:
        uuid: of `?uuid=` or `?call_id=`, or empty.
        profile: of `?profile=`, or empty.
    """

    uuid: str = ""
    profile: str = ""


def parse_uri(target: str) -> Uri:
    """Return what a request target such as `/media?uuid=...` says.

    Raises:
        ProtocolError: too many fields, or a uuid with characters that have no place in one.
    """
    try:
        query = dict(parse_qsl(target.partition("?")[2], max_num_fields=_FIELDS_MAX))
    except ValueError:
        raise ProtocolError(f"more than {_FIELDS_MAX} fields in the URI") from None
    uuid = query.get("uuid") or query.get("call_id") or ""
    if uuid and not _CALL_ID.fullmatch(uuid):
        raise ProtocolError(f"uuid {uuid[:40]!a} is not 1 to 128 of A-Z a-z 0-9 _ . : @ + -")
    return Uri(uuid, query.get("profile") or "")


@dataclass(frozen=True, slots=True)
class Name:
    """How a call is called.

    Attributes:
        call_id: its name.
        stale_uuid: the URI's uuid that was not believed, or empty.
    """

    call_id: CallId
    stale_uuid: str = ""


class Registry:
    """Names the calls of one door; remembers which uuids came already."""

    def __init__(self) -> None:
        self._used: OrderedDict[str, None] = OrderedDict()

    def name(self, start: MediaStart, uri: Uri, otherwise: str) -> Name:
        """Return the call's name: the channel's variable, a new uuid, or the channel's id.

        Args:
            start: what the channel says.
            uri: what its connection says.
            otherwise: a name for channels of an Asterisk that tells no id.
        """
        said = start.variables.get(CALL_ID_VARIABLE, "")
        if _CALL_ID.fullmatch(said):
            self._remember(said)
            return Name(CallId(said))
        if uri.uuid and uri.uuid not in self._used:
            self._remember(uri.uuid)
            return Name(CallId(uri.uuid))
        known = start.channel_id if _CALL_ID.fullmatch(start.channel_id) else otherwise
        return Name(CallId(known), uri.uuid)

    def _remember(self, uuid: str) -> None:
        self._used[uuid] = None
        if len(self._used) > REMEMBERED:
            self._used.popitem(last=False)
