"""The Vosk WebSocket door: a listener, its handshake, and its connections."""

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
from ruasr_tel_adapters.vosk_ws.config import VoskWsConfig
from ruasr_tel_adapters.vosk_ws.connection import SERVICE_RESTART, Connection, Ending
from ruasr_tel_adapters.vosk_ws.options import Options, UrlSettings, change_options, parse_url

BACKLOG: Final = 1024
"""Connects that the kernel holds for us while the loop is busy."""

KEEPALIVE: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 6),
)
"""A vanished peer is noticed after 2 minutes. WebSocket pings would do harm: Asterisk's
ast_websocket_read_string answers one and then blocks, on the thread that should send audio."""


class LeavingConnection(ServerConnection):
    """A WebSocket whose end does not depend on the peer.

    The library waits for ever for a peer that sent a close frame to close its socket, too.
    """

    _leaving = False

    def data_received(self, data: bytes) -> None:
        """Take bytes; after a close frame the socket has `close_timeout` to live."""
        super().data_received(data)
        if self.protocol.close_expected() and not self._leaving and self.close_timeout:
            self._leaving = True
            self.loop.call_later(self.close_timeout, self.transport.abort)


def create(config: VoskWsConfig, calls: Calls) -> "VoskWsDoor":
    """Return the door; it does not listen yet.

    Raises:
        ConfigError: there is no profile of the configured name.
    """
    if config.profile is not None and config.profile not in calls.profiles:
        raise ConfigError(f"doors.vosk_ws.profile: {_no_profile(config.profile, calls)}")
    return VoskWsDoor(config, calls)


class VoskWsDoor:
    """Listens for Vosk clients; every connection is one call.

    Args:
        config: the door's section.
        calls: where calls are opened.
    """

    def __init__(self, config: VoskWsConfig, calls: Calls) -> None:
        self._config = config
        self._calls = calls
        self._accepting = True
        self._connections: set[Connection] = set()
        self._server: Server | None = None
        self._port = config.port
        self._log: FilteringBoundLogger = structlog.get_logger(__name__)

    @property
    def url(self) -> str:
        """Where it listens: `ws://127.0.0.1:2700`."""
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
                create_connection=LeavingConnection,
                compression=None,  # res_speech_vosk rejects a handshake with any extension
                select_subprotocol=_echo_subprotocol,
                process_request=self._process_request,
                ping_interval=None,
                close_timeout=self._config.close_timeout_s,
                max_size=self._config.max_message_bytes,
                logger=_quiet_logger(),
                backlog=BACKLOG,
            )
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise PortTaken(
                    f"{self.url} (doors.vosk_ws) is in use by another program: "
                    "stop that one or set doors.vosk_ws.port"
                ) from error
            raise ConfigError(
                f"doors.vosk_ws.host and port: cannot listen on {self.url}: {error.strerror}"
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
        connection = Connection(
            websocket, self._calls, self._config, parse_url(websocket.request.path)
        )
        self._connections.add(connection)
        try:
            await connection.run()
        finally:
            self._connections.discard(connection)

    def _process_request(self, websocket: ServerConnection, request: Request) -> Response | None:
        """Refuse what cannot be served, before the handshake: a PBX sees a failed connect."""
        try:
            if not self._accepting:
                raise Overloaded("the server is stopping and takes no new calls")
            self._check(parse_url(request.path))
            self._calls.admit()
        except ProtocolError as exc:
            return self._refuse(websocket, http.HTTPStatus.BAD_REQUEST, str(exc))
        except Overloaded as exc:
            return self._refuse(websocket, http.HTTPStatus.SERVICE_UNAVAILABLE, str(exc))
        return None

    def _check(self, url: UrlSettings) -> None:
        change_options(Options(), url.values)
        if url.profile is not None and url.profile not in self._calls.profiles:
            raise ProtocolError(_no_profile(url.profile, self._calls))

    def _refuse(
        self, websocket: ServerConnection, status: http.HTTPStatus, reason: str
    ) -> Response:
        self._log.warning("connection refused", status=int(status), error=reason)
        return websocket.respond(status, f"{reason}\n")


def _no_profile(name: str, calls: Calls) -> str:
    return f"no profile {name[:40]!a}; have {', '.join(sorted(calls.profiles))}"


def _echo_subprotocol(
    websocket: ServerConnection, offered: Sequence[Subprotocol]
) -> Subprotocol | None:
    """Take the first subprotocol offered, whatever it is; never invent one."""
    return offered[0] if offered else None


def _quiet_logger() -> logging.Logger:
    """Return a logger for the library that is silent: every end of a connection is our event.

    The library logs a stack trace for a port scan and for each hang-up it did not expect.
    """
    logger = logging.getLogger(f"{__name__}.websockets")
    logger.setLevel(logging.CRITICAL)
    return logger
