"""AudioSocket on a port of our own: who may come, and what ends it."""

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from ruasr_tel.errors import PortTaken
from ruasr_tel_adapters.ari.config import AriConfig
from ruasr_tel_adapters.ari.media.audiosocket import AudioSocketMedia
from ruasr_tel_adapters.ari.media.line import Line
from tests.adapters.ari.ear import Ear

DATA = Path(__file__).parents[2] / "data/ari"


def config(**settings: object) -> AriConfig:
    return AriConfig.model_validate(
        {"encapsulation": "audiosocket", "request_timeout_s": 0.2, **settings}
    )


@asynccontextmanager
async def listening(**settings: object) -> AsyncIterator[tuple[AudioSocketMedia, Line, Ear]]:
    ear = Ear()
    media = AudioSocketMedia(config(**settings), ear.bad)
    await media.start()
    yield media, await media.line(ear, "ruasr.ruasr.media.in.1"), ear
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
        assert [kind for kind, _ in ear.wrong] == ["no UUID"]


async def test_a_peer_that_closes_before_it_says_who_it_is_leaves_no_trace() -> None:
    async with listening() as (_, line, ear):
        reader, writer = await connect(line)
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        assert ear.said == []
        assert [kind for kind, _ in ear.wrong] == ["no UUID"]


async def test_a_second_connection_of_one_uuid_is_shown_out_and_the_first_goes_on() -> None:
    async with listening() as (_, line, ear):
        _reader, first = await connect(line)
        first.write(uuid_of(line) + b"\x12\x00\x04\x01\x00\xff\xff")
        await ear.until(lambda: ear.said)
        reader, second = await connect(line)
        second.write(uuid_of(line))
        assert await reader.read() == b""
        first.write(
            b"\x03\x00\x01a\x10\x00\x02\x05\x00" + struct.pack("!BH", 0x12, 2) + b"\x02\x00"
        )
        await ear.until(lambda: len(ear.said) == 3)
        for writer in (first, second):
            writer.close()
        assert ear.said == [[1, -1], "A", [2]]
        assert line.counts == {"received": 2, "other kind": 1}
        assert ear.wrong == [
            ("second connection", f"another one of UUID {line.order['data']}"),
            ("kind", "2 bytes of kind 0x10"),
        ]


async def test_a_closed_line_hands_the_channel_back_and_expects_nobody() -> None:
    async with listening() as (_, line, ear):
        reader, writer = await connect(line)
        writer.write(uuid_of(line) + b"\x12\x00\x02\x00\x00")
        await ear.until(lambda: ear.said)
        line.close()
        line.close()
        assert await reader.read() == b"\x00\x00\x00"
        writer.close()
        reader, writer = await connect(line)
        writer.write(uuid_of(line))
        assert await reader.read() == b""
        writer.close()


async def test_a_taken_port_is_named() -> None:
    async with listening() as (_, line, ear):
        port = int(line.order["external_host"].rpartition(":")[2])
        with pytest.raises(PortTaken, match=r"set doors\.ari\.host and doors\.ari\.port"):
            await AudioSocketMedia(config(port=port), ear.bad).start()
