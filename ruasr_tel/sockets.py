"""What listening doors do alike with TCP sockets: name them, and notice a peer that vanished."""

import asyncio
import errno
import socket
from typing import Any, Final

from ruasr_tel.errors import ConfigError, PortTaken

BACKLOG: Final = 1024
"""Connects that the kernel holds for us while the loop is busy."""

KEEPALIVE: Final = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 60),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 6),
)
"""A vanished peer is noticed after 2 minutes, without a word of any protocol."""


def keep_alive(transport: asyncio.BaseTransport) -> None:
    """Have the kernel notice when the peer of a TCP connection vanishes."""
    for option in KEEPALIVE:
        transport.get_extra_info("socket").setsockopt(*option)


def peer_name(address: Any) -> str:
    """Return `host:port` of a socket's address; a peer that is gone already has none."""
    return f"{address[0]}:{address[1]}" if address else "unknown"


def url_of(scheme: str, host: str, port: int) -> str:
    """Return where something listens, for people: `ws://127.0.0.1:2700`."""
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def cannot_listen(door: str, url: str, error: OSError) -> ConfigError | PortTaken:
    """Return the error for a door that the kernel did not let listen.

    Args:
        door: its name below `doors:`.
        url: where it tried.
        error: why not.
    """
    if error.errno == errno.EADDRINUSE:
        return PortTaken(
            f"{url} (doors.{door}) is in use by another program: "
            f"stop that one or set doors.{door}.port"
        )
    return ConfigError(f"doors.{door}.host and port: cannot listen on {url}: {error.strerror}")
