"""What can be set about the AudioSocket door."""

from pydantic import Field

from ruasr_tel.section import Section


class AudioSocketConfig(Section):
    """The AudioSocket door: Asterisk's AudioSocket() application, channel driver and ARI."""

    enabled: bool = True
    """Listen at all."""
    host: str = "127.0.0.1"
    """Address to listen on; the protocol has no password, so keep it off public networks."""
    port: int = Field(9092, ge=0, le=65535)
    """Port to listen on; 0 takes any free one."""
    profile: str | None = None
    """Name of the profile for the calls of this door; none takes the default profile."""
    send_silence: bool = True
    """Answer with 20 ms of silence every 20 ms: AudioSocket() gives up after 2 s without frames."""
    first_message_timeout_s: float = Field(5.0, gt=0, le=60)
    """Seconds to the call's UUID; Asterisk sends it within 1 ms of the connect."""
    idle_timeout_s: float = Field(3600.0, gt=0)
    """Seconds without a message after which a call ends; a call on hold sends none."""
    max_backlog_s: float = Field(60.0, gt=0)
    """Audio waiting for recognition above which a call's new audio is dropped, and said to be."""
    max_connections: int = Field(1000, ge=1)
    """Connections at once, those without a call included."""
    max_unknown_messages: int = Field(50, ge=1)
    """Messages of unknown kind in a row above which the stream counts as garbage; 50 are 1 s."""
    max_rate_changes: int = Field(8, ge=0)
    """Changes of the sample rate in one call; each opens a leg, and Asterisk makes none."""
    write_buffer_bytes: int = Field(16_150, ge=323)
    """Bytes a peer may leave unread in our buffer (1 s of silence) before silence pauses."""
    hangup_wait_s: float = Field(2.0, gt=0, le=60)
    """Seconds that a peer has to close after our hang-up; Asterisk takes 3 ms."""
