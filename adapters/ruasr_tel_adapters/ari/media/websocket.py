"""chan_websocket: Asterisk connects to us, or we to its HTTP server; one socket per line."""

import asyncio
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import quote, urlsplit

import structlog
from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import InvalidHandshake
from websockets.http11 import Request
from websockets.typing import Subprotocol

from ruasr_tel.audio.codec import Decoder
from ruasr_tel.errors import ProtocolError
from ruasr_tel.metrics import Metrics
from ruasr_tel.websocket import Ending, Listener, Manners, PeerSocket, quiet_logger
from ruasr_tel_adapters.ari.config import AriConfig
from ruasr_tel_adapters.ari.media.line import Strange
from ruasr_tel_adapters.ari.rtp.port import Listener as Ear
from ruasr_tel_adapters.wires.chan_websocket import (
    DTMF_DIGITS,
    FORMATS,
    Event,
    EventName,
    media_start,
    parse,
)

DOOR: Final = "ari"

SUBPROTOCOL: Final = "media"
"""What chan_websocket.c speaks."""

MESSAGE_BYTES_MAX: Final = 2**17
"""20 ms of slin16 are 640 bytes; MEDIA_START may have every variable of a channel."""

HELD_BYTES_MAX: Final = 48_000
"""Audio kept until MEDIA_START says whose it is: 3 s of slin. It may come late (asterisk#1712)."""

IDLE_S: Final = 3600.0
"""Seconds without a message after which a socket is closed; a snoop sends 50 frames a second."""

CLOSE_S: Final = 2.0
"""Seconds that Asterisk has to answer a close frame."""

EVENT_NAMES: Final = frozenset(EventName)


