"""Vosk WebSocket: drop-in for vosk-server and all its clients (docs/vosk-websocket.md)."""

from ruasr_tel.plugins import Adapter
from ruasr_tel_adapters.vosk_ws.config import VoskWsConfig
from ruasr_tel_adapters.vosk_ws.phone import VoskPhone
from ruasr_tel_adapters.vosk_ws.server import VoskWsDoor, create

__all__ = ["ADAPTER", "VoskWsConfig", "VoskWsDoor", "create"]

ADAPTER = Adapter(
    name="vosk_ws",
    config=VoskWsConfig,
    create=lambda config, server: create(config, server.calls),
    phone=VoskPhone(),
)
