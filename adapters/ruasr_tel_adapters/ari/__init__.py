"""ARI: a Stasis application that hears both sides of a call (docs/ari.md)."""

from ruasr_tel.plugins import Adapter
from ruasr_tel_adapters.ari.config import AriConfig
from ruasr_tel_adapters.ari.server import AriDoor, create

__all__ = ["ADAPTER", "AriConfig", "AriDoor", "create"]

ADAPTER = Adapter(name="ari", config=AriConfig, create=create)
