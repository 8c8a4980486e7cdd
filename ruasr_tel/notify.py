"""Tells systemd how the server is (sd_notify(3)); does nothing where nobody asked.

The protocol is one datagram of `NAME=value` lines to the socket named by NOTIFY_SOCKET.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Self

import structlog

STATUS_S = 10.0
"""How often `systemctl status` gets the number of calls; the longest wait between heartbeats."""
START_S = 60.0
"""For how long a server that starts asks each time: longer than from one time to the next."""

_log = structlog.get_logger(__name__)


class Notifier:
    """The service manager's socket.

    Args:
        environ: has NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID where a manager set them.
        pid: ours; a watchdog of another process is none of ours.
    """

    def __init__(self, environ: Mapping[str, str] | None = None, pid: int | None = None) -> None:
        environ = os.environ if environ is None else environ
        address = environ.get("NOTIFY_SOCKET", "")
        # sd_notify(3): a leading @ is the abstract namespace, which Linux writes as a zero byte
        self._address = "\0" + address[1:] if address.startswith("@") else address
        watched = environ.get("WATCHDOG_PID", "") in ("", str(os.getpid() if pid is None else pid))
        microseconds = environ.get("WATCHDOG_USEC", "")
        self.watchdog_s = int(microseconds) / 1e6 if watched and microseconds.isdigit() else None

    def send(self, **lines: str | int) -> None:
        """Send `NAME=value` lines; a manager that does not listen is no error of ours."""
        if not self._address:
            return
        message = "\n".join(f"{name}={value}" for name, value in lines.items())
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as manager:
            try:
                manager.setblocking(False)  # the event loop does not wait for a full queue
                manager.connect(self._address)
                manager.send(message.encode())
            except OSError as error:
                _log.warning("systemd does not listen", error=str(error))


class Heartbeat:
    """Says that the server starts, is ready, lives, how many calls run, and that it stops.

    Used as an asynchronous context around the server's whole life; the heart beats on while calls
    are drained.

    Args:
        notifier: the manager's socket.
    """

    def __init__(self, notifier: Notifier) -> None:
        self._notifier = notifier
        self._beating: asyncio.Task[None] | None = None
        self._state = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._beating is not None:
            self._beating.cancel()
            with suppress(asyncio.CancelledError):
                await self._beating

    def starting(self) -> None:
        """Ask for more time again and again until it is ready; loading a model has its own limit.

        So `process.load_timeout_s` may be longer than the unit's TimeoutStartSec=.
        """
        self._beating = asyncio.create_task(self._ask_for_time())

    def ready(self, calls: Callable[[], int]) -> None:
        """Say that every door is open; begin to beat.

        Args:
            calls: how many run now.
        """
        if self._beating is not None:
            self._beating.cancel()
        self._notifier.send(READY=1, STATUS=self._status(calls))
        self._beating = asyncio.create_task(self._beat(calls))

    def stopping(self, longest_s: float) -> None:
        """Say that the server stops, and how long that may take."""
        self._state = "stopping, "
        self._notifier.send(STOPPING=1, EXTEND_TIMEOUT_USEC=round(longest_s * 1e6))

    async def _ask_for_time(self) -> None:
        while True:
            self._notifier.send(EXTEND_TIMEOUT_USEC=round(START_S * 1e6), STATUS="starting")
            await asyncio.sleep(STATUS_S)

    async def _beat(self, calls: Callable[[], int]) -> None:
        # sd_watchdog_enabled(3): "every half of the time"
        wait_s = min(STATUS_S, (self._notifier.watchdog_s or 2 * STATUS_S) / 2)
        while True:
            await asyncio.sleep(wait_s)
            self._notifier.send(WATCHDOG=1, STATUS=self._status(calls))

    def _status(self, calls: Callable[[], int]) -> str:
        return f"{self._state}calls: {calls()}"
