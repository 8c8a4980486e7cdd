import asyncio
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruasr_tel.errors import FetchError
from ruasr_tel.recordings.addresses import AddressRules, networks, system_lookup
from ruasr_tel.testing import TIMEOUT_S
from tests.core.recordings.peers import names

RULES = AddressRules(lookup=names())
V4 = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "168.63.129.16/32",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "224.0.0.0/4",
    "240.0.0.0/4",
]
V6 = ["::/128", "::1/128", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8", "2001::/32"]
V6 += ["2001:db8::/32", "3fff::/20", "100::/64", "64:ff9b:1::/48", "5f00::/16", "4000::/3"]


@st.composite
def addresses_in(draw: st.DrawFn, nets: list[str]) -> int:
    net = draw(
        st.sampled_from([IPv4Network(each) if "." in each else IPv6Network(each) for each in nets])
    )
    return int(net.network_address) + draw(st.integers(0, net.num_addresses - 1))


def written(address: int) -> list[str]:
    """Every way in which an IPv4 address is written, or stood for by an IPv6 address."""
    v4, a, b, c, d = IPv4Address(address), *IPv4Address(address).packed
    mapped = IPv6Address((0xFFFF << 32) + address)
    return [
        str(v4),
        f"::ffff:{v4}",
        str(mapped),
        mapped.exploded,
        str(mapped).upper(),
        str(IPv6Address((0x2002 << 112) + (address << 80) + 0x1234)),
        f"64:ff9b::{v4}",
        str(address),
        hex(address),
        f"0{address:o}",
        f"{a:#x}.{b}.{c}.{d}",
        f"0{a:o}.{b}.{c}.{d}",
        f"{a}.{b * 65536 + c * 256 + d}",
        f"{v4}.",
    ]


async def refused(rules: AddressRules, host: str, port: int = 80) -> str:
    with pytest.raises(FetchError) as caught:
        await rules.resolve(host, port)
    assert caught.value.retryable is False
    return str(caught.value)


@settings(deadline=None)
@given(addresses_in(V4))
def test_no_way_to_write_a_refused_ipv4_address_gets_through(address: int) -> None:
    for host in written(address):
        assert asyncio.run(refused(RULES, host))


@settings(deadline=None)
@given(addresses_in(V4))
def test_a_name_that_leads_to_a_refused_ipv4_address_gets_nowhere(address: int) -> None:
    for found in written(address)[:7]:
        rules = AddressRules(lookup=names(pbx_example=f"93.184.216.34 {found}"))
        assert "where this server may not connect" in asyncio.run(refused(rules, "pbx.example"))


@settings(deadline=None)
@given(addresses_in(V6))
def test_no_way_to_write_a_refused_ipv6_address_gets_through(address: int) -> None:
    v6 = IPv6Address(address)
    for host in (str(v6), v6.exploded, str(v6).upper()):
        assert "where this server may not connect" in asyncio.run(refused(RULES, host))


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.1", "this server itself (loopback)"),
        ("0.0.0.0", "this server itself (loopback)"),
        ("::", "this server itself (loopback)"),
        ("::1", "this server itself (loopback)"),
        ("10.1.2.3", "a private network"),
        ("fd00:ec2::254", "a private network"),
        ("100.64.0.1", "a carrier's inner network (CGNAT)"),
        ("169.254.169.254", "a link-local network"),
        ("fe80::1%eth0", "a link-local network"),
        ("168.63.129.16", "a cloud's service for its own machines"),
        ("239.1.1.1", "many machines at once (multicast)"),
        ("255.255.255.255", "a reserved network"),
        ("64:ff9b::a9fe:a9fe", "a link-local network"),
        ("::7f00:1", "a reserved network"),
    ],
)
def test_a_refusal_names_what_the_address_belongs_to(address: str, kind: str) -> None:
    assert RULES.refusal(address) == kind


