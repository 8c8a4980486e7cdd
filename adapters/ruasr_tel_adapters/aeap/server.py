"""The AEAP door: a listener whose every connection is one speech object of a dialplan."""

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request

from ruasr_tel.live import check_profile
from ruasr_tel.plugins import Server
from ruasr_tel.websocket import Listener, Manners
from ruasr_tel_adapters.aeap.config import AeapConfig
from ruasr_tel_adapters.aeap.connection import DOOR, Connection

SUBPROTOCOL = "speech_to_text"
"""SPEECH_PROTOCOL of res_speech_aeap.c."""


def create(config: AeapConfig, server: Server) -> Listener:
    """Return the door; it does not listen yet.

    Raises:
        ConfigError: there is no profile of the configured name.
    """
    check_profile(DOOR, config.profile, server.calls)

    def converse(websocket: ServerConnection) -> Connection:
        return Connection(websocket, server.calls, server.metrics, config)

    manners = Manners(
        check=_anything,
        subprotocols=(SUBPROTOCOL,),
        required=True,
        max_message_bytes=config.max_message_bytes,
        close_timeout_s=config.close_timeout_s,
    )
    return Listener(DOOR, config.host, config.port, manners, converse, server.metrics)


def _anything(request: Request) -> None:
    """A URL means nothing here, and a full server says so in the answer to the setup."""
