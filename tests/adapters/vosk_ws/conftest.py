"""A door on loopback in front of fake calls; and no test of this folder hangs."""

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from ruasr_tel.testing import TIMEOUT_S
from ruasr_tel.websocket import Listener
from ruasr_tel_adapters.vosk_ws import VoskWsConfig, create
from tests.adapters.vosk_ws.fake_calls import FakeCalls, Serve

HERE = Path(__file__).parent


def in_time(test: Callable[..., Awaitable[None]]) -> Callable[..., Awaitable[None]]:
    @functools.wraps(test)
    async def timed(*args: object, **kwargs: object) -> None:
        async with asyncio.timeout(TIMEOUT_S):
            await test(*args, **kwargs)

    return timed


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    functions = (item for item in items if isinstance(item, pytest.Function))
    for item in functions:
        if item.path.is_relative_to(HERE) and inspect.iscoroutinefunction(item.obj):
            item.obj = in_time(item.obj)


@pytest.fixture
def calls() -> FakeCalls:
    return FakeCalls()


@pytest.fixture
async def serve(calls: FakeCalls) -> AsyncIterator[Serve]:
    doors: list[Listener] = []

    async def start(**settings: Any) -> Listener:
        door = create(VoskWsConfig(**{"port": 0} | settings), calls.server)
        doors.append(door)
        await door.start()
        return door

    yield start
    for door in doors:
        await door.close()
