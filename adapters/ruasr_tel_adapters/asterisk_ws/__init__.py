"""Asterisk's chan_websocket: a channel whose media is a WebSocket (docs/asterisk-websocket.md)."""

from ruasr_tel.plugins import Adapter
from ruasr_tel_adapters.asterisk_ws.config import AsteriskWsConfig
from ruasr_tel_adapters.asterisk_ws.phone import AsteriskPhone
from ruasr_tel_adapters.asterisk_ws.server import AsteriskWsDoor, create

__all__ = ["ADAPTER", "AsteriskWsConfig", "AsteriskWsDoor", "create"]

ADAPTER = Adapter(name="asterisk_ws", config=AsteriskWsConfig, create=create, phone=AsteriskPhone())
