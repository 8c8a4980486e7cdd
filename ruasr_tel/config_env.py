"""The variables of the server our users come from, and of vosk-server, in our terms.

`HOST` and `MAX_OVERLAP_DURATION` speak for many keys at once: they fill those that nothing else
sets. All others stand above the file and below `RUASR__*`.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel

from ruasr_tel.config_keys import ANY_NAME, Entry, Key, fields, find

HOST = "HOST"
MAX_OVERLAP = "MAX_OVERLAP_DURATION"
SHOW_WORDS = "VOSK_SHOW_WORDS"


@dataclass(frozen=True, slots=True)
class ForeignName:
    """A variable that another server reads.

    Attributes:
        name: the variable.
        server: whose it is: `seed` or `vosk-server`.
        key: what it sets here, dotted; `<name>` stands for each name; empty if it has no effect.
        doc: what there is to know, for people.
        says: what a value of theirs is in ours, where it is not the same; None says nothing.
    """

    name: str
    server: str
    key: str
    doc: str
    says: Mapping[str, str | None] = field(default_factory=dict)


FOREIGN_NAMES = (
    ForeignName(
        HOST,
        "seed",
        f"doors.{ANY_NAME}.host",
        "every door whose own host is set nowhere; a name other than `localhost` is taken for the"
        " machine's own, which some shells export, and ignored with a warning",
    ),
    ForeignName("PORT", "seed", "doors.rest.port", "the REST door's alone, never another's"),
    ForeignName("LOGGING_LEVEL", "seed", "log.level", "in any case"),
    ForeignName("NUM_THREADS", "seed", "engine.threads", "decodes at once, one thread each"),
    ForeignName("PROVIDER", "seed", "engine.provider", "CPU or CUDA, in any case"),
    ForeignName("MODEL_NAME", "seed", "engine.model", "Vosk5, Gigaam or any other name we know"),
    ForeignName(
        MAX_OVERLAP,
        "seed",
        f"profiles.{ANY_NAME}.boundary.max_segment_s",
        "every profile whose own limit is set nowhere, but never more than the profile has by"
        " itself (`yesno`: 5 s); kept within the bounds, with a warning",
    ),
    ForeignName("BASE_SAMPLE_RATE", "seed", "", "each call is recognised from its own rate"),
    ForeignName("RECOGNITION_ATTEMPTS", "seed", "", "it had none in the seed either"),
    ForeignName(
        "DO_LOCAL_FILE_RECOGNITIONS",
        "seed",
        "",
        "the folder that `watch.folder` names is watched, none without it",
        {"0": None},
    ),
    ForeignName(
        "DELETE_LOCAL_FILE_AFTR_ASR",
        "seed",
        "watch.after",
        "1 is `delete`, 0 is `keep`",
        {"1": "delete", "0": "keep"},
    ),
    ForeignName(
        "HUMAN_FORMAT_MD_FILE",
        "seed",
        "watch.write",
        "1 is `md`, 0 is `json`",
        {"1": "md", "0": "json"},
    ),
    ForeignName("BETWEEN_WORDS_PERCENTILE", "seed", "dialogue.rhythm_percentile", ""),
    ForeignName(
        "VAD_SENSE", "seed", "", "set `profiles.<name>.boundary.threshold`; lower hears more"
    ),
    ForeignName(
        "MAKE_MONO",
        "seed",
        "watch.channels",
        "1 is `mix`; the watched folder's alone, as in the seed",
        {"1": "mix", "0": None},
    ),
    ForeignName("VOSK_SERVER_INTERFACE", "vosk-server", "doors.vosk_ws.host", ""),
    ForeignName("VOSK_SERVER_PORT", "vosk-server", "doors.vosk_ws.port", ""),
    ForeignName("VOSK_SAMPLE_RATE", "vosk-server", "doors.vosk_ws.sample_rate", ""),
    ForeignName("VOSK_ALTERNATIVES", "vosk-server", "doors.vosk_ws.max_alternatives", ""),
    ForeignName(
        SHOW_WORDS,
        "vosk-server",
        "doors.vosk_ws.show_words",
        "as a person means it: `0` and `False` are no. vosk-server takes `bool()` of the text, so"
        " that there only an empty value is no; here it is, too",
    ),
    ForeignName(
        "VOSK_MODEL_PATH", "vosk-server", "engine.model", "a model's folder; beats MODEL_NAME"
    ),
)

_SERVICE_LINK = re.compile(r"(tcp|udp|sctp)://")
"""Kubernetes sets VOSK_SERVER_PORT=tcp://10.0.0.1:2700 beside a service named vosk-server."""


