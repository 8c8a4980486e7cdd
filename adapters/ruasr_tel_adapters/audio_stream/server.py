"""The door for mod_audio_stream and mod_audio_fork: a listener and its connections."""

import errno
import http
import logging
import socket
from collections.abc import Sequence
from typing import Final

import structlog
from structlog.typing import FilteringBoundLogger
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from ruasr_tel.call import Calls
from ruasr_tel.errors import ConfigError, Overloaded, PortTaken, ProtocolError
from ruasr_tel_adapters.audio_stream.config import AudioStreamConfig
from ruasr_tel_adapters.audio_stream.connection import SERVICE_RESTART, Connection, Ending
from ruasr_tel_adapters.audio_stream.wire import Settings, parse_url

BACKLOG: Final = 1024
"""Connects that the kernel holds for us while the loop is busy."""

KEEPALIVE: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 6),
)
"""A FreeSWITCH that vanished is noticed after 2 minutes."""


def create(config: AudioStreamConfig, calls: Calls) -> "AudioStreamDoor":
    """Return the door; it does not listen yet.

    Raises:
        ConfigError: there is no profile of the configured name.
    """
    try:
        calls.profile(config.profile)
    except ConfigError as error:
        raise ConfigError(f"doors.audio_stream.profile: {error}") from error
    return AudioStreamDoor(config, calls)


class AudioStreamDoor:
    """Listens for FreeSWITCH; every connection is one call of one or two legs.

    Args:
        config: the door's section.
        calls: where calls are opened.
    """

    def __init__(self, config: AudioStreamConfig, calls: Calls) -> None:
        self._config = config
        self._calls = calls
        self._defaults = Settings(config.sample_rate, config.channels)
        self._accepting = True
        self._connections: set[Connection] = set()
        self._server: Server | None = None
        self._port = config.port
        self._log: FilteringBoundLogger = structlog.get_logger(__name__)

    @property
    def url(self) -> str:
        """Where it listens: `ws://127.0.0.1:2701`."""
        host = f"[{self._config.host}]" if ":" in self._config.host else self._config.host
        return f"ws://{host}:{self._port}"

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            PortTaken: the port is in use.
            ConfigError: the address cannot be listened on for another reason.
        """
        try:
            self._server = await serve(
                self._handle,
                self._config.host,
                self._config.port,
                compression=None,  # mod_audio_stream offers it; telephone audio hardly shrinks
                select_subprotocol=_echo_subprotocol,
                process_request=self._process_request,
                ping_interval=None,  # a paused stream is silent, not dead; TCP looks after it
                close_timeout=self._config.close_timeout_s,
                max_size=self._config.max_message_bytes,
                logger=_quiet_logger(),
                backlog=BACKLOG,
            )
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(
                    f"{self.url} (doors.audio_stream) is in use by another program: "
                    "stop that one or set doors.audio_stream.port"
                ) from error
            raise ConfigError(
                f"doors.audio_stream.host and port: cannot listen on {self.url}: {error.strerror}"
            ) from error
        self._port = self._server.sockets[0].getsockname()[1]

    async def stop_accepting(self) -> None:
        """Answer new handshakes with HTTP 503 from now on; running calls go on."""
        self._accepting = False

    async def close(self) -> None:
        """End the running calls with their finals, close their connections with 1012."""
        await self.stop_accepting()
        if self._server is None:
            return
        for connection in tuple(self._connections):
            connection.stop(Ending("drain", SERVICE_RESTART, "the server stops"))
        self._server.close(close_connections=False)
        await self._server.wait_closed()

    async def _handle(self, websocket: ServerConnection) -> None:
        for option in KEEPALIVE:
            websocket.transport.get_extra_info("socket").setsockopt(*option)
        assert websocket.request is not None  # the handshake is over
        settings = parse_url(websocket.request.path, self._defaults)
        connection = Connection(websocket, self._calls, self._config, settings)
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)

    def _process_request(self, websocket: ServerConnection, request: Request) -> Response | None:
        """Refuse what cannot be served, before the handshake: FreeSWITCH sees a failed connect."""
        try:
            if not self._accepting:
                raise Overloaded("the server is stopping and takes no new calls")
            self._calls.profile(parse_url(request.path, self._defaults).profile)
            self._calls.admit()
        except (ProtocolError, ConfigError) as error:
            return self._refuse(websocket, http.HTTPStatus.BAD_REQUEST, str(error))
        except Overloaded as error:
            return self._refuse(websocket, http.HTTPStatus.SERVICE_UNAVAILABLE, str(error))
        return None

    def _refuse(
        self, websocket: ServerConnection, status: http.HTTPStatus, reason: str
    ) -> Response:
        self._log.warning("connection refused", status=int(status), error=reason)
        return websocket.respond(status, f"{reason}\n")


def _echo_subprotocol(
    websocket: ServerConnection, offered: Sequence[Subprotocol]
) -> Subprotocol | None:
    """Take the first one: mod_audio_fork's `audio.drachtio.org`, which its environment renames."""
    return offered[0] if offered else None


def _quiet_logger() -> logging.Logger:
    """Return a silent logger for the library: every end of a connection is an event of ours."""
    logger = logging.getLogger(f"{__name__}.websockets")
    logger.setLevel(logging.CRITICAL)
    return logger
