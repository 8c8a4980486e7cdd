"""Events as JSON Lines, one file, flushed after every batch so that others can follow it."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from ruasr_tel.errors import ConfigError
from ruasr_tel.events import CallEnded, Event
from ruasr_tel.section import Section


class JsonlConfig(Section):
    """A file of JSON lines, one event a line."""

    path: Path | None = None
    """The file, appended to; its folder is made. None: no such file."""


def to_json(event: Event) -> dict[str, object]:
    """Return an event as plain values; `event` names its kind, unknown confidence is null."""
    body: dict[str, object] = {"event": type(event).__name__}
    for key, value in asdict(event).items():
        body[key] = (
            value.isoformat(timespec="milliseconds") if isinstance(value, datetime) else value
        )
    if isinstance(event, CallEnded):
        body["ledgers"] = {
            leg_id: asdict(ledger) | {"difference": ledger.difference}
            for leg_id, ledger in event.ledgers.items()
        }
    return body


class JsonlSink:
    """Appends to one file.

    Args:
        path: the file; its folder is made if it is not there.

    Raises:
        ConfigError: the file cannot be written.
    """

    name = "jsonl"

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # A lone surrogate, which UTF-8 has not, is written as JSON's own escape of it.
            self._file = path.open("a", encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise ConfigError(f"sinks.jsonl.path: cannot write {path}: {error.strerror}") from error

    def write(self, events: Sequence[Event]) -> None:
        """Append one line per event."""
        lines = [json.dumps(to_json(event), ensure_ascii=False) + "\n" for event in events]
        self._file.write("".join(lines))
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
