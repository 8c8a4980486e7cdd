"""ARI's events and what a dialplan asks of us, without I/O.

Events as asterisk rest-api/api-docs/events.json describes them; only what this door acts on.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

from ruasr_tel.errors import ProtocolError
from ruasr_tel_adapters.ari.config import AriConfig, Mode, Parties

TAP: Final = "ruasr.tap"
"""The user event by which another application asks for a channel to be listened to."""

VALUES_MAX: Final = 32
"""Settings that one channel may bring."""


@dataclass(frozen=True, slots=True)
class Channel:
    """A channel as Asterisk shows it.

    Attributes:
        id: its Uniqueid.
        name: such as `PJSIP/100-00000001`.
        caller: number of the caller, possibly empty.
        exten: where it is in the dialplan.
        variables: those that Asterisk sends along.
    """

    id: str
    name: str = ""
    caller: str = ""
    exten: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Entered:
    """A channel came into the application."""

    channel: Channel
    args: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Left:
    """A channel left the application; it may live on in the dialplan."""

    channel_id: str


@dataclass(frozen=True, slots=True)
class Gone:
    """A channel is no more."""

    channel_id: str


@dataclass(frozen=True, slots=True)
class Digit:
    """A key was pressed and let go."""

    channel_id: str
    digit: str


@dataclass(frozen=True, slots=True)
class Asked:
    """Another application wants a channel listened to (`TAP`)."""

    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Replaced:
    """Another program registered the application's name."""


@dataclass(frozen=True, slots=True)
class Other:
    """Anything else."""

    type: str


AriEvent: TypeAlias = Entered | Left | Gone | Digit | Asked | Replaced | Other


def parse_event(text: str | bytes) -> AriEvent:
    """Return what one message of the events socket says.

    Raises:
        ProtocolError: no JSON object with a `type`, or one without what its type needs.
    """
    try:
        event = json.loads(text)
        kind = event["type"]
        return _of_kind(kind, event)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"an event that is no JSON: {error}") from None
    except (KeyError, TypeError, AttributeError) as error:
        raise ProtocolError(f"an event without {error}") from None


def _of_kind(kind: object, event: Mapping[str, Any]) -> AriEvent:
    match kind:
        case "StasisStart":
            return Entered(channel_of(event["channel"]), tuple(map(str, event.get("args", []))))
        case "StasisEnd":
            return Left(str(event["channel"]["id"]))
        case "ChannelDestroyed":
            return Gone(str(event["channel"]["id"]))
        case "ChannelDtmfReceived":
            return Digit(str(event["channel"]["id"]), str(event["digit"]))
        case "ChannelUserevent" if event["eventname"] == TAP:
            said = event.get("userevent") or {}
            return Asked({str(key): str(value) for key, value in said.items()})
        case "ApplicationReplaced":
            return Replaced()
    return Other(str(kind))


def channel_of(shown: Mapping[str, Any]) -> Channel:
    """Return a channel out of its JSON.

    Raises:
        KeyError: it has no id.
    """
    variables = shown.get("channelvars") or {}
    return Channel(
        str(shown["id"]),
        str(shown.get("name", "")),
        str((shown.get("caller") or {}).get("number", "")),
        str((shown.get("dialplan") or {}).get("exten", "")),
        {str(key): str(value) for key, value in variables.items()},
    )


def waits_in(app: str, shown: Mapping[str, Any]) -> bool:
    """Return whether a channel, as a list of all shows it, is in a Stasis application.

    `dialplan.app_data` is what the dialplan wrote: `ruasr,mode=ask`.
    """
    dialplan = shown.get("dialplan") or {}
    name = str(dialplan.get("app_data", "")).partition(",")[0].strip()
    return dialplan.get("app_name") == "Stasis" and name == app


@dataclass(frozen=True, slots=True)
class Wishes:
    """How one channel is to be listened to.

    Attributes:
        mode: what becomes of the channel meanwhile.
        parties: whom to listen to.
        profile: how, or None: what was announced, or the door's.
        call_id: the call's name, or None for the channel's linkedid.
        ask_timeout_s: in the mode `ask`, how long.
        tell: the application that gets user events, or None.
    """

    mode: Mode
    parties: Parties
    profile: str | None
    call_id: str | None
    ask_timeout_s: float
    tell: str | None


def default_wishes(config: AriConfig) -> Wishes:
    """Return how a channel is listened to that asks for nothing."""
    return Wishes(config.mode, config.parties, None, None, config.ask_timeout_s, config.tell)


def split_args(args: Iterable[str]) -> dict[str, str]:
    """Return the settings in `Stasis(ruasr,mode=ask,profile=yesno)`.

    Raises:
        ProtocolError: one has no `=`, or there are too many.
    """
    values: dict[str, str] = {}
    for arg in args:
        key, equals, value = arg.partition("=")
        if not equals:
            raise ProtocolError(f"{arg[:40]!a} is no setting: write mode=, profile=, … = a value")
        values[key.strip()] = value.strip()
    if len(values) > VALUES_MAX:
        raise ProtocolError(f"{len(values)} settings, at most {VALUES_MAX}")
    return values


def apply(wishes: Wishes, values: Mapping[str, str]) -> Wishes:
    """Return the wishes with a dialplan's settings; `channel` and unknown keys change nothing.

    Raises:
        ProtocolError: a value that its key cannot have.
    """
    changes: dict[str, Any] = {}
    for key, value in values.items():
        if key in ("mode", "parties"):
            allowed = ("tap", "ask", "hold") if key == "mode" else ("both", "caller")
            if value not in allowed:
                raise ProtocolError(f"{key}: {value[:40]!a} is not one of {', '.join(allowed)}")
            changes[key] = value
        elif key in ("profile", "call_id", "tell"):
            changes[key] = value or None
        elif key == "timeout":
            changes["ask_timeout_s"] = _seconds(value)
    return replace(wishes, **changes)


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise ProtocolError(f"timeout: {value[:40]!a} is not a number of seconds up to 3600")
    return seconds