def foreign_entries(
    environ: Mapping[str, str],
    tree: type[BaseModel],
    others: Sequence[Entry],
    profiles: Mapping[str, float],
) -> tuple[list[Entry], list[str]]:
    """Return what the foreign variables set, and warnings about those that set nothing.

    Args:
        environ: all variables.
        tree: the class of the configuration.
        others: what every other source sets.
        profiles: those that exist by default, each with a longest segment of its own in seconds,
            infinite where it has none.

    Returns:
        Entries that stand above the file, and sentences for the log.
    """
    said = {entry.key for entry in others}
    names = {*profiles} | {key[1] for key in said if key[0] == "profiles" and len(key) > 1}
    said |= _shorter(environ.get(MAX_OVERLAP, ""), profiles)
    found: dict[Key, Entry] = {}
    warnings: list[str] = []
    for foreign in FOREIGN_NAMES:
        origin = f"environment {foreign.name}"
        text, warning = _text(foreign.name, environ)
        text = foreign.says.get(text, text) if text is not None else None
        keys = list(_keys(foreign, tree, names))
        if text is not None and not keys:
            warning = f"{origin} has no effect: {_why(foreign)}"
        if text is not None and foreign.name == MAX_OVERLAP:
            text, warning = _within_bounds(text, foreign, tree)
        if warning:
            warnings.append(warning)
        for key in keys if text is not None else ():
            if ANY_NAME not in foreign.key or key not in said:
                found[key] = Entry(key, text, origin)
    return list(found.values()), warnings


def _text(name: str, environ: Mapping[str, str]) -> tuple[str | None, str]:
    """Return what a variable says, or None if that is nothing for us, and a warning or ""."""
    text = environ.get(name, "").strip()
    if name == SHOW_WORDS and name in environ and not text:
        return "false", ""
    if _SERVICE_LINK.match(text):
        link = f"environment {name} is {text!r}, a Kubernetes service link: ignored"
        return None, f"{link}; set enableServiceLinks: false, or another service name"
    if name == HOST and text and text != "localhost" and not _is_like_address(text):
        machine = f"environment HOST is {text!r}, taken for this machine's name: ignored"
        return None, f"{machine}; give an address such as 0.0.0.0, or set a door's own host"
    return text or None, ""


def _keys(foreign: ForeignName, tree: type[BaseModel], profiles: set[str]) -> Iterator[Key]:
    """Yield the keys that a variable sets in this tree."""
    section, name, *rest = (*foreign.key.split("."), "")
    names = [name]
    if name == ANY_NAME:
        doors: Any = find(tree, ("doors",))
        names = sorted(profiles) if section == "profiles" else list(doors.model_fields)
    for each in names:
        key = tuple(part for part in (section, each, *rest) if part)
        if key and find(tree, key) is not None:
            yield key


def _shorter(text: str, profiles: Mapping[str, float]) -> set[Key]:
    """Return the limits that profiles have by themselves and that a number would raise."""
    try:
        number = float(text)
    except ValueError:
        return set()
    return {
        ("profiles", name, "boundary", "max_segment_s")
        for name, own in profiles.items()
        if own < number
    }


def _why(foreign: ForeignName) -> str:
    """Return why a variable sets nothing."""
    return f"there is no {foreign.key} here" if foreign.key else foreign.doc


def _within_bounds(text: str, foreign: ForeignName, tree: type[BaseModel]) -> tuple[str, str]:
    """Return a number moved into its field's bounds, and a warning if it was outside.

    The seed's own default was 30 at last, more than any of its models takes in one piece.
    """
    field = dict(fields(tree))[tuple(foreign.key.split("."))]
    low = next(each.ge for each in field.metadata if hasattr(each, "ge"))
    high = next(each.le for each in field.metadata if hasattr(each, "le"))
    try:
        number = float(text)
    except ValueError:
        return text, ""
    if low <= number <= high:
        return text, ""
    near = low if number < low else high
    return str(
        near
    ), f"environment {foreign.name} is {text}, taken as {near:g}: allowed are {low:g} to {high:g}"


def _is_like_address(host: str) -> bool:
    return re.fullmatch(r"[0-9.]+|.*:.*", host) is not None


def is_malformed_address(host: str) -> bool:
    """Whether a host is meant as an IP address and is none: `0.0.0.0.0`."""
    if not _is_like_address(host):
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return True
    return False
