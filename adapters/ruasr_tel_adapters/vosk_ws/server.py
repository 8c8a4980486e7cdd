"""The Vosk WebSocket door: its handshake; every connection is one call."""

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request

from ruasr_tel.live import check_profile
from ruasr_tel.plugins import Server
from ruasr_tel.websocket import Listener, Manners
from ruasr_tel_adapters.vosk_ws.config import VoskWsConfig
from ruasr_tel_adapters.vosk_ws.connection import DOOR, Connection
from ruasr_tel_adapters.vosk_ws.options import Options, change_options, parse_url


def create(config: VoskWsConfig, server: Server) -> Listener:
    """Return the door; it does not listen yet.

    Raises:
        ConfigError: there is no profile of the configured name.
    """
    calls = server.calls
    check_profile(DOOR, config.profile, calls)

    def check(request: Request) -> None:
        url = parse_url(request.path)
        change_options(Options(), url.values)
        calls.profile(url.profile)
        calls.admit()

    def converse(websocket: ServerConnection) -> Connection:
        assert websocket.request is not None  # the handshake is over
        url = parse_url(websocket.request.path)
        return Connection(websocket, calls, server.metrics, config, url)

    manners = Manners(
        check=check,
        subprotocols=None,  # clients that offer one want to see it again
        required=False,
        max_message_bytes=config.max_message_bytes,
        close_timeout_s=config.close_timeout_s,
    )
    return Listener(DOOR, config.host, config.port, manners, converse, server.metrics)
