import asyncio
import io
import json
import threading
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
from aiohttp import ClientWebSocketResponse, WSMsgType

from ruasr_tel.audio.reader import Reader, Reading
from ruasr_tel.call import CallsConfig
from ruasr_tel.errors import AudioFormatError
from ruasr_tel.events import CallEnded, Event, SpeechStarted
from ruasr_tel.testing import TIMEOUT_S, Recorder, phrase, silence, tone
from ruasr_tel.types import Block, CallId, Samples
from ruasr_tel_adapters.rest import RestConfig, seed_socket
from ruasr_tel_adapters.rest.seed_socket import open_chunk
from tests.adapters.rest.fakes import Rest, listening
from tests.core.recordings.sounds import write_silent_flac

SPEECH = phrase((0.6, 1.0))


def config(**values: object) -> str:
    return json.dumps({"config": values})


async def everything(socket: ClientWebSocketResponse) -> list[dict[str, Any]]:
    return [json.loads(message.data) async for message in socket]


def wav(samples: Samples, rate_hz: int) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rate_hz)
        out.writeframes(samples.tobytes())
    return file.getvalue()


async def test_audio_is_answered_and_the_last_message_says_so(tmp_path: Path) -> None:
    heard = Recorder()
    async with listening(tmp_path, publish=heard) as rest, rest.client.ws_connect("/ws") as socket:
        await socket.send_str(config(sample_rate=8000, wait_null_answers=False, do_dialogue=True))
        data = SPEECH.tobytes()
        for at in range(0, len(data), 333):  # odd: half a sample waits for the next chunk
            await socket.send_bytes(data[at : at + 333])
        first = json.loads((await socket.receive()).data)
        assert (first["silence"], first["last_message"]) == (False, False)
        assert first["data"]["text"]
        await socket.send_bytes(tone(0.5).tobytes())
        await socket.send_str('{"eof" : 1}')
        (last,) = await everything(socket)
        assert (last["last_message"], last["error"]) == (True, None)
        assert last["data"]["text"]
        assert last["sentenced_data"]["full_text_only"] == [
            f"{first['data']['text']} {last['data']['text']}"
        ]
        assert socket.close_code == 1000
        (ended,) = await heard.until(CallEnded)
        assert ended.reason == "eof"
        assert all(ledger.difference == 0 for ledger in ended.ledgers.values())
        assert sum(ledger.received for ledger in ended.ledgers.values()) == len(SPEECH) + 4000


async def test_a_client_that_says_nothing_of_its_rate_is_heard_as_a_telephone(rest: Rest) -> None:
    async with rest.client.ws_connect("/ws") as socket:
        await socket.send_bytes(silence(15.0).tobytes())
        note = json.loads((await socket.receive()).data)
        assert (note["silence"], note["data"], note["last_message"]) == (True, "", False)
        await socket.send_str("eof")
        (last,) = await everything(socket)
        assert (last["silence"], last["last_message"]) == (True, True)


async def test_an_end_without_audio_is_answered(rest: Rest) -> None:
    async with rest.client.ws_connect("/ws") as socket:
        await socket.send_str("what is this?")
        await socket.send_str("eof")
        (last,) = await everything(socket)
        assert (last["data"], last["error"], last["last_message"]) == ("", None, True)


async def test_chunks_may_be_files_of_their_own(rest: Rest) -> None:
    async with rest.client.ws_connect("/ws") as socket:
        await socket.send_str(config(sample_rate=16000, audio_format="wav"))
        await socket.send_bytes(wav(phrase((0.6, 1.0), sample_rate_hz=16000), 16000))
        await socket.send_str("eof")
        assert any(message["data"] for message in await everything(socket))


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (config(sample_rate=1), "config.sample_rate: Input should be greater than or equal to"),
        ('{"config": 1', "Invalid JSON: EOF while parsing an object"),
        (config(audio_format="wav"), "chunk.wav: not a recording that can be read"),
    ],
)
async def test_what_cannot_be_used_is_said_in_the_last_message(
    rest: Rest, said: str, reason: str
) -> None:
    async with rest.client.ws_connect("/ws") as socket:
        await socket.send_str(said)
        await socket.send_bytes(b"\0" * 320)
        (last,) = await everything(socket)
        assert last["last_message"] is True
        assert reason in last["error"]


