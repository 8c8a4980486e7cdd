"""AudioSocket on a port of our own: who may come, and what ends it."""

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from ruasr_tel.errors import ConfigError, PortTaken
from ruasr_tel.types import Samples
from ruasr_tel_adapters.ari.config import AriConfig
from ruasr_tel_adapters.ari.media import AudioSocketMedia, Line, RtpMedia, create_media, own_address

DATA = Path(__file__).parents[2] / "data/ari"


class Ear:
    """Writes down what a line says."""

    def __init__(self) -> None:
        self.said: list[object] = []
        self.more = asyncio.Event()

    def hear(self, samples: Samples) -> None:
        self.said.append(samples.tolist())
        self.more.set()

    def miss(self, samples_count: int, *, lost: bool) -> None:
        raise AssertionError("TCP loses nothing")

    def key(self, digit: str) -> None:
        self.said.append(digit)
        self.more.set()


def config(**settings: object) -> AriConfig:
    return AriConfig.model_validate(
        {"encapsulation": "audiosocket", "request_timeout_s": 0.2, **settings}
    )


@asynccontextmanager
async def listening(**settings: object) -> AsyncIterator[tuple[AudioSocketMedia, Line, Ear]]:
    media = AudioSocketMedia(config(**settings))
    await media.start()
    ear = Ear()
    yield media, await media.line(ear), ear
    await media.close()


async def connect(line: Line) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = line.order["external_host"].split(":")
    return await asyncio.open_connection(host, int(port))


def uuid_of(line: Line) -> bytes:
    return b"\x01\x00\x10" + UUID(line.order["data"]).bytes


@pytest.mark.parametrize(
    "first",
    [
        b"",
        b"\x01\x00\x10" + uuid4().bytes,
        b"\x10\x01\x40" + bytes(320),
        b"\x10\x01\x40",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
    ids=["nothing", "a UUID of nobody", "audio first", "a header of audio", "HTTP"],
)
async def test_a_stranger_is_shown_out(first: bytes) -> None:
    async with listening() as (_, line, ear):
        reader, writer = await connect(line)
        writer.write(first)
        assert await reader.read() == b""
        writer.close()
        assert ear.said == []


async def test_a_peer_that_closes_before_it_says_who_it_is_leaves_no_trace() -> None:
    async with listening() as (_, line, ear):
        reader, writer = await connect(line)
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        assert ear.said == []


async def test_a_second_connection_of_one_uuid_is_shown_out_and_the_first_goes_on() -> None:
    async with listening() as (_, line, ear):
        _reader, first = await connect(line)
        first.write(uuid_of(line) + b"\x12\x00\x04\x01\x00\xff\xff")
        await ear.more.wait()
        reader, second = await connect(line)
        second.write(uuid_of(line))
        assert await reader.read() == b""
        ear.more.clear()
        first.write(
            b"\x03\x00\x01a\x10\x00\x02\x05\x00" + struct.pack("!BH", 0x12, 2) + b"\x02\x00"
        )
        await ear.more.wait()
        while len(ear.said) < 3:  # noqa: ASYNC110 - the ear tells of each, not of the third
            await asyncio.sleep(0)
        for writer in (first, second):
            writer.close()
        assert ear.said == [[1, -1], "A", [2]]
        assert line.counts == {"received": 2, "kind 0x10": 1}


async def test_a_closed_line_hands_the_channel_back_and_expects_nobody() -> None:
    async with listening() as (_, line, _ear):
        reader, writer = await connect(line)
        writer.write(uuid_of(line) + b"\x12\x00\x02\x00\x00")
        await _ear.more.wait()
        line.close()
        line.close()
        assert await reader.read() == b"\x00\x00\x00"
        writer.close()
        reader, writer = await connect(line)
        writer.write(uuid_of(line))
        assert await reader.read() == b""
        writer.close()


async def test_asterisks_answer_says_who_sends() -> None:
    answer = json.loads((DATA / "external_media_rtp.json").read_text("utf-8"))
    media = RtpMedia(config(encapsulation="rtp", format="slin"))
    await media.start()
    line = await media.line(Ear())
    line.answered(answer)
    variables = answer["channelvars"]
    assert line.source == (
        variables["UNICASTRTP_LOCAL_ADDRESS"],
        int(variables["UNICASTRTP_LOCAL_PORT"]),
    )
    line.close()


async def test_a_taken_port_is_named() -> None:
    async with listening() as (_, line, _ear):
        port = int(line.order["external_host"].rpartition(":")[2])
        with pytest.raises(PortTaken, match=r"set doors\.ari\.host and doors\.ari\.port"):
            await AudioSocketMedia(config(port=port)).start()


async def test_the_configuration_says_which_and_where_asterisk_sends() -> None:
    assert isinstance(create_media(config()), AudioSocketMedia)
    media = create_media(config(encapsulation="rtp", advertise="asr.example"))
    assert isinstance(media, RtpMedia)
    await media.start()
    line = await media.line(Ear())
    host, port = line.order["external_host"].split(":")
    assert (host, line.order["encapsulation"], line.order["transport"]) == (
        "asr.example",
        "rtp",
        "udp",
    )
    assert int(port) > 0
    line.answered({})
    line.close()
    await media.close()


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({}, "127.0.0.1"),
        ({"host": "0.0.0.0"}, "127.0.0.1"),
        ({"host": "0.0.0.0", "advertise": "asr.example"}, "asr.example"),
    ],
)
async def test_a_door_on_every_address_finds_the_one_towards_asterisk(
    settings: dict[str, object], address: str
) -> None:
    assert await own_address(config(**settings)) == address


async def test_without_a_way_to_asterisk_the_operator_is_told_what_to_set() -> None:
    with pytest.raises(ConfigError, match=r"doors\.ari\.advertise is not set"):
        await own_address(config(host="0.0.0.0", url="http://[::ffff:0:0:0:1%nowhere]:1/ari"))
