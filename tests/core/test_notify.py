"""What systemd hears, over a real datagram socket."""

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ruasr_tel import notify
from ruasr_tel.notify import Heartbeat, Notifier
from ruasr_tel.testing.calls import TIMEOUT_S


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(TIMEOUT_S)
        yield listening


def said(manager: socket.socket) -> list[str]:
    return manager.recv(1000).decode().split("\n")


async def test_ready_alive_and_stopping(manager: socket.socket) -> None:
    environ = {"NOTIFY_SOCKET": manager.getsockname(), "WATCHDOG_USEC": "20000"}
    calls = 0
    async with Heartbeat(Notifier(environ)) as heart:
        heart.ready(lambda: calls)
        assert said(manager) == ["READY=1", "STATUS=calls: 0"]
        calls = 3
        alive = await asyncio.to_thread(said, manager)
        assert alive == ["WATCHDOG=1", "STATUS=calls: 3"]
        heart.stopping(60.5)
        while (news := await asyncio.to_thread(said, manager))[0] == "WATCHDOG=1":
            assert news[1] == "STATUS=calls: 3"
        assert news == ["STOPPING=1", "EXTEND_TIMEOUT_USEC=60500000"]
        drained = await asyncio.to_thread(said, manager)
        assert drained == ["WATCHDOG=1", "STATUS=stopping, calls: 3"]


async def test_a_start_asks_for_time_until_it_is_ready(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "STATUS_S", 0.01)
    async with Heartbeat(Notifier({"NOTIFY_SOCKET": manager.getsockname()})) as heart:
        heart.starting()
        for _ in range(3):  # it goes on for as long as the models load
            asked = await asyncio.to_thread(said, manager)
            assert asked == ["EXTEND_TIMEOUT_USEC=60000000", "STATUS=starting"]
        heart.ready(lambda: 0)
        while (news := await asyncio.to_thread(said, manager)) == asked:
            pass
        assert news == ["READY=1", "STATUS=calls: 0"]
        assert await asyncio.to_thread(said, manager) == ["WATCHDOG=1", "STATUS=calls: 0"]


async def test_without_systemd_nothing_is_said_and_nothing_fails() -> None:
    notifier = Notifier({})
    assert notifier.watchdog_s is None
    async with Heartbeat(notifier) as heart:
        heart.starting()
        heart.ready(lambda: 0)
        heart.stopping(1)


async def test_a_start_that_fails_has_no_heart_to_stop() -> None:
    async with Heartbeat(Notifier({})):
        pass


def test_an_abstract_socket() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("")  # autobind: Linux gives an abstract address
        name = listening.getsockname().decode()
        Notifier({"NOTIFY_SOCKET": "@" + name[1:]}).send(READY=1)
        listening.settimeout(TIMEOUT_S)
        assert listening.recv(100) == b"READY=1"


def test_a_manager_that_is_gone_is_a_line_in_the_log() -> None:
    with capture_logs() as logs:
        Notifier({"NOTIFY_SOCKET": "/nowhere/notify"}).send(READY=1)
    assert logs[0]["event"] == "systemd does not listen"


@pytest.mark.parametrize(
    ("environ", "watchdog_s"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_whose_watchdog_it_is(environ: dict[str, str], watchdog_s: float | None) -> None:
    assert Notifier(environ, pid=7).watchdog_s == watchdog_s
