import logging
import os
from collections.abc import Iterator

import pytest
import structlog

from ruasr_tel.cli.common import err, out
from ruasr_tel.config_env import FOREIGN_NAMES


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands read the environment; a developer's own must not decide a test."""
    foreign = {each.name for each in FOREIGN_NAMES}
    for name in list(os.environ):
        if name in foreign or name == "RUASR_CONFIG" or name.startswith("RUASR__"):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """A command sends all log lines to its standard error, which is gone after the test."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()  # `basicConfig(force=True)` closes those it finds
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def wide_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables show all they have; a console takes its width from the environment at its making."""
    monkeypatch.setattr(out, "width", 200)
    monkeypatch.setattr(err, "width", 200)
