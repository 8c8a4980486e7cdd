"""AEAP speech_to_text: Asterisk's own speech engine, no module to compile (docs/aeap.md)."""

from ruasr_tel.plugins import Adapter
from ruasr_tel_adapters.aeap.config import AeapConfig
from ruasr_tel_adapters.aeap.phone import AeapPhone
from ruasr_tel_adapters.aeap.server import create

__all__ = ["ADAPTER", "AeapConfig", "create"]

ADAPTER = Adapter(name="aeap", config=AeapConfig, create=create, phone=AeapPhone())
