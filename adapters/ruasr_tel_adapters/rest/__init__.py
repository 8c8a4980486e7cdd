"""REST: recordings by URL or upload, history, events, the seed's routes, the console."""

from ruasr_tel.plugins import Adapter
from ruasr_tel_adapters.rest.config import RestConfig
from ruasr_tel_adapters.rest.server import RestDoor

__all__ = ["ADAPTER", "RestConfig", "RestDoor"]

ADAPTER = Adapter(name="rest", config=RestConfig, create=RestDoor)
