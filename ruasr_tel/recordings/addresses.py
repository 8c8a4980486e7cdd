"""Which addresses this server may connect to when somebody else names them.

A URL in an order is chosen by a stranger, and this server often stands beside machines that trust
their own network. So every address a name leads to is judged before a connection is made.
"""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import TypeAlias

from ruasr_tel.errors import AddressRefused, FetchError

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network
Lookup: TypeAlias = Callable[[str, int], Awaitable[list[str]]]
"""Host name and port to the textual addresses it has; raises `socket.gaierror` as getaddrinfo."""

_SELF, _PRIVATE = "this server itself (loopback)", "a private network"
_LINK, _CARRIER = "a link-local network", "a carrier's inner network (CGNAT)"
_MANY, _RESERVED = "many machines at once (multicast)", "a reserved network"
_METADATA = "a cloud's service for its own machines"

# IANA IPv4 Special-Purpose Address Registry (RFC 6890), and multicast (RFC 5771). Listed here
# because `ipaddress.is_private` and `is_global` change between Python versions (gh-113171).
# 168.63.129.16 serves every Azure machine from within a public range ("What is IP address
# 168.63.129.16", learn.microsoft.com); 169.254.169.254 is link-local, 100.100.100.200 CGNAT.
_REFUSED_4: tuple[tuple[IPv4Network, str], ...] = tuple(
    (IPv4Network(network), words)
    for network, words in (
        ("0.0.0.0/8", _SELF),
        ("10.0.0.0/8", _PRIVATE),
        ("100.64.0.0/10", _CARRIER),
        ("127.0.0.0/8", _SELF),
        ("168.63.129.16/32", _METADATA),
        ("169.254.0.0/16", _LINK),
        ("172.16.0.0/12", _PRIVATE),
        ("192.0.0.0/24", _RESERVED),
        ("192.0.2.0/24", _RESERVED),
        ("192.88.99.0/24", _RESERVED),
        ("192.168.0.0/16", _PRIVATE),
        ("198.18.0.0/15", _RESERVED),
        ("198.51.100.0/24", _RESERVED),
        ("203.0.113.0/24", _RESERVED),
        ("224.0.0.0/4", _MANY),
        ("240.0.0.0/4", _RESERVED),
    )
)
# IANA IPv6 Special-Purpose Address Registry. Only 2000::/3 is global unicast (RFC 4291, 2.4), so
# the networks outside it are here for their words alone; fd00:ec2::254 is a private one.
_REFUSED_6: tuple[tuple[IPv6Network, str], ...] = tuple(
    (IPv6Network(network), words)
    for network, words in (
        ("::/127", _SELF),
        ("fc00::/7", _PRIVATE),
        ("fe80::/10", _LINK),
        ("fec0::/10", _PRIVATE),
        ("ff00::/8", _MANY),
        ("2001::/23", _RESERVED),  # IETF protocols: Teredo, benchmarking, ORCHID
        ("2001:db8::/32", _RESERVED),
        ("3fff::/20", _RESERVED),
    )
)
_GLOBAL_6 = IPv6Network("2000::/3")

_MAPPED = IPv6Network("::ffff:0:0/96")  # RFC 4291, 2.5.5.2
_SIX_TO_FOUR = IPv6Network("2002::/16")  # RFC 3056, 2
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052, 2.1
CARRIERS = (_MAPPED, _SIX_TO_FOUR, _NAT64)
"""IPv6 networks whose addresses stand for an IPv4 address and are judged as that one."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_LOOKUPS = ThreadPoolExecutor(32, thread_name_prefix="lookup")
# Not the loop's own threads, which write all files: a name server that is silent keeps one for 10 s
# (resolv.conf(5): two attempts of 5 s each), and no timeout of ours takes it back.


async def system_lookup(host: str, port: int) -> list[str]:
    """Return the addresses that the system's resolver gives, without repetitions."""
    look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(_LOOKUPS, look_up)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


@dataclass(frozen=True, slots=True)
class AddressRules:
    """Where a connection may go.

    Attributes:
        allow: networks permitted although they are not public.
        ports: the only ports permitted; empty permits all.
        lookup: finds the addresses of a name.
    """

    allow: tuple[Network, ...] = ()
    ports: frozenset[int] = frozenset()
    lookup: Lookup = system_lookup

    def refusal(self, address: Address | str) -> str | None:
        """Return what an address belongs to if no connection may go there, else None.

        Args:
            address: IPv4 or IPv6; in text form also with a scope (`fe80::1%eth0`).
        """
        judged = _carried(ip_address(address))
        if any(judged in network for network in self.allow):
            return None
        return _kind(judged)

    async def resolve(self, host: str, port: int) -> list[str]:
        """Return the addresses of a host; each may be connected to.

        One refused address refuses the host: a public name that also leads inside is a trick or
        a mistake.

        Args:
            host: a name in ASCII, or an address without brackets.
            port: where the connection will go.

        Raises:
            AddressRefused: a connection there is not permitted.
            FetchError: there is no such host, or nobody can tell.
        """
        if self.ports and port not in self.ports:
            raise AddressRefused(f"port {port} of {host} is not among the ports permitted here")
        literal = _literal(host)
        found = [literal] if literal else await self._look_up(host, port)
        for address in found:
            if kind := self.refusal(address):
                raise AddressRefused(
                    f"{host} leads to {kind}, where this server may not connect; "
                    "an administrator can permit it (allow_cidrs)"
                )
        return found

    async def _look_up(self, host: str, port: int) -> list[str]:
        try:
            found = await self.lookup(host, port)
        except socket.gaierror as exc:
            if exc.errno in (socket.EAI_AGAIN, socket.EAI_FAIL):
                sentence = f"the address of {host} cannot be looked up at the moment"
                raise FetchError(sentence, retryable=True) from exc
            raise FetchError(f"the host {host} does not exist") from exc
        except (OSError, UnicodeError) as exc:
            raise FetchError(f"the address of {host} cannot be looked up", retryable=True) from exc
        if not found:
            raise FetchError(f"the host {host} does not exist")
        return found


def networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return networks in CIDR form, `10.0.0.0/8`.

    Raises:
        ValueError: one is none, or stands for IPv4 addresses that must be written as such.
    """
    result = tuple(ip_network(text) for text in texts)
    for network in result:
        if isinstance(network, IPv6Network) and any(map(network.subnet_of, CARRIERS)):
            raise ValueError(f"{network} stands for IPv4 addresses; write the IPv4 network itself")
    return result


def _literal(host: str) -> str | None:
    """Return an address written as one, or None for a name.

    Raises:
        AddressRefused: neither; also for the forms `127.1`, `0x7f000001` and `0177.0.0.1`, which
            some libraries take for an address and others do not. The last label of a name is
            never a number (URL Standard, 3.5: "ends in a number checker").
    """
    try:
        if "%" not in host:
            return str(ip_address(host))
    except ValueError:
        pass
    last = host.removesuffix(".").rpartition(".")[2]
    if _NAME.fullmatch(host) and len(host) <= 253 and not _NUMBER.fullmatch(last):
        return None
    raise AddressRefused(f"{host[:80]!r} is not the name of a host")


def _carried(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for, or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _kind(address: Address) -> str | None:
    """Return what a special address belongs to, or None for a public one."""
    refused = _REFUSED_4 if isinstance(address, IPv4Address) else _REFUSED_6
    for network, words in refused:
        if address in network:
            return words
    public = isinstance(address, IPv4Address) or address in _GLOBAL_6
    return None if public else _RESERVED