class WebSocketLine:
    """One line, whoever connects.

    Args:
        order: what externalMedia is asked for besides.
        format_: Asterisk's name of the audio that was asked for.
        listener: takes what is heard.
        on_close: told that nobody is expected any more.
    """

    def __init__(
        self,
        order: Mapping[str, str],
        format_: str,
        listener: Ear,
        on_close: Callable[[], object] = lambda: None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.order = {"transport": "websocket", "encapsulation": "none", **order}
        self._format = FORMATS[format_]
        self._listener = listener
        self._decoder = Decoder(self._format.encoding)
        self._on_close = on_close
        self._socket: PeerSocket | None = None

    async def answered(self, channel: Mapping[str, Any]) -> None:
        """Do nothing: Asterisk connects by itself."""

    def close(self) -> None:
        """Close the socket: the media channel ends."""
        self._on_close()
        if self._socket is not None:
            self._socket.stop(Ending("over"))

    def attach(self, socket: PeerSocket) -> bool:
        """Take the socket that the line comes by; a second one is not taken."""
        if self._socket is not None:
            self._listener.bad("second connection", f"another one from {socket.peer}")
            return False
        self._socket = socket
        return True

    def take(self, message: str | bytes) -> None:
        """Hear one message.

        Raises:
            ProtocolError: text that is no event, or audio of another format.
        """
        try:
            if isinstance(message, bytes):
                self.counts["received"] += 1
                self._listener.hear(self._decoder.decode(message))
            else:
                self._act(parse(message))
        except ProtocolError as error:
            self._listener.bad("protocol", str(error))
            raise

    def _act(self, event: Event) -> None:
        digit = event.fields.get("digit", "")
        if event.name == EventName.MEDIA_START:
            if media_start(event).format != self._format:
                raise ProtocolError(f"audio in {event.fields['format']}, not as it was asked for")
        elif event.name == EventName.DTMF_END and digit in DTMF_DIGITS:
            self._listener.key(digit.upper())
        elif event.name == EventName.ERROR or event.name not in EVENT_NAMES or digit:
            self._listener.bad("event", f"{event.name[:40]} {event.fields}"[:200])


class CallingLine(WebSocketLine):
    """A line that waits at Asterisk's HTTP server until we connect.

    Args:
        config: the door's section.
        listener: takes what is heard.
    """

    def __init__(self, config: AriConfig, listener: Ear) -> None:
        super().__init__(
            {"connection_type": "server", "external_host": "INCOMING"}, config.format, listener
        )
        self._config = config
        self._hearing: asyncio.Task[None] | None = None

    async def answered(self, channel: Mapping[str, Any]) -> None:
        """Connect.

        Raises:
            ProtocolError: the channel does not say where it waits, or Asterisk refuses us.
            OSError: Asterisk cannot be reached.
        """
        waits_at = (channel.get("channelvars") or {}).get("MEDIA_WEBSOCKET_CONNECTION_ID")
        if not waits_at:
            raise ProtocolError(
                "the media channel has no MEDIA_WEBSOCKET_CONNECTION_ID: Asterisk 20.16, 22.6 or "
                "newer with chan_websocket is needed"
            )
        config = self._config
        user = f"{config.username}:{config.password.get_secret_value()}".encode()
        try:
            async with asyncio.timeout(config.request_timeout_s):
                connection = await connect(
                    media_url(config.url, str(waits_at)),
                    subprotocols=[Subprotocol(SUBPROTOCOL)],
                    compression=None,
                    ping_interval=None,
                    max_size=MESSAGE_BYTES_MAX,
                    close_timeout=CLOSE_S,
                    additional_headers={"Authorization": f"Basic {b64encode(user).decode()}"},
                    logger=quiet_logger(),
                )
        except InvalidHandshake as error:
            raise ProtocolError(f"Asterisk refuses the media socket: {error}") from error
        socket = PeerSocket(connection, IDLE_S, CLOSE_S)
        self.attach(socket)
        self._hearing = asyncio.create_task(_hear(socket, self.take))


def media_url(ari_url: str, connection_id: str) -> str:
    """Return where a channel of WebSocket/INCOMING waits: beside `/ari`, below http.conf's prefix.

    Args:
        ari_url: such as `http://127.0.0.1:8088/ari`.
        connection_id: the channel's MEDIA_WEBSOCKET_CONNECTION_ID.
    """
    url = urlsplit(ari_url.rstrip("/"))
    scheme = "wss" if url.scheme == "https" else "ws"
    prefix = url.path.removesuffix("/ari")
    return f"{scheme}://{url.netloc}{prefix}/media/{quote(connection_id, safe='')}"


async def _hear(socket: PeerSocket, take: Callable[[str | bytes], None]) -> None:
    await socket.close(await socket.listen(take))


class CallingMedia:
    """Connects to Asterisk's HTTP server for every line; listens nowhere.

    Args:
        config: the door's section.
    """

    def __init__(self, config: AriConfig) -> None:
        self._config = config

    async def start(self) -> None:
        """Do nothing: lines connect by themselves."""

    async def line(self, listener: Ear, channel_id: str) -> CallingLine:
        """Return a line that is not connected yet."""
        return CallingLine(self._config, listener)

    async def close(self) -> None:
        """Do nothing: lines are closed with their calls."""


class CalledMedia:
    """Listens for Asterisk's connections; each says in MEDIA_START which channel it is.

    Args:
        config: the door's section, with a `websocket_client`.
        strange: told of connections that are no line's.
        metrics: counts refused handshakes.
    """

    def __init__(self, config: AriConfig, strange: Strange, metrics: Metrics) -> None:
        self._config = config
        self._strange = strange
        self._lines: dict[str, WebSocketLine] = {}  # by the media channel's id
        manners = Manners(
            check=_no_check,
            subprotocols=(SUBPROTOCOL,),
            required=False,
            max_message_bytes=MESSAGE_BYTES_MAX,
            close_timeout_s=CLOSE_S,
        )
        self._listener = Listener(DOOR, config.host, config.port, manners, self._converse, metrics)

    @property
    def url(self) -> str:
        """Where it listens: `ws://127.0.0.1:9095`; the section's `uri` must lead to it."""
        return self._listener.url

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            PortTaken: the port is in use.
            ConfigError: the address cannot be listened on for another reason.
        """
        await self._listener.start()
        structlog.get_logger(__name__).info(
            "ari waits for Asterisk's WebSockets",
            url=self.url,
            section=self._config.websocket_client,
        )

    async def line(self, listener: Ear, channel_id: str) -> WebSocketLine:
        """Expect a connection that names this channel."""
        order = {
            "connection_type": "client",
            "external_host": self._config.websocket_client or "",
        }
        line = WebSocketLine(
            order, self._config.format, listener, lambda: self._lines.pop(channel_id, None)
        )
        self._lines[channel_id] = line
        return line

    async def close(self) -> None:
        """Take no more connections and close those that are open."""
        await self._listener.close()

    def _converse(self, websocket: ServerConnection) -> "Caller":
        patience_s = self._config.request_timeout_s
        return Caller(websocket, self._lines, self._strange, patience_s)


def _no_check(request: Request) -> None:
    """Take every request: MEDIA_START says whose it is."""


class Caller:
    """One connection of Asterisk, whose channel is not known before MEDIA_START.

    Args:
        websocket: the socket.
        lines: those that are expected, by channel id.
        strange: told if it is none of them.
        patience_s: seconds to MEDIA_START.
    """

    def __init__(
        self,
        websocket: Connection,
        lines: Mapping[str, WebSocketLine],
        strange: Strange,
        patience_s: float,
    ) -> None:
        self._socket = PeerSocket(websocket, IDLE_S, CLOSE_S)
        self._lines = lines
        self._strange = strange
        self._patience_s = patience_s
        self._line: WebSocketLine | None = None
        self._held: list[str | bytes] = []

    async def run(self) -> None:
        """Hear it to its end."""
        loop = asyncio.get_running_loop()
        patience = loop.call_later(self._patience_s, self._lose_patience)
        try:
            await _hear(self._socket, self._take)
        finally:
            patience.cancel()

    def stop(self, ending: Ending) -> None:
        """Close it soon."""
        self._socket.stop(ending)

    def _lose_patience(self) -> None:
        if self._line is None:
            self._strange("no start", f"no MEDIA_START within {self._patience_s:g} s")
            self._socket.stop(Ending("no start"))

    def _take(self, message: str | bytes) -> None:
        self._held.append(message)
        if self._line is None:
            try:
                self._look(message)
            except ProtocolError as error:
                self._strange("no start", str(error))
                raise
        if self._line is not None:
            held, self._held = self._held, []
            for each in held:
                self._line.take(each)

    def _look(self, message: str | bytes) -> None:
        """Find the line in MEDIA_START; audio before it is held."""
        if isinstance(message, bytes):
            if sum(map(len, self._held)) > HELD_BYTES_MAX:
                raise ProtocolError(f"over {HELD_BYTES_MAX} bytes of audio before MEDIA_START")
            return
        start = media_start(parse(message))
        if not start.channel_id:
            raise ProtocolError(
                "MEDIA_START without a channel_id: leave doors.ari.websocket_client unset, or use "
                "a newer Asterisk (22.8)"
            )
        line = self._lines.get(start.channel_id)
        if line is None:
            raise ProtocolError(f"{start.channel_id[:80]!a} is no channel that we asked for")
        if line.attach(self._socket):
            self._line = line
        else:
            self._socket.stop(Ending("second connection"))
