"""Log lines: structlog for our own, the standard library's for those of packages; one look.

What a line may say is its writer's business: no transcript text above DEBUG.
"""

import logging
import sys
from typing import Annotated, Literal, TextIO

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


class LogConfig(Section):
    """What is logged, and how it looks."""

    level: Annotated[Level, BeforeValidator(_level_name)] = "info"
    """Lowest level that is written, in any case; transcripts appear at `debug` alone."""
    format: Literal["auto", "console", "json"] = "auto"
    """`console` for people, `json` one object a line, `auto` console on a terminal only."""


def set_up_logging(config: LogConfig, stream: TextIO | None = None) -> None:
    """Send all log lines to one stream, from now on; may be called again.

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
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    look = _look(config, stream)
    structlog.configure(
        processors=[*shared, *look],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=False,  # a second call must reach the loggers already in use
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *look],
        )
    )
    packages = level if config.level == "debug" else max(level, logging.WARNING)
    logging.basicConfig(handlers=[handler], level=packages, force=True)


def _look(config: LogConfig, stream: TextIO) -> list[structlog.typing.Processor]:
    """Return the last processors of the chain.

    Tracebacks are plain in both: structlog's rich and dict ones print local variables, and those
    of a decode hold what a caller said.
    """
    terminal = stream.isatty()
    if config.format == "console" or (config.format == "auto" and terminal):
        plain = structlog.dev.plain_traceback
        return [structlog.dev.ConsoleRenderer(colors=terminal, exception_formatter=plain)]
    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(ensure_ascii=False),
    ]
