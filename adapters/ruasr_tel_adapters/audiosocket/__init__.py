"""AudioSocket: Asterisk connects by TCP and sends one leg of a call (docs/audiosocket.md)."""

from ruasr_tel.plugins import Adapter
from ruasr_tel_adapters.audiosocket.config import AudioSocketConfig
from ruasr_tel_adapters.audiosocket.phone import AudioSocketPhone
from ruasr_tel_adapters.audiosocket.server import AudioSocketDoor, create

__all__ = ["ADAPTER", "AudioSocketConfig", "AudioSocketDoor", "create"]

ADAPTER = Adapter(
    name="audiosocket",
    config=AudioSocketConfig,
    create=lambda config, server: create(config, server.calls, server.metrics),
    phone=AudioSocketPhone(),
)
