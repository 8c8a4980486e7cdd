"""What can be set about the AEAP door."""

from pydantic import Field

from ruasr_tel.section import Section


class AeapConfig(Section):
    """The AEAP door: Asterisk's speech API by res_speech_aeap, subprotocol speech_to_text."""

    enabled: bool = False
    """Listen at all."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(9094, ge=0, le=65535)
    """Port to listen on; 0 takes any free one."""
    profile: str | None = None
    """Profile of the calls that name none; absent: the server's default."""
    languages: tuple[str, ...] = ("ru", "ru-RU", "ru_RU")
    """Values of `@language` that are served; another one is refused at the setup."""
    idle_timeout_s: float = Field(3600.0, gt=0)
    """Seconds without a message after which a connection ends: a dialplan may do other things."""
    max_backlog_s: float = Field(60.0, gt=0)
    """Audio waiting for recognition above which a call's new audio is dropped, and said to be."""
    max_message_bytes: int = Field(2**17, ge=2**10, le=2**24)
    """Longest message of a peer; Asterisk's own are a frame of audio or some 300 bytes of JSON."""
    close_timeout_s: float = Field(2.0, ge=0.1, le=60.0)
    """Seconds a peer has to answer a close frame."""
