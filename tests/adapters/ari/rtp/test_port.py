"""A UDP port on loopback hears one sender."""

import socket

import numpy as np
import pytest

from ruasr_tel.errors import Overloaded
from ruasr_tel_adapters.ari.rtp.port import RtpPort, RtpPorts
from ruasr_tel_adapters.ari.rtp.wire import KeyPress, Packet, encode_payload
from tests.adapters.ari.ear import Ear

LOOKED_AT = ("received", "foreign", "malformed")


def make(ear: Ear, depth: int = 2) -> RtpPort:
    return RtpPort("slin", 10, 101, depth, ear)


def audio(sequence: int, *samples: int, timestamp: int | None = None) -> bytes:
    payload = encode_payload(np.array(samples, np.int16), "slin")
    at = sequence * len(samples) if timestamp is None else timestamp
    return bytes(Packet(10, sequence, at, 7, payload))


async def received(ear: Ear, total: int) -> None:
    """Wait until the port has looked at so many datagrams."""
    await ear.until(lambda: sum(ear.counted[name] for name in LOOKED_AT) >= total)


async def test_it_hears_audio_gaps_and_keys_of_its_sender_and_counts_the_rest() -> None:
    ear = Ear()
    port = await RtpPorts("127.0.0.1", range(0)).open(lambda: make(ear))
    pbx, stranger = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    with pbx, stranger:
        pbx.bind(("127.0.0.1", 0))
        port.expect(pbx.getsockname())
        to = ("127.0.0.1", port.port)
        pbx.sendto(audio(0, 1, -2), to)
        stranger.sendto(audio(1, 9, 9), to)
        intruder = stranger.getsockname()[1]
        pbx.sendto(b"not RTP", to)
        pbx.sendto(bytes(Packet(13, 1, 0, 7, b"\x40")), to)  # comfort noise, RFC 3389
        pbx.sendto(bytes(Packet(101, 2, 2, 7, bytes(KeyPress(5, True, 160)))), to)
        pbx.sendto(bytes(Packet(101, 3, 2, 7, b"")), to)
        pbx.sendto(audio(3, 3, 4, timestamp=6), to)
        pbx.sendto(audio(5, 7, 8, timestamp=12), to)
        await received(ear, 8)
        assert ear.said == [[1, -2], "5", (4, False), [3, 4]]
        port.close()
        port.close()
    assert ear.said[4:] == [(4, True), [7, 8]]
    assert ear.counted == port.counts
    assert port.counts == {
        "received": 5,
        "foreign": 1,
        "malformed": 2,
        "other payload": 1,
        "lost": 1,
    }
    assert [kind for kind, _ in ear.wrong] == ["foreign", "malformed", "malformed"]
    assert ear.wrong[0][1] == f"RTP from 127.0.0.1:{intruder}, which is not the PBX channel"


async def test_without_a_told_address_the_first_sender_is_the_one() -> None:
    ear = Ear()
    port = await RtpPorts("127.0.0.1", range(0)).open(lambda: make(ear))
    one, other = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    with one, other:
        one.sendto(audio(0, 5), ("127.0.0.1", port.port))
        await received(ear, 1)
        other.sendto(audio(1, 6), ("127.0.0.1", port.port))
        await received(ear, 2)
        assert port.source == ("127.0.0.1", one.getsockname()[1])
    port.close()
    assert ear.said == [[5]]


@pytest.mark.parametrize("told", ["192.0.2.5", "::ffff:192.0.2.5"])
@pytest.mark.parametrize("seen", ["192.0.2.5", "::ffff:192.0.2.5"])
async def test_an_address_of_four_is_the_same_on_a_socket_of_six(told: str, seen: str) -> None:
    ear = Ear()
    port = make(ear)
    port.expect((told, 4000))
    port.datagram_received(audio(0, 5), (seen, 4000))
    assert (ear.said, ear.wrong) == ([[5]], [])
    assert port.source == ("192.0.2.5", 4000)


async def test_a_key_held_at_the_end_counts() -> None:
    ear = Ear()
    port = make(ear)
    port.datagram_received(
        bytes(Packet(101, 3, 2, 7, bytes(KeyPress(11, False, 160)))), ("127.0.0.1", 5)
    )
    assert ear.said == []
    ports = RtpPorts("127.0.0.1", range(0))
    await ports.open(lambda: port)
    port.close()
    assert ear.said == ["#"]


async def test_a_range_gives_each_port_once_and_then_says_that_it_is_full() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    ports = RtpPorts("127.0.0.1", range(number, number + 1))
    closed: list[RtpPort] = []
    port = await ports.open(lambda: RtpPort("slin", 10, 101, 2, Ear(), closed.append))
    assert port.port == number
    with pytest.raises(Overloaded, match=r"set doors\.ari\.rtp_last_port higher"):
        await ports.open(lambda: make(Ear()))
    port.close()
    assert closed == [port]


async def test_an_address_of_another_machine_has_no_port() -> None:
    with pytest.raises(Overloaded, match=r"no UDP port can be opened on 192\.0\.2\.77: "):
        await RtpPorts("192.0.2.77", range(0)).open(lambda: make(Ear()))
