"""What listening doors do alike with TCP sockets: get them, name them, notice a lost peer."""

import asyncio
import errno
import os
import socket
import struct
from collections import Counter
from collections.abc import Mapping
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


FIRST_HELD: Final = 3
"""The first descriptor that a service manager hands over (sd_listen_fds(3))."""


def held_sockets(
    environ: Mapping[str, str] | None = None, pid: int | None = None
) -> dict[str, int]:
    """Return descriptors of listening sockets that the service manager holds for us, by name.

    A connect then succeeds while no server runs, and waits for the next one (docs/adr/0028).

    Args:
        environ: LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES of sd_listen_fds(3); None: our own.
        pid: ours; sockets for another process are none of ours.

    Raises:
        ConfigError: two have one name; whoever connects to the one not taken would wait for ever.
    """
    environ = os.environ if environ is None else environ
    count = environ.get("LISTEN_FDS", "")
    if environ.get("LISTEN_PID") != str(pid or os.getpid()) or not count.isdigit():
        return {}
    names = environ.get("LISTEN_FDNAMES", "").split(":")
    if twice := [name for name, times in Counter(names).items() if name and times > 1]:
        raise ConfigError(
            f"the service manager holds several sockets of the name {twice[0]}, a door takes one: "
            "leave one ListenStream= in its .socket unit ([::] with BindIPv6Only=both is for both "
            "families), or another FileDescriptorName="
        )
    return dict(zip(names, range(FIRST_HELD, FIRST_HELD + int(count)), strict=False))


def listening_at(door: str, host: str, port: int) -> dict[str, Any]:
    """Return where to listen for a door, as the event loop's `create_server` takes it.

    Args:
        door: its name below `doors:`; a socket of that name that the service manager holds goes
            before host and port.
        host: address or name.
        port: 0 for a free one.

    Raises:
        OSError: what the manager handed over is no socket.
        ConfigError: it handed over several of one name.
    """
    held = held_sockets().get(door)
    if held is None:
        return {"host": host, "port": port, "backlog": BACKLOG}
    return {"sock": socket.socket(fileno=os.dup(held)), "backlog": BACKLOG}


def keep_alive(transport: asyncio.BaseTransport) -> None:
    """Have the kernel notice when the peer of a TCP connection vanishes."""
    for option in KEEPALIVE:
        transport.get_extra_info("socket").setsockopt(*option)


def reset(transport: asyncio.Transport) -> None:
    """Cut a connection off so that its peer sees an error, not an end (RST instead of FIN)."""
    linger = struct.pack("ii", 1, 0)  # struct linger of socket(7): on, for 0 s
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    transport.abort()


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
    return cannot_listen_for(f"doors.{door}", url, error)


def cannot_listen_for(section: str, url: str, error: OSError) -> ConfigError | PortTaken:
    """Return the error for a listener whose host and port are in a section of that dotted name."""
    if error.errno == errno.EADDRINUSE:
        return PortTaken(
            f"{url} ({section}) is in use by another program: stop that one or set {section}.port"
        )
    return ConfigError(f"{section}.host and port: cannot listen on {url}: {error.strerror}")
