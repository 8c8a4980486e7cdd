"""One UDP port that hears one leg."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Final, Protocol

from ruasr_tel.errors import Overloaded, ProtocolError
from ruasr_tel.types import Samples
from ruasr_tel_adapters.ari.rtp.keys import Keys
from ruasr_tel_adapters.ari.rtp.order import Missing, Reorder
from ruasr_tel_adapters.ari.rtp.wire import (
    RATE_HZ,
    Format,
    KeyPress,
    Packet,
    decode_payload,
    samples_in,
)

MAX_GAP_S: Final = 3_600.0
"""A longer jump of the timestamp is no silence."""

MAPPED: Final = "::ffff:"
"""What a socket of IPv6 puts before an address of IPv4 (RFC 4291, 2.5.5.2)."""

Address = tuple[str, int]


class Listener(Protocol):
    """What a port tells its leg."""

    def hear(self, samples: Samples) -> None:
        """Take audio, int16, shape (n,), at the format's rate."""
        ...

    def miss(self, samples_count: int, *, lost: bool) -> None:
        """Take note that audio is not there: lost on the way, or not sent."""
        ...

    def key(self, digit: str) -> None:
        """Take a key press."""
        ...

    def count(self, fate: str, packets: int) -> None:
        """Count packets by what became of them."""
        ...

    def bad(self, kind: str, said: str) -> None:
        """Take note of what is against the protocol: a kind, and what it was in a sentence."""
        ...


class RtpPort(asyncio.DatagramProtocol):
    """Hears the RTP of one leg; packets of other senders are counted and left out.

    Args:
        format_: what the packets carry.
        payload_type: their number; others mean nothing.
        event_type: that of telephone-event.
        depth: packets that wait for a missing one.
        listener: takes what is heard.
        on_close: told once that the port is free again.
    """

    def __init__(
        self,
        format_: Format,
        payload_type: int,
        event_type: int,
        depth: int,
        listener: Listener,
        on_close: Callable[["RtpPort"], None] = lambda _port: None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.source: Address | None = None
        self._format: Format = format_
        self._payload_type = payload_type
        self._event_type = event_type
        self._listener = listener
        self._on_close = on_close
        self._order = Reorder(depth, round(MAX_GAP_S * RATE_HZ[format_]), self._count)
        self._keys = Keys()
        self._transport: asyncio.DatagramTransport | None = None

    @property
    def port(self) -> int:
        """The number of the port; even, as RFC 3550, 11 wants it, unless it is any free one."""
        assert self._transport is not None
        number: int = self._transport.get_extra_info("sockname")[1]
        return number

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the open port."""
        self._transport = transport  # type: ignore[assignment]  # uvloop's own class is none

    def expect(self, source: Address | None) -> None:
        """Hear one sender alone; None means: the first one who comes."""
        self.source = None if source is None else _plain(*source)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Take one datagram; nothing that is in it can be an error of ours."""
        address = _plain(*addr[:2])
        if self.source is not None and address != self.source:
            self._count("foreign", 1)
            host, port = address
            self._listener.bad("foreign", f"RTP from {host}:{port}, which is not the PBX channel")
            return
        try:
            packet = Packet.parse(data)
            self._take(packet)
        except ProtocolError as error:
            self._count("malformed", 1)
            self._listener.bad("malformed", str(error))
            return
        self.source = address
        self._count("received", 1)

    def close(self) -> None:
        """Hear what is held, then no more; idempotent."""
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.close()
        self._say(self._order.flush())
        for digit in self._keys.flush():
            self._listener.key(digit)
        self._on_close(self)

    def _count(self, fate: str, packets: int) -> None:
        self.counts[fate] += packets
        self._listener.count(fate, packets)

    def _take(self, packet: Packet) -> None:
        if packet.payload_type == self._payload_type:
            samples = samples_in(packet.payload, self._format)
        elif packet.payload_type == self._event_type:
            KeyPress.parse(packet.payload)
            samples = 0
        else:
            self._count("other payload", 1)
            samples = 0
        self._say(self._order.push(packet, samples))

    def _say(self, in_order: "list[Packet | Missing]") -> None:
        for each in in_order:
            if isinstance(each, Missing):
                self._listener.miss(each.samples, lost=each.packets > 0)
            elif each.payload_type == self._payload_type:
                self._listener.hear(decode_payload(each.payload, self._format))
            elif each.payload_type == self._event_type:
                for digit in self._keys.push(each.timestamp, KeyPress.parse(each.payload)):
                    self._listener.key(digit)


def _plain(host: str, port: int) -> Address:
    return host.removeprefix(MAPPED), port


class RtpPorts:
    """Gives out ports of a range, each to one leg at a time.

    Args:
        host: address to listen on.
        numbers: ports to take; the even ones of a range. Empty: any free port.
    """

    def __init__(self, host: str, numbers: range) -> None:
        self._host = host
        self._numbers = numbers
        self._at = 0

    async def open(self, make: Callable[[], RtpPort]) -> RtpPort:
        """Return a port that listens.

        Args:
            make: makes the protocol of the port.

        Raises:
            Overloaded: every port of the range is in use, or the system gives none.
        """
        loop, said = asyncio.get_running_loop(), ""
        for _ in range(max(len(self._numbers), 1)):
            number = self._numbers[self._at % len(self._numbers)] if self._numbers else 0
            self._at += 1
            try:
                _, port = await loop.create_datagram_endpoint(make, local_addr=(self._host, number))
            except OSError as error:  # of another leg or program; the next one may be free
                said = error.strerror or str(error)
                continue
            return port
        if not self._numbers:
            raise Overloaded(f"no UDP port can be opened on {self._host}: {said}")
        first, last = self._numbers[0], self._numbers[-1]
        raise Overloaded(
            f"every RTP port from {first} to {last} is in use: set doors.ari.rtp_last_port higher"
        )
