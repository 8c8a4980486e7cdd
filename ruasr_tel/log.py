"""Log lines: structlog for our own, the standard library's for those of packages; one look.

What a line may say is its writer's business: no transcript text above DEBUG.
"""

import logging
import os
import sys
from contextlib import suppress
from typing import Annotated, Literal, TextIO, cast

import structlog
from pydantic import BeforeValidator

from ruasr_tel.section import Section


def _level_name(value: object) -> object:
    """Return a level's name as we write it; the seed takes any spelling that `logging` knows."""
    if not isinstance(value, str):
        return value
    name = value.strip().lower()
    return {"warn": "warning", "fatal": "critical"}.get(name, name)


Level = Literal["debug", "info", "warning", "error", "critical"]


PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""Levels as syslog and journald number them (sd-daemon(3))."""


class LogConfig(Section):
    """What is logged, and how it looks."""

    level: Annotated[Level, BeforeValidator(_level_name)] = "info"
    """Lowest level that is written, in any case; transcripts appear at `debug` alone."""
    format: Literal["auto", "console", "json", "journal"] = "auto"
    """`console` for people, `json` one object a line, `journal` the same with a level that journald
    reads and without the time that it adds; `auto` takes console on a terminal, journal under
    systemd, json otherwise. A start that fails ends with one plain sentence in all of them."""


class _Patient:
    """A stream that loses what cannot be written instead of failing who logs.

    The terminal of a server may close and the reader of its pipe may end, and the server goes on: a
    line that fails then must not end the task that wrote it, such as the engine's supervisor.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        with suppress(OSError, ValueError):  # ValueError: the stream is closed
            self._stream.write(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()


def set_up_logging(config: LogConfig, stream: TextIO | None = None) -> None:
    """Send all log lines to one stream, from now on; may be called again.

    Lines that the stream does not take are lost; nobody who logs learns of it.

    Packages (websockets, asyncio) log from WARNING up, or everything at our level `debug`:
    websockets alone writes two lines a connection at INFO.

    Args:
        config: level and look.
        stream: where to; None is standard error, for standard output belongs to the commands.
    """
    stream = stream or sys.stderr
    level = logging.getLevelNamesMapping()[config.level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.StackInfoRenderer(),
    ]
    style = _style(config, stream)
    if style != "journal":
        shared.append(structlog.processors.TimeStamper(fmt="iso", utc=True))
    look = _look(style, stream)
    patient = _Patient(stream)
    structlog.configure(
        processors=[*shared, *look],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", patient)),
        cache_logger_on_first_use=False,  # a second call must reach the loggers already in use
    )
    handler = logging.StreamHandler(patient)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *look],
        )
    )
    packages = level if config.level == "debug" else max(level, logging.WARNING)
    logging.basicConfig(handlers=[handler], level=packages, force=True)


def is_for_people(config: LogConfig) -> bool:
    """Whether the log on standard error is read by people, who want plain lines beside it."""
    return _style(config, sys.stderr) == "console"


def _style(config: LogConfig, stream: TextIO) -> str:
    """Return how lines look: `console`, `json` or `journal`."""
    if config.format != "auto":
        return config.format
    if stream.isatty():
        return "console"
    return "journal" if _is_journal(stream) else "json"


def _is_journal(stream: TextIO) -> bool:
    """Whether journald reads it: JOURNAL_STREAM is its device and inode (systemd.exec(5))."""
    try:
        file = os.fstat(stream.fileno())
    except (OSError, ValueError):  # io.UnsupportedOperation is both
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{file.st_dev}:{file.st_ino}"


def _journal_line(logger: object, name: str, event: structlog.typing.EventDict) -> str:
    """Return `<6>{"event": …}`: the level as journald reads it (sd-daemon(3)), the rest as JSON."""
    level = PRIORITIES.get(str(event.pop("level", "info")), 6)
    said = structlog.processors.JSONRenderer(ensure_ascii=False)(logger, name, event)
    return f"<{level}>{said if isinstance(said, str) else said.decode()}"


def _look(style: str, stream: TextIO) -> list[structlog.typing.Processor]:
    """Return the last processors of the chain.

    Tracebacks are plain in both: structlog's rich and dict ones print local variables, and those
    of a decode hold what a caller said.
    """
    if style == "console":
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain)]
    if style == "journal":
        return [structlog.processors.format_exc_info, _journal_line]
    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(ensure_ascii=False),
    ]