async def test_a_client_that_vanishes_ends_its_call(tmp_path: Path) -> None:
    heard = Recorder()
    async with listening(tmp_path, publish=heard) as rest:
        async with rest.client.ws_connect("/ws") as socket:
            await socket.send_bytes(tone(0.5).tobytes())
        (ended,) = await heard.until(CallEnded)
        assert ended.reason == "close"
        assert ended.finals == 1


async def test_an_idle_client_is_told_to_go(tmp_path: Path) -> None:
    async with (
        listening(tmp_path, RestConfig(idle_timeout_s=0.1)) as rest,
        rest.client.ws_connect("/ws") as socket,
    ):
        (last,) = await everything(socket)
        assert last["error"] == "no message for 0.1 s"


async def test_the_stop_of_the_server_gives_the_last_text_first(tmp_path: Path) -> None:
    heard = Recorder()
    async with listening(tmp_path, publish=heard) as rest, rest.client.ws_connect("/ws") as socket:
        await socket.send_bytes(tone(0.5).tobytes())
        await heard.until(SpeechStarted)
        closing = asyncio.create_task(rest.door.close())
        *_, last = await everything(socket)
        await closing
        assert (last["last_message"], socket.close_code) == (True, 1012)
        assert last["error"] == "the server is stopping and takes no new work"
        assert last["data"]["text"]


async def test_a_server_without_room_refuses_the_handshake(rest: Rest) -> None:
    rest.calls.config = CallsConfig(max_calls=1)
    call = rest.calls.open(door="d", call_id=CallId("c"), peer="")
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await rest.client.ws_connect("/ws")
    assert refused.value.status == 503
    await call.end("eof")


async def test_a_message_that_is_too_long_closes_the_connection(tmp_path: Path) -> None:
    async with (
        listening(tmp_path, RestConfig(max_message_bytes=1024)) as rest,
        rest.client.ws_connect("/ws") as socket,
    ):
        await socket.send_bytes(b"\0" * 2000)
        while (await socket.receive()).type is WSMsgType.TEXT:
            pass
        assert socket.close_code == 1009


async def test_a_chunk_is_heard_while_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = threading.Event()

    def publish(event: Event) -> None:
        if isinstance(event, SpeechStarted):
            heard.set()

    def unpacked(_recording: Reading) -> Iterator[Block]:
        yield tone(1.0)[np.newaxis]
        assert heard.wait(TIMEOUT_S)
        yield silence(1.0)[np.newaxis]

    monkeypatch.setattr(seed_socket, "portions", unpacked)
    async with (
        listening(tmp_path, publish=publish) as rest,
        rest.client.ws_connect("/ws") as socket,
    ):
        await socket.send_str(config(audio_format="wav"))
        await socket.send_bytes(wav(tone(0.1), 8000))
        await socket.send_str("eof")
        assert {message["error"] for message in await everything(socket)} == {None}


async def test_a_chunk_unpacks_to_no_more_than_a_message_could_hold(tmp_path: Path) -> None:
    heard = Recorder()
    flac = write_silent_flac(tmp_path / "a.flac", 1, 600).read_bytes()
    async with (
        listening(tmp_path, RestConfig(max_message_bytes=2**18), publish=heard) as rest,
        rest.client.ws_connect("/ws") as socket,
    ):
        await socket.send_str(config(audio_format="flac"))
        await socket.send_bytes(flac)
        *_, last = await everything(socket)
        assert last["error"] == (
            "chunk.flac: more than 16 s of audio in one message (doors.rest.max_message_bytes); "
            "send shorter chunks"
        )
        (ended,) = await heard.until(CallEnded)
        assert sum(ledger.received for ledger in ended.ledgers.values()) <= 2**17


def test_a_chunk_comes_at_the_wanted_rate() -> None:
    with Reader() as reader:
        recording = open_chunk(reader, wav(tone(0.5, 16000), 16000), "chunk.wav", 8000)
        samples = np.concatenate(list(recording.blocks()), axis=1)
        assert abs(samples.shape[1] - 4000) < 50
        assert np.abs(samples).max() > 7000
        with pytest.raises(AudioFormatError):
            open_chunk(reader, b"", "chunk.wav", 8000)
