"""Where events go besides the door they came from. A slow or broken sink delays no call."""

from ruasr_tel.sinks.base import Sink
from ruasr_tel.sinks.fanout import Fanout, SinksConfig
from ruasr_tel.sinks.jsonl import JsonlConfig, JsonlSink
from ruasr_tel.sinks.log import LogSink

__all__ = ["Fanout", "JsonlConfig", "JsonlSink", "LogSink", "Sink", "SinksConfig"]
