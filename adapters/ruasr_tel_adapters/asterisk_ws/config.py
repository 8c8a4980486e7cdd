"""What can be set about the door for Asterisk's chan_websocket."""

from pydantic import Field, SecretStr

from ruasr_tel.section import Section


class AsteriskServer(Section):
    """An Asterisk whose WebSocket/INCOMING channels wait for us."""

    url: str = Field("ws://127.0.0.1:8088", pattern=r"^wss?://[^/\s]+$")
    """Its HTTP server, without a path: `ws://127.0.0.1:8088`."""
    username: str = ""
    """Name for HTTP basic authentication; empty: none."""
    password: SecretStr = SecretStr("")
    """Its password."""


class AsteriskWsConfig(Section):
    """The door for Asterisk's chan_websocket: Dial(WebSocket/...) and WebSocket/INCOMING."""

    enabled: bool = False
    """Listen at all."""
    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = Field(9093, ge=0, le=65535)
    """Port to listen on; 0 takes any free one."""
    profile: str | None = None
    """Profile of the calls that name none in their URI; absent: the server's default."""
    subprotocols: tuple[str, ...] = ("media",)
    """Those of `protocols=` in websocket_client.conf that are taken; a client may offer none."""
    asterisks: dict[str, AsteriskServer] = Field(default_factory=dict)
    """Asterisks that we connect to for WebSocket/INCOMING, by a name of yours."""
    start_timeout_s: float = Field(5.0, gt=0, le=60)
    """Seconds to MEDIA_START; Asterisk sends it within 1 ms of the handshake."""
    idle_timeout_s: float = Field(3600.0, gt=0)
    """Seconds without a message after which a call ends; silence may be no messages at all."""
    max_backlog_s: float = Field(60.0, gt=0)
    """Audio waiting for recognition above which a call's new audio is dropped, and said to be."""
    max_message_bytes: int = Field(2**17, ge=2**10, le=2**24)
    """Longest message of a peer; 20 ms of slin192 are 7680 bytes, MEDIA_START has the variables."""
    close_timeout_s: float = Field(2.0, ge=0.1, le=60.0)
    """Seconds a peer has to answer a close frame."""
