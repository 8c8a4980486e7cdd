"""FreeSWITCH's mod_audio_stream and mod_audio_fork (docs/freeswitch.md)."""

from ruasr_tel.plugins import Adapter
from ruasr_tel_adapters.audio_stream.config import AudioStreamConfig
from ruasr_tel_adapters.audio_stream.server import create

__all__ = ["ADAPTER", "AudioStreamConfig", "create"]

ADAPTER = Adapter("audio_stream", AudioStreamConfig, create)
