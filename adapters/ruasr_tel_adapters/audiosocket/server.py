"""The AudioSocket door: a TCP listener, and one timer that paces silence for all its calls."""

import asyncio
from typing import Final, cast

import structlog

from ruasr_tel.call import Calls
from ruasr_tel.live import check_profile
from ruasr_tel.metrics import Metrics
from ruasr_tel.sockets import cannot_listen, listening_at, peer_name, reset, url_of
from ruasr_tel_adapters.audiosocket.config import AudioSocketConfig
from ruasr_tel_adapters.audiosocket.session import Session
from ruasr_tel_adapters.wires.audiosocket import FRAME_S

MAX_LATE_S: Final = 0.1
"""A late timer makes up for at most this: frames sent at once crowd Asterisk's queue."""
_log = structlog.get_logger(__name__)


def create(config: AudioSocketConfig, calls: Calls, metrics: Metrics) -> "AudioSocketDoor":
    """Return the door; it does not listen yet.

    Raises:
        ConfigError: there is no profile of the configured name.
    """
    check_profile("audiosocket", config.profile, calls)
    return AudioSocketDoor(config, calls, metrics)


class Refusal(asyncio.Protocol):
    """A connection that is reset at once.

    Args:
        metrics: counts it.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Reset it, and say so."""
        self._metrics.calls.labels("audiosocket", "refused").inc()
        peer = peer_name(transport.get_extra_info("peername"))
        _log.warning("audiosocket refused", peer=peer, error="the server is stopping")
        reset(cast(asyncio.Transport, transport))


class AudioSocketDoor:
    """Listens for a PBX; every connection is one call.

    Args:
        config: the door's section.
        calls: where calls are opened.
        metrics: counts what is against the protocol.
    """

    def __init__(self, config: AudioSocketConfig, calls: Calls, metrics: Metrics) -> None:
        self._config = config
        self._calls = calls
        self._metrics = metrics
        self._sessions: set[Session] = set()
        self._server: asyncio.Server | None = None
        self._host = config.host
        self._port = config.port
        self._accepting = True
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0

    @property
    def url(self) -> str:
        """Where it listens: `tcp://127.0.0.1:9092`."""
        return url_of("tcp", self._host, self._port)

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            PortTaken: the port is in use.
            ConfigError: the address cannot be listened on for another reason.
        """
        loop = asyncio.get_running_loop()
        try:
            where = listening_at("audiosocket", self._host, self._port)
            self._server = await loop.create_server(self._connected, **where)
        except OSError as error:
            raise cannot_listen("audiosocket", self.url, error) from error
        self._host, self._port = self._server.sockets[0].getsockname()[:2]

    async def stop_accepting(self) -> None:
        """Reset new connections from now on; running calls go on.

        For a dialplan a reset is what a refused connect is, but Asterisk's own descriptors survive
        it (docs/adr/0028).
        """
        self._accepting = False

    async def close(self) -> None:
        """Hand every running call back to its PBX (0x00) and wait for the last finals."""
        await self.stop_accepting()
        if self._server is not None:
            self._server.close()  # not wait_closed: from Python 3.12 it waits for the calls too
        while sessions := tuple(self._sessions):
            for session in sessions:
                session.hang_up("drain")
            await asyncio.gather(*(session.finished.wait() for session in sessions))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _connected(self) -> asyncio.Protocol:
        """Make the protocol of a new connection, and wake the timer."""
        if not self._accepting:
            return Refusal(self._metrics)
        loop = asyncio.get_running_loop()
        if self._timer is None:
            self._due_s = loop.time() + FRAME_S
            self._timer = loop.call_at(self._due_s, self._tick)
        return Session(self._config, self._calls, self._sessions, loop.time, self._metrics)

    def _tick(self) -> None:
        """Tick every connection; rest when there is none."""
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        self._due_s = max(self._due_s + FRAME_S, now_s - MAX_LATE_S)
        self._timer = loop.call_at(self._due_s, self._tick) if self._sessions else None
        for session in tuple(self._sessions):
            try:
                session.tick(now_s)
            except Exception:  # noqa: BLE001 - one session's bug must not silence the others
                _log.exception("audiosocket tick failed")
                session.fail()
