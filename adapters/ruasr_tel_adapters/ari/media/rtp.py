"""RTP: a UDP port of our own for each line."""

import asyncio
from collections.abc import Mapping
from functools import partial
from typing import Any

from ruasr_tel.errors import ConfigError
from ruasr_tel_adapters.ari.config import AriConfig
from ruasr_tel_adapters.ari.media.line import host_port, own_address
from ruasr_tel_adapters.ari.rtp.port import Address, Listener, RtpPort, RtpPorts
from ruasr_tel_adapters.ari.rtp.wire import PAYLOAD_TYPE


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
        """Find the own address, and whether ports can be opened on it; they open with their lines.

        Raises:
            ConfigError: there is none, or it is another machine's.
        """
        host = self._config.host
        try:
            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
                asyncio.DatagramProtocol, local_addr=(host, 0)
            )
        except OSError as error:
            raise ConfigError(
                f"no UDP port can be opened on {host} ({error.strerror}): set doors.ari.host to an "
                "address of this machine"
            ) from error
        transport.close()
        self._address = await own_address(self._config)

    async def line(self, listener: Listener, channel_id: str) -> "RtpLine":
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
            "external_host": host_port(address, port.port),
            "encapsulation": "rtp",
            "transport": "udp",
        }

    @property
    def source(self) -> Address | None:
        """Whom the port hears, None before anybody is known."""
        return self._port.source

    async def answered(self, channel: Mapping[str, Any]) -> None:
        """Hear nobody but the channel that Asterisk made."""
        said = channel.get("channelvars") or {}
        host, number = said.get("UNICASTRTP_LOCAL_ADDRESS"), said.get("UNICASTRTP_LOCAL_PORT")
        if host and number and not self._config.rtp_any_source:
            source: Address = (str(host), int(number))
            self._port.expect(source)

    def close(self) -> None:
        """Free the port."""
        self._port.close()
