"""What can be set about the REST door."""

from pydantic import Field

from ruasr_tel.section import Section


class RestConfig(Section):
    """The REST door: recordings, history, events, the seed's routes, the console."""

    enabled: bool = True
    """Whether the door listens."""
    host: str = "127.0.0.1"
    """Address to listen on; the seed's HOST. There is no login: put a proxy in front of others."""
    port: int = Field(49153, ge=0, le=65535)
    """TCP port, 0 for any free one; the seed's PORT."""
    max_body_bytes: int = Field(2**20, ge=2**10, le=2**26)
    """Longest JSON body of a request, in bytes."""
    max_upload_bytes: int = Field(2**31, ge=2**10, le=2**40)
    """Longest uploaded recording, in bytes: 3 hours of stereo at 48 kHz, not compressed."""
    max_wait_s: float = Field(300.0, ge=0, le=3600)
    """Longest time that a client may wait for a result with `?wait=`."""
    seed_wait_s: float = Field(3600.0, ge=1, le=86_400)
    """Longest time that the seed's routes, which know no jobs, hold a client waiting."""
    keep_alive_s: float = Field(15.0, ge=0.05, le=600)
    """Pause after which an event stream sends a comment (WHATWG HTML 9.2.7 advises 15 s)."""
    max_streams: int = Field(500, ge=1, le=100_000)
    """Event streams at once; a further one is refused with 503."""
    allowed_origins: tuple[str, ...] = ()
    """Web origins besides our own whose pages may post here, such as https://crm.example; `*` all.
    """
    allowed_hosts: tuple[str, ...] = ()
    """Names besides `localhost` and addresses by which the door may be called, such as asr.example
    of a proxy; `*` any. Others are refused where it listens on loopback, or where names are given
    here."""
    vosk_url: str | None = None
    """Where the console's microphone finds the Vosk door; null: where that door listens."""
    max_message_bytes: int = Field(2**25, ge=2**10, le=2**30)
    """Longest message on the seed's socket, in bytes; a longer one closes with 1009. In another
    format than PCM a message has as much audio at most as fits into so many bytes of PCM."""
    max_backlog_s: float = Field(10.0, ge=1.0, le=120.0)
    """Undecoded audio at which a client of the seed's socket is not read any further."""
    idle_timeout_s: float = Field(600.0, ge=0.1, le=86_400.0)
    """A connection to the seed's socket without any message for so long is closed."""
