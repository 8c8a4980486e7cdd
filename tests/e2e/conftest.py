"""Every test below starts the real server, or talks to one that a module shares."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.server import Server, running

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A server on the embedded model; no test stops it."""
    with running() as started:
        yield started
