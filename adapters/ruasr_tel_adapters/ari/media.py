"""How the audio of a side gets from Asterisk to us: RTP, or an AudioSocket on a port of our own."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Any, Final, Protocol
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import structlog

from ruasr_tel.audio.codec import Decoder, Encoding
from ruasr_tel.errors import ConfigError, PortTaken, ProtocolError
from ruasr_tel_adapters.ari.config import AriConfig
from ruasr_tel_adapters.ari.rtp.port import Address, Listener, RtpPort, RtpPorts
from ruasr_tel_adapters.ari.rtp.wire import PAYLOAD_TYPE, RATE_HZ
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

_log = structlog.get_logger(__name__)

READ_BYTES: Final = 65_536


def _host_port(host: str, port: int) -> str:
    """Return `host:port` as Asterisk reads it: IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Line(Protocol):
    """What one side's audio comes in by."""

    @property
    def order(self) -> Mapping[str, str]:
        """What externalMedia is asked for."""
        ...

    @property
    def counts(self) -> Mapping[str, int]:
        """What came, and what was wrong with it."""
        ...

    def answered(self, channel: Mapping[str, Any]) -> None:
        """Take Asterisk's answer to the order."""
        ...

    def close(self) -> None:
        """Hear no more; idempotent."""
        ...


class Media(Protocol):
    """Where lines come from."""

    async def start(self) -> None:
        """Begin to listen.

        Raises:
            PortTaken: the port is in use.
        """
        ...

    async def line(self, listener: Listener) -> Line:
        """Open a line.

        Raises:
            Overloaded: no room for one.
        """
        ...

    async def close(self) -> None:
        """Stop to listen."""
        ...


async def own_address(config: AriConfig) -> str:
    """Return where Asterisk sends audio to: for a door on every address, the one towards it.

    Raises:
        ConfigError: there is no way to Asterisk from here.
    """
    if config.advertise or config.host not in ("0.0.0.0", "::", ""):
        return config.advertise or config.host
    url = urlsplit(config.url)
    try:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=(url.hostname or "", url.port or 80)
        )  # sends nothing; asks the kernel for its route
    except OSError as error:
        raise ConfigError(
            f"doors.ari.advertise is not set and {url.hostname} cannot be reached ({error}): set "
            "it to the address of this machine that Asterisk shall send audio to"
        ) from error
    address: str = transport.get_extra_info("sockname")[0]
    transport.close()
    return address


def create_media(config: AriConfig) -> Media:
    """Return what the configuration asks for."""
    return RtpMedia(config) if config.encapsulation == "rtp" else AudioSocketMedia(config)


class RtpMedia:
    """A UDP port per line.

    Args:
        config: the door's section.
    """

    def __init__(self, config: AriConfig) -> None:
        self._config = config
        first, last = config.rtp_first_port, config.rtp_last_port
        self._address = config.host
        even = range(first + first % 2, last + 1, 2)  # RFC 3550, 11: RTP takes the even ports
        self._ports = RtpPorts(config.host, even if last else range(0))

    async def start(self) -> None:
        """Find the own address; ports open with their lines.

        Raises:
            ConfigError: there is none.
        """
        self._address = await own_address(self._config)

    async def line(self, listener: Listener) -> "RtpLine":
        """Open a port.

        Raises:
            Overloaded: the range is in use.
        """
        config = self._config
        payload_type = config.rtp_payload_type
        make = partial(
            RtpPort,
            config.format,
            PAYLOAD_TYPE[config.format] if payload_type is None else payload_type,
            config.rtp_event_type,
            config.rtp_reorder_packets,
            listener,
        )
        return RtpLine(config, self._address, await self._ports.open(make))

    async def close(self) -> None:
        """Do nothing: ports close with their lines."""


class RtpLine:
    """One port.

    Args:
        config: the door's section.
        address: that Asterisk sends to.
        port: it.
    """

    def __init__(self, config: AriConfig, address: str, port: RtpPort) -> None:
        self._config = config
        self._port = port
        self.counts = port.counts
        self.order = {
            "external_host": _host_port(address, port.port),
            "encapsulation": "rtp",
            "transport": "udp",
        }

    @property
    def source(self) -> Address | None:
        """Whom the port hears, None before anybody is known."""
        return self._port.source

    def answered(self, channel: Mapping[str, Any]) -> None:
        """Hear nobody but the channel that Asterisk made."""
        said = channel.get("channelvars") or {}
        host, number = said.get("UNICASTRTP_LOCAL_ADDRESS"), said.get("UNICASTRTP_LOCAL_PORT")
        if host and number and not self._config.rtp_any_source:
            source: Address = (str(host), int(number))
            self._port.expect(source)

    def close(self) -> None:
        """Free the port."""
        self._port.close()


class AudioSocketMedia:
    """One TCP port for all lines; each is known by its UUID.

    Args:
        config: the door's section.
    """

    def __init__(self, config: AriConfig) -> None:
        self._config = config
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

    async def line(self, listener: Listener) -> "AudioSocketLine":
        """Expect a connection of a new UUID."""
        uuid = uuid4()
        where = _host_port(self._address, self._port)
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
            await line.serve(reader, writer, parser, messages[1:])
        except (ProtocolError, TimeoutError, OSError) as error:
            _log.warning("ari audiosocket closed", error=str(error) or type(error).__name__)
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

    def answered(self, channel: Mapping[str, Any]) -> None:
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
        """Hear a connection to its end.

        Raises:
            ProtocolError: a second connection of the same UUID, or what the protocol forbids.
            OSError: the connection broke.
        """
        if self._writer is not None:
            raise ProtocolError("a second connection of the same UUID")
        self._writer = writer
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
            self.counts[f"kind 0x{message.kind:02x}"] += 1
