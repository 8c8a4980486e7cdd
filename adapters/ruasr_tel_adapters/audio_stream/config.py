"""What can be set about the door for mod_audio_stream and mod_audio_fork."""

from typing import Final

from pydantic import Field

from ruasr_tel.section import Section

RATES_HZ: Final = (8_000, 16_000, 24_000, 32_000, 48_000)
"""What the modules can send; their commands take 8k and 16k, newer ones any multiple of 8000."""

CHANNELS_MAX: Final = 2
"""Stereo is one leg per party; there are no more."""


class AudioStreamConfig(Section):
    """The door for FreeSWITCH's mod_audio_stream and mod_audio_fork."""

    enabled: bool = False
    """Listen at all."""
    host: str = "127.0.0.1"
    """Address to listen on; the protocol has no password, so keep it off public networks."""
    port: int = Field(2701, ge=0, le=65535)
    """Port to listen on; 0 takes any free one."""
    profile: str | None = None
    """Name of the profile for calls that name none; none takes the default profile."""
    sample_rate: int = Field(8_000, ge=8_000, le=48_000, multiple_of=8_000)
    """Rate in Hz of streams whose URL and metadata do not say theirs."""
    channels: int = Field(1, ge=1, le=CHANNELS_MAX)
    """Channels of streams that do not say theirs: 1 for mono and mixed, 2 for stereo."""
    partials: bool = True
    """Send partials, too; each one is an event in FreeSWITCH."""
    idle_timeout_s: float = Field(3600.0, gt=0)
    """Seconds without a message after which a call ends; a paused stream sends none."""
    max_backlog_s: float = Field(60.0, gt=0)
    """Audio waiting for recognition above which a call's new audio is dropped, and said to be."""
    max_message_bytes: int = Field(2**20, ge=2**10, le=2**26)
    """Longest message, in bytes; 20 ms of stereo at 16 kHz are 1280."""
    close_timeout_s: float = Field(2.0, gt=0, le=60)
    """How long the peer may take to answer a close frame."""
