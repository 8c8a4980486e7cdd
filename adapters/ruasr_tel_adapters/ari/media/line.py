"""What one side's audio comes in by, whatever carries it; and where Asterisk sends it to."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias
from urllib.parse import urlsplit

from ruasr_tel.errors import ConfigError
from ruasr_tel_adapters.ari.config import AriConfig
from ruasr_tel_adapters.ari.rtp.port import Listener

Strange: TypeAlias = Callable[[str, str], None]
"""Takes note of a stranger: the kind, and what was wrong in a sentence."""


def host_port(host: str, port: int) -> str:
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

    async def answered(self, channel: Mapping[str, Any]) -> None:
        """Take Asterisk's answer to the order.

        Raises:
            ProtocolError: it cannot be heard so.
            OSError: Asterisk cannot be reached where the channel waits.
        """
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

    async def line(self, listener: Listener, channel_id: str) -> Line:
        """Open a line.

        Args:
            listener: takes what is heard.
            channel_id: that the media channel will have.

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
