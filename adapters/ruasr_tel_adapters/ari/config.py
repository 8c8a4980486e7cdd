"""What can be set about the ARI door."""

from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from ruasr_tel.section import Section
from ruasr_tel_adapters.ari.rtp.wire import TELEPHONE_EVENT, Format

Mode = Literal["tap", "ask", "hold"]
Parties = Literal["both", "caller"]


class AriConfig(Section):
    """The ARI door: a Stasis application that listens to both sides of a call."""

    enabled: bool = False
    """Connect at all; needs an Asterisk with ARI and a user of ari.conf."""
    url: str = Field("http://127.0.0.1:8088/ari", pattern=r"^https?://[^?#]+$")
    """Where ARI answers: http.conf's address, port and prefix, then /ari."""
    username: str = "ruasr"
    """The section of ari.conf."""
    password: SecretStr = SecretStr("")
    """Its password."""
    app: str = Field("ruasr", pattern=r"^[A-Za-z0-9_-]{1,64}$")
    """Name of the Stasis application; each server needs its own."""
    mode: Mode = "tap"
    """`tap` lets the dialplan go on at once, `ask` after the first answer, `hold` leaves it be."""
    parties: Parties = "both"
    """Listen to both sides of the channel, or to its caller alone."""
    profile: str | None = None
    """Name of the profile for the calls of this door; none takes the default profile."""
    ask_timeout_s: float = Field(15.0, gt=0, le=3600)
    """In the mode `ask`: seconds after which the dialplan goes on without an answer."""
    tell: str | None = Field(None, pattern=r"^[A-Za-z0-9_-]{1,64}$")
    """Another Stasis application that gets every event as a user event; none tells nobody."""
    encapsulation: Literal["rtp", "audiosocket", "websocket"] = "rtp"
    """How Asterisk sends the audio of each side; `audiosocket` since Asterisk 18, `websocket` since
    20.16 and 22.6."""
    websocket_client: str | None = Field(None, pattern=r"^[^/()\s]{1,128}$")
    """Section of Asterisk's websocket_client.conf whose `uri` leads to `host` and `port`; none:
    this door connects to Asterisk's HTTP server instead."""
    format: Format = "slin16"
    """What it sends: slin, slin16, ulaw or alaw; AudioSocket takes slin and slin16."""
    host: str = "127.0.0.1"
    """Address that the audio comes in on."""
    port: int = Field(0, ge=0, le=65535)
    """Port that AudioSocket and WebSocket come in on; 0 takes any free one, for Asterisk is told;
    with `websocket_client` it is the one in its `uri`."""
    advertise: str | None = None
    """Host name or address that Asterisk sends to; none is `host`, or the one it is seen from."""
    rtp_first_port: int = Field(0, ge=0, le=65535)
    """First UDP port for RTP, even numbers only, one per side of a call; 0 takes any free ones."""
    rtp_last_port: int = Field(0, ge=0, le=65535)
    """Last of them; two per call that may run at once."""
    rtp_payload_type: int | None = Field(None, ge=0, le=127)
    """Number of the audio packets; none is Asterisk's own for the format: 10, 118, 0 or 8."""
    rtp_event_type: int = Field(TELEPHONE_EVENT, ge=0, le=127)
    """Number of the key presses (RFC 4733)."""
    rtp_any_source: bool = False
    """Hear the first sender on a port, whatever ARI said of its address: for NAT between both."""
    rtp_reorder_packets: int = Field(5, ge=0, le=100)
    """Packets that wait for a missing one; 5 are 100 ms."""
    max_backlog_s: float = Field(60.0, gt=0)
    """Audio waiting for recognition above which a call's new audio is dropped, and said to be."""
    request_timeout_s: float = Field(5.0, gt=0, le=60)
    """Seconds for one request to ARI, and for a channel to enter the application."""
    reconnect_s: float = Field(0.5, gt=0, le=60)
    """Wait before the first new try to connect; doubled with each, up to `reconnect_max_s`."""
    reconnect_max_s: float = Field(10.0, gt=0, le=600)
    """Longest wait between two tries."""
    lost_after_s: float = Field(30.0, gt=0, le=600)
    """Calls end when ARI stays away for so long."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        first, last = self.rtp_first_port, self.rtp_last_port
        if bool(first) != bool(last) or first + first % 2 > last:
            raise ValueError(f"rtp_first_port: no even port lies between {first} and {last}")
        if self.encapsulation == "audiosocket" and self.format not in ("slin", "slin16"):
            raise ValueError(f"format: AudioSocket carries slin and slin16, not {self.format}")
        return self