@pytest.mark.parametrize(
    "address",
    ["93.184.216.34", "2a00:1450:4010::65", "64:ff9b::5db8:d822", "100.128.0.1", "172.32.0.1"],
)
async def test_public_addresses_are_permitted(address: str) -> None:
    assert await RULES.resolve(address, 80) == [address]


async def test_the_sentence_for_a_host_inside() -> None:
    rules = AddressRules(lookup=names(pbx_example="10.1.2.3"))
    assert await refused(rules, "pbx.example") == (
        "pbx.example leads to a private network, where this server may not connect; an "
        "administrator can permit it (allow_cidrs)"
    )


@settings(deadline=None)
@given(addresses_in(["10.0.0.0/8", "fd00::/8"]))
def test_what_is_permitted_by_config_is_permitted_in_its_ipv6_forms_too(address: int) -> None:
    rules = AddressRules(networks(["10.0.0.0/8", "fd00::/8"]))
    forms = written(address)[:7] if address < 2**32 else [str(IPv6Address(address))]
    assert [rules.refusal(form) for form in forms] == [None] * len(forms)
    assert rules.refusal("192.168.0.1") == "a private network"


@pytest.mark.parametrize("network", ["::ffff:10.0.0.0/104", "2002::/16", "64:ff9b::/96"])
def test_networks_that_stand_for_ipv4_are_to_be_written_as_ipv4(network: str) -> None:
    with pytest.raises(ValueError, match="stands for IPv4 addresses; write the IPv4 network"):
        networks([network])


def test_a_network_with_host_bits_is_a_mistake() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.1/8 has host bits set"):
        networks(["10.0.0.1/8"])


async def test_ports_can_be_limited() -> None:
    rules = AddressRules(ports=frozenset([443]), lookup=names(a_example="93.184.216.34"))
    assert await rules.resolve("a.example", 443) == ["93.184.216.34"]
    said = await refused(rules, "a.example", 25)
    assert said == "port 25 of a.example is not among the ports permitted here"


@pytest.mark.parametrize(
    "host", ["", "a b", "a..b", "-\n", "fe80::1%25eth0", "%31", "x" * 64, "a." * 130, "a/b", "а.рф"]
)
async def test_what_is_no_host_name_is_not_looked_up(host: str) -> None:
    assert (await refused(RULES, host)).endswith("is not the name of a host")


async def test_a_host_that_does_not_exist() -> None:
    assert await refused(RULES, "nowhere.example") == "the host nowhere.example does not exist"
    empty = AddressRules(lookup=names(nowhere_example=""))
    assert await refused(empty, "nowhere.example") == "the host nowhere.example does not exist"


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        (socket.gaierror(socket.EAI_AGAIN, ""), "cannot be looked up at the moment"),
        (OSError("no resolver"), "cannot be looked up"),
    ],
)
async def test_a_resolver_with_a_fault_is_asked_again_later(fault: OSError, sentence: str) -> None:
    async def lookup(host: str, port: int) -> list[str]:
        raise fault

    with pytest.raises(FetchError) as caught:
        await AddressRules(lookup=lookup).resolve("a.example", 80)
    assert str(caught.value) == f"the address of a.example {sentence}"
    assert caught.value.retryable is True


async def test_the_system_knows_the_address_of_an_address() -> None:
    assert await system_lookup("127.0.0.1", 80) == ["127.0.0.1"]


async def test_a_resolver_without_an_answer_keeps_no_thread_from_the_disk(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = asyncio.get_running_loop()
    asked, answered = asyncio.Event(), threading.Event()

    def silent(*_asked: object, **_how: object) -> list[object]:
        loop.call_soon_threadsafe(asked.set)
        answered.wait(TIMEOUT_S)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    loop.set_default_executor(ThreadPoolExecutor(1))
    looking = asyncio.create_task(system_lookup("h.example", 80))
    async with asyncio.timeout(TIMEOUT_S):
        await asked.wait()
        try:
            await asyncio.wait_for(asyncio.to_thread(answered.is_set), TIMEOUT_S / 2)
        finally:
            answered.set()
        assert await looking == []
