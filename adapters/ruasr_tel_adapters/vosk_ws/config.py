"""What can be set about the Vosk WebSocket door."""

from typing import Literal

from pydantic import Field

from ruasr_tel.section import Section

RATE_MIN_HZ = 1_000
RATE_MAX_HZ = 192_000
"""Asterisk's highest slin rate; outside these a rate is a mistake."""

REPLY_BYTES_MIN = 256
"""Holds any single word with its times, so that a split always gets on."""

REPLY_BYTES_MAX = 65_535
"""Asterisk res/res_http_websocket.c closes with 1009 on a longer message."""


class VoskWsConfig(Section):
    """The Vosk WebSocket door: drop-in for vosk-server."""

    enabled: bool = True
    """Whether the door listens."""
    host: str = "127.0.0.1"
    """Address to listen on; vosk-server's VOSK_SERVER_INTERFACE (there 0.0.0.0)."""
    port: int = Field(2700, ge=0, le=65535)
    """TCP port, 0 for any free one; vosk-server's VOSK_SERVER_PORT."""
    sample_rate: int = Field(8000, ge=RATE_MIN_HZ, le=RATE_MAX_HZ)
    """Rate in Hz of clients that do not say theirs; vosk-server's VOSK_SAMPLE_RATE."""
    show_words: bool = True
    """Whether finals list words with times; vosk-server's VOSK_SHOW_WORDS."""
    max_alternatives: int = Field(0, ge=0, le=100)
    """Above 0: the `alternatives` shape; vosk-server's VOSK_ALTERNATIVES."""
    profile: str | None = None
    """Profile of connections that name none in their URL; absent: the server's default."""
    format: Literal["pretty", "compact"] = "pretty"
    """`pretty` is Vosk's own, to the byte; `compact` is one line."""
    unchanged_partials: Literal["repeat", "empty"] = "repeat"
    """`empty` answers an unchanged partial with "" (vosk-server#243: mod_vosk's event queue)."""
    empty_partials_after_final: int = Field(2, ge=0, le=100)
    """Replies after a final that are empty partials: mod_vosk overwrites what it has not used."""
    empty_final_after_s: float = Field(0.0, ge=0.0, le=60.0)
    """Empty final after this much silence, as Kaldi's rule 1 gives after 5 s; 0 is off."""
    max_reply_bytes: int = Field(4095, ge=REPLY_BYTES_MIN, le=REPLY_BYTES_MAX)
    """Longer finals are split between words; vosk-server's C# client reads 4096 bytes."""
    max_message_bytes: int = Field(2**25, ge=2**10, le=2**30)
    """Longest message of a client, in bytes; a longer one closes with 1009. About as much is read
    ahead of the replies, of a client that does not wait for them."""
    max_backlog_s: float = Field(3.0, ge=0.5, le=120.0)
    """Undecoded audio at which a client ahead of real time has to wait for its reply; what is not
    decoded at eof must fit into one reply."""
    eof_timeout_s: float = Field(30.0, ge=0.1, le=600.0)
    """How long eof and reset wait for pending decodes before they give what there is."""
    close_timeout_s: float = Field(2.0, ge=0.1, le=60.0)
    """How long a client may take to answer a close frame; Asterisk's and FreeSWITCH's never do."""
    idle_timeout_s: float = Field(600.0, ge=0.1, le=86_400.0)
    """A connection without any message for so long is closed; there are no pings on this door."""
