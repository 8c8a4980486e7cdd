"""For authors of plugins and for our own tests, demo and benchmark."""

from ruasr_tel.testing.audio import phrase, silence, speech_ends, tone
from ruasr_tel.testing.calls import (
    TIMEOUT_S,
    Recorder,
    ThreadHost,
    running_calls,
    scripted_host,
)

__all__ = [
    "TIMEOUT_S",
    "Recorder",
    "ThreadHost",
    "phrase",
    "running_calls",
    "scripted_host",
    "silence",
    "speech_ends",
    "tone",
]
