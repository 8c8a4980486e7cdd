"""Says on what the tests run, and keeps their servers out of the user's own state folder."""

import itertools
import os
import shutil
import tempfile
from importlib.metadata import version

import pytest
from hypothesis import HealthCheck, settings

# A machine that others use, too, is slow at times: no example fails for the time it takes.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

PACKAGES = ("numpy", "onnxruntime", "sherpa-onnx", "soxr", "av", "websockets", "aiohttp", "dbos")

_count = itertools.count()
_state = tempfile.mkdtemp(prefix="ruasr-tel-tests-")


def pytest_report_header() -> str:
    return ", ".join(f"{name} {version(name)}" for name in PACKAGES)


def pytest_configure() -> None:
    """For what outlives a test: fixtures of a module or of the session."""
    os.environ["STATE_DIRECTORY"] = _state


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Spread the files of tests that wait for servers among those that compute.

    Of two workers one waits while the other computes, and none has a long file left at the end.
    """
    files = [list(of_file) for _, of_file in itertools.groupby(items, lambda item: item.path)]
    waiting = [each for each in files if each[0].get_closest_marker("e2e")]
    computing = [each for each in files if not each[0].get_closest_marker("e2e")]
    step = len(computing) // (len(waiting) + 1) + 1
    for at, each in enumerate(waiting):
        computing.insert(at * (step + 1), each)
    items[:] = itertools.chain.from_iterable(computing)


def pytest_unconfigure() -> None:
    shutil.rmtree(_state, ignore_errors=True)


@pytest.fixture(autouse=True)
def _own_state(monkeypatch: pytest.MonkeyPatch) -> None:
    """A state folder for each test; a server makes it when it needs it."""
    monkeypatch.setenv("STATE_DIRECTORY", f"{_state}/{next(_count)}")
