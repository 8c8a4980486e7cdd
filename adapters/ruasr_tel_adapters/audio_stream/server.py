"""The door for mod_audio_stream and mod_audio_fork: every connection is a call of 1 or 2 legs."""

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request

from ruasr_tel.live import check_profile
from ruasr_tel.plugins import Server
from ruasr_tel.websocket import Listener, Manners
from ruasr_tel_adapters.audio_stream.config import AudioStreamConfig
from ruasr_tel_adapters.audio_stream.connection import DOOR, Connection
from ruasr_tel_adapters.audio_stream.wire import Settings, parse_url


def create(config: AudioStreamConfig, server: Server) -> Listener:
    """Return the door; it does not listen yet.

    Raises:
        ConfigError: there is no profile of the configured name.
    """
    calls = server.calls
    check_profile(DOOR, config.profile, calls)
    defaults = Settings(config.sample_rate, config.channels)

    def check(request: Request) -> None:
        calls.profile(parse_url(request.path, defaults).profile)
        calls.admit()

    def converse(websocket: ServerConnection) -> Connection:
        assert websocket.request is not None  # the handshake is over
        settings = parse_url(websocket.request.path, defaults)
        return Connection(websocket, calls, server.metrics, config, settings)

    manners = Manners(
        check=check,
        subprotocols=None,  # mod_audio_fork's audio.drachtio.org, which its environment renames
        required=False,
        max_message_bytes=config.max_message_bytes,
        close_timeout_s=config.close_timeout_s,
    )
    return Listener(DOOR, config.host, config.port, manners, converse, server.metrics)
