"""AudioSocket: one TCP port of our own for all lines."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final
from uuid import UUID, uuid4

from ruasr_tel.audio.codec import Decoder, Encoding
from ruasr_tel.errors import PortTaken, ProtocolError
from ruasr_tel_adapters.ari.config import AriConfig
from ruasr_tel_adapters.ari.media.line import Strange, host_port, own_address
from ruasr_tel_adapters.ari.rtp.port import Listener
from ruasr_tel_adapters.ari.rtp.wire import RATE_HZ
from ruasr_tel_adapters.wires.audiosocket import (
    DTMF_DIGITS,
    RATE_HZ_BY_KIND,
    Kind,
    Message,
    MessageParser,
    check_first_header,
    encode_hangup,
    parse_dtmf,
    parse_uuid,
)

READ_BYTES: Final = 65_536


class AudioSocketMedia:
    """One TCP port for all lines; each is known by its UUID.

    Args:
        config: the door's section.
        strange: told of connections that are no line's.
    """

    def __init__(self, config: AriConfig, strange: Strange) -> None:
        self._config = config
        self._strange = strange
        self._server: asyncio.Server | None = None
        self._port = config.port
        self._address = config.host
        self._lines: dict[UUID, AudioSocketLine] = {}

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            PortTaken: the port is in use, or the address is not this machine's.
            ConfigError: there is no address that Asterisk could send to.
        """
        try:
            self._server = await asyncio.start_server(
                self._connected, self._config.host, self._config.port
            )
        except OSError as error:
            raise PortTaken(
                f"cannot listen on {self._config.host}:{self._config.port} for AudioSocket: "
                f"{error.strerror}; set doors.ari.host and doors.ari.port"
            ) from error
        self._port = self._server.sockets[0].getsockname()[1]
        self._address = await own_address(self._config)

    async def line(self, listener: Listener, channel_id: str) -> "AudioSocketLine":
        """Expect a connection of a new UUID."""
        uuid = uuid4()
        where = host_port(self._address, self._port)
        rate_hz = RATE_HZ[self._config.format]
        line = AudioSocketLine(uuid, where, rate_hz, listener, lambda: self._lines.pop(uuid, None))
        self._lines[uuid] = line
        return line

    async def close(self) -> None:
        """Take no more connections and close those that are open."""
        if self._server is not None:
            self._server.close()
        for line in list(self._lines.values()):
            line.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Find the line of a connection; one that names none is closed."""
        parser = MessageParser()
        try:
            async with asyncio.timeout(self._config.request_timeout_s):
                messages = await _first(reader, parser)
            line = self._lines.get(parse_uuid(messages[0]))
            if line is None:
                raise ProtocolError("its UUID is of no channel that this server asked for")
        except (ProtocolError, TimeoutError, OSError) as error:
            self._strange("no UUID", str(error) or f"{type(error).__name__} before its UUID")
        else:
            await line.serve(reader, writer, parser, messages[1:])
        finally:
            writer.close()


async def _first(reader: asyncio.StreamReader, parser: MessageParser) -> list[Message]:
    """Return the messages that are there once the first one is whole.

    Raises:
        ProtocolError: it closed first, or begins with something else.
    """
    while True:
        data = await reader.read(READ_BYTES)
        if not data:
            raise ProtocolError("it closed before its UUID came")
        if messages := parser.feed(data):
            return messages
        if parser.waiting_for is not None:
            check_first_header(*parser.waiting_for)


class AudioSocketLine:
    """One connection, from Asterisk's connect to either side's end.

    Args:
        uuid: its name.
        where: host and port that Asterisk connects to.
        rate_hz: of the audio that was asked for.
        listener: takes what is heard.
        on_close: told that nobody is expected any more.
    """

    def __init__(
        self, uuid: UUID, where: str, rate_hz: int, listener: Listener, on_close: Any
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.order = {
            "external_host": where,
            "encapsulation": "audiosocket",
            "transport": "tcp",
            "data": str(uuid),
        }
        self._rate_hz = rate_hz
        self._listener = listener
        self._decoder = Decoder(Encoding.SLIN)
        self._on_close = on_close
        self._writer: asyncio.StreamWriter | None = None

    async def answered(self, channel: Mapping[str, Any]) -> None:
        """Do nothing: the UUID says it all."""

    def close(self) -> None:
        """Hand the channel back (0x00) and close."""
        self._on_close()
        if self._writer is not None and not self._writer.is_closing():
            self._writer.write(encode_hangup())
            self._writer.close()

    async def serve(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        parser: MessageParser,
        messages: list[Message],
    ) -> None:
        """Hear a connection to its end; a second one of the same UUID is not heard."""
        if self._writer is not None:
            self._listener.bad("second connection", f"another one of UUID {self.order['data']}")
            return
        self._writer = writer
        with suppress(OSError):  # it broke: as good as closed
            while True:
                for message in messages:
                    self._take(message)
                data = await reader.read(READ_BYTES)
                if not data or writer.is_closing():
                    return
                messages = parser.feed(data)

    def _take(self, message: Message) -> None:
        if RATE_HZ_BY_KIND.get(message.kind) == self._rate_hz:
            self.counts["received"] += 1
            self._listener.hear(self._decoder.decode(message.payload))
        elif message.kind == Kind.DTMF and parse_dtmf(message.payload) in DTMF_DIGITS:
            self._listener.key(parse_dtmf(message.payload).upper())
        else:
            self.counts["other kind"] += 1
            self._listener.bad("kind", f"{len(message.payload)} bytes of kind 0x{message.kind:02x}")
