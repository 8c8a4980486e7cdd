"""Vosk WebSocket: drop-in for vosk-server and all its clients (docs/vosk-websocket.md)."""

from ruasr_tel.plugins import Adapter
from ruasr_tel_adapters.vosk_ws.config import VoskWsConfig
from ruasr_tel_adapters.vosk_ws.phone import VoskPhone
from ruasr_tel_adapters.vosk_ws.server import create

__all__ = ["ADAPTER", "VoskWsConfig", "create"]

ADAPTER = Adapter("vosk_ws", VoskWsConfig, create, VoskPhone())
