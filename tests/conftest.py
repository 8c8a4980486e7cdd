"""Says on what the tests run, and keeps their servers out of the user's own state folder."""

import itertools
import os
import shutil
import tempfile
from importlib.metadata import version

import pytest

PACKAGES = ("numpy", "onnxruntime", "sherpa-onnx", "soxr", "av", "websockets", "aiohttp", "dbos")

_count = itertools.count()
_state = tempfile.mkdtemp(prefix="ruasr-tel-tests-")


def pytest_report_header() -> str:
    return ", ".join(f"{name} {version(name)}" for name in PACKAGES)


def pytest_configure() -> None:
    """For what outlives a test: fixtures of a module or of the session."""
    os.environ["STATE_DIRECTORY"] = _state


def pytest_unconfigure() -> None:
    shutil.rmtree(_state, ignore_errors=True)


@pytest.fixture(autouse=True)
def _own_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """A state folder for each test; a server makes it when it needs it."""
    monkeypatch.setenv("STATE_DIRECTORY", f"{_state}/{next(_count)}")
