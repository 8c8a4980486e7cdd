"""The door for chan_websocket: listens for Asterisk, and connects to one that waits."""

import asyncio
import http
import re
from base64 import b64encode
from typing import Final
from urllib.parse import unquote

import structlog
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import InvalidHandshake
from websockets.http11 import Request
from websockets.typing import Subprotocol

from ruasr_tel.errors import Overloaded, ProtocolError
from ruasr_tel.live import check_profile
from ruasr_tel.plugins import Server
from ruasr_tel.sockets import keep_alive
from ruasr_tel.websocket import SERVICE_RESTART, Ending, Listener, Manners, quiet_logger
from ruasr_tel_adapters.asterisk_ws.config import AsteriskServer, AsteriskWsConfig
from ruasr_tel_adapters.asterisk_ws.connection import DOOR, Connection, Desk
from ruasr_tel_adapters.asterisk_ws.identity import Registry, Uri, parse_uri

CONNECT_TIMEOUT_S: Final = 5.0
"""An Asterisk on the same network answers in milliseconds."""

NO_HINTS: Final = Uri()
"""A URI that says nothing."""

_CONNECT_PATH = re.compile(r"/connect/([^/?]+)/([^/?]+)")
_CONNECTION_ID = re.compile(r"[\w.-]{1,128}", re.ASCII)

_log = structlog.get_logger(__name__)


def create(config: AsteriskWsConfig, server: Server) -> "AsteriskWsDoor":
    """Return the door; it does not listen yet.

    Raises:
        ConfigError: there is no profile of the configured name.
    """
    check_profile(DOOR, config.profile, server.calls)
    return AsteriskWsDoor(config, server)


class AsteriskWsDoor:
    """Every connection, of either direction, is one call.

    Args:
        config: the door's section.
        server: what the door may use.
    """

    def __init__(self, config: AsteriskWsConfig, server: Server) -> None:
        self._config = config
        self._calls = server.calls
        self._desk = Desk(server.calls, server.metrics, config, Registry())
        manners = Manners(
            check=self._check,
            subprotocols=config.subprotocols,
            required=False,
            max_message_bytes=config.max_message_bytes,
            close_timeout_s=config.close_timeout_s,
            answer=self._answer,
        )
        self._listener = Listener(
            DOOR, config.host, config.port, manners, self._converse, server.metrics
        )
        self._outgoing: dict[asyncio.Task[None], Connection] = {}

    @property
    def url(self) -> str:
        """Where it listens: `ws://127.0.0.1:9093`."""
        return self._listener.url

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            PortTaken: the port is in use.
            ConfigError: the address cannot be listened on for another reason.
        """
        await self._listener.start()

    async def stop_accepting(self) -> None:
        """Refuse new calls from now on; running calls go on."""
        await self._listener.stop_accepting()

    async def close(self) -> None:
        """Hand every running call back to its PBX (HANGUP) and wait for the last finals."""
        for connection in tuple(self._outgoing.values()):
            connection.stop(Ending("drain", SERVICE_RESTART, "the server stops"))
        await asyncio.gather(*self._outgoing, self._listener.close())

    async def attach(self, asterisk: str, connection_id: str, uri: Uri = NO_HINTS) -> None:
        """Connect to a channel WebSocket/INCOMING that waits; returns once it is connected.

        Args:
            asterisk: a name of `doors.asterisk_ws.asterisks`.
            connection_id: the channel's variable MEDIA_WEBSOCKET_CONNECTION_ID.
            uri: how to name the call and listen to it.

        Raises:
            ProtocolError: no such name, no connection id, or Asterisk refuses it.
            Overloaded: no room for a call.
            OSError: Asterisk cannot be reached.
        """
        server = self._config.asterisks.get(asterisk)
        if server is None:
            known = ", ".join(self._config.asterisks) or "none"
            raise ProtocolError(f"doors.asterisk_ws.asterisks has no {asterisk[:40]!a}: {known}")
        if not _CONNECTION_ID.fullmatch(connection_id):
            raise ProtocolError(f"{connection_id[:40]!a} is no connection id")
        self._calls.admit()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                websocket = await connect(
                    f"{server.url}/media/{connection_id}",
                    subprotocols=[Subprotocol("media")],
                    compression=None,
                    ping_interval=None,
                    max_size=self._config.max_message_bytes,
                    close_timeout=self._config.close_timeout_s,
                    additional_headers=_authorisation(server),
                    logger=quiet_logger(),
                )
        except InvalidHandshake as error:
            raise ProtocolError(f"{server.url} refuses {connection_id}: {error}") from error
        keep_alive(websocket.transport)
        connection = Connection(websocket, self._desk, uri)
        task = asyncio.create_task(self._run(connection))
        self._outgoing[task] = connection
        task.add_done_callback(self._outgoing.pop)

    async def _run(self, connection: Connection) -> None:
        try:
            await connection.run()
        except Exception:  # noqa: BLE001 - our fault must not take other calls down; it is logged whole
            _log.exception("connection failed")

    def _converse(self, websocket: ServerConnection) -> Connection:
        assert websocket.request is not None  # the handshake is over
        return Connection(websocket, self._desk, parse_uri(websocket.request.path))

    def _check(self, request: Request) -> None:
        self._calls.profile(parse_uri(request.path).profile or None)
        self._calls.admit()

    async def _answer(self, request: Request) -> tuple[http.HTTPStatus, str] | None:
        """Answer `GET /connect/NAME/CONNECTION_ID?uuid=...`, which a dialplan asks by CURL."""
        found = _CONNECT_PATH.fullmatch(request.path.partition("?")[0])
        if found is None:
            return None
        try:
            await self.attach(unquote(found[1]), unquote(found[2]), parse_uri(request.path))
        except Overloaded as error:
            return http.HTTPStatus.SERVICE_UNAVAILABLE, str(error)
        except ProtocolError as error:
            return http.HTTPStatus.BAD_REQUEST, str(error)
        except (OSError, TimeoutError) as error:
            return http.HTTPStatus.BAD_GATEWAY, f"Asterisk cannot be reached: {error}"
        return http.HTTPStatus.OK, "connected"


def _authorisation(server: AsteriskServer) -> dict[str, str]:
    if not server.username:
        return {}
    words = f"{server.username}:{server.password.get_secret_value()}".encode()
    return {"Authorization": f"Basic {b64encode(words).decode()}"}
