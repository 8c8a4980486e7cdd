"""The door before the real store, the real jobs and a scripted engine."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest_asyncio

from ruasr_tel.events import Event
from ruasr_tel.hub import Hub
from ruasr_tel.metrics import Metrics
from ruasr_tel.plugins import Server
from ruasr_tel.recordings.config import RecordingsConfig
from ruasr_tel.recordings.jobs import Recordings
from ruasr_tel.store import Store
from ruasr_tel.testing import TIMEOUT_S, phrase, running_calls, silence
from ruasr_tel_adapters.rest import RestConfig, RestDoor
from tests.core.recordings.sounds import bulk_calls, write_wav


@dataclass
class Whole:
    """A client of a server that has everything but doors besides this one."""

    client: aiohttp.ClientSession
    folder: Path
    store: Store
    events: list[Event]

    async def json(self, method: str, path: str, status: int = 200, **request: Any) -> Any:
        async with self.client.request(method, path, **request) as response:
            body = json.loads(await response.text())
            assert response.status == status, body
            return body

    def recording(self, field: str = "upload") -> aiohttp.FormData:
        """Return a form with two parties who speak in turn."""
        left, right = phrase((1.0, 3.0)), phrase((0.1, 2.0), (1.0, 0.9))
        right[:16_800] = silence(2.1)
        path = write_wav(self.folder / "a.wav", left, right)
        form = aiohttp.FormData()
        form.add_field(field, path.read_bytes(), filename="вчера.wav")
        return form


@asynccontextmanager
async def whole_server(folder: Path) -> AsyncIterator[Whole]:
    async with AsyncExitStack() as stack:
        store = Store(f"sqlite:///{folder}/ruasr.db")
        await store.open()
        stack.push_async_callback(store.close)
        config = RecordingsConfig(dir=folder / "recordings")
        bulk = await stack.enter_async_context(bulk_calls())
        recordings = Recordings(config, store, bulk, models=["scripted"])
        await recordings.start()
        stack.push_async_callback(recordings.close)
        hub = Hub()
        written: list[Event] = []

        def publish(event: Event) -> None:
            hub.publish(event)
            written.append(event)

        calls = await stack.enter_async_context(running_calls(publish=publish))
        door = RestDoor(RestConfig(port=0), Server(calls, hub, Metrics(), store, recordings))
        await door.start()
        stack.push_async_callback(door.close)
        timeout = aiohttp.ClientTimeout(total=3 * TIMEOUT_S)
        client = aiohttp.ClientSession(door.url, timeout=timeout)
        await stack.enter_async_context(client)
        yield Whole(client, folder, store, written)


@pytest_asyncio.fixture
async def whole(tmp_path: Path) -> AsyncIterator[Whole]:
    async with whole_server(tmp_path) as whole:
        yield whole


async def test_an_upload_becomes_a_dialogue_that_can_be_read_heard_seen_and_found(
    whole: Whole,
) -> None:
    shown = await whole.json("POST", "/v1/recordings?wait=60", data=whole.recording())
    assert (shown["state"], shown["progress"], shown["name"]) == ("done", 1.0, "вчера.wav")
    assert [turn["channel"] for turn in shown["result"]["turns"]] == [0, 1]
    address = f"/v1/recordings/{shown['id']}"
    assert await whole.json("GET", address) == shown
    for form, start in (("text", "0: "), ("srt", "1\n00:00:0"), ("vtt", "WEBVTT\n\n")):
        async with whole.client.get(f"{address}?format={form}") as response:
            assert (await response.text()).startswith(start)
    async with whole.client.get(f"{address}/audio") as response:
        assert (await response.read()).startswith(b"RIFF")
    peaks = await whole.json("GET", f"{address}/peaks?points=10")
    assert len(peaks["channels"]) == 2
    async with whole.client.get(f"{address}/events") as response:
        text = await response.text()
    number = text.split("id: ")[1].split("\n")[0]
    assert '"state": "done"' in text
    async with whole.client.get(f"{address}/events", headers={"Last-Event-ID": number}) as response:
        assert response.status == 204
    word = shown["result"]["turns"][0]["words"][0]["text"]
    found = await whole.json("GET", "/v1/recordings", params={"text": word.upper()})
    assert [each["id"] for each in found["items"]] == [shown["id"]]
    assert (await whole.json("GET", "/v1/recordings?text=zzz"))["items"] == []
    assert (await whole.json("DELETE", address, 409))["detail"] == "the recording is done already"


async def test_pages_follow_each_other_to_the_end(whole: Whole) -> None:
    refused = "http://192.0.2.1:1/a.wav"
    ids = [
        (await whole.json("POST", "/v1/recordings", 202, json={"url": refused}))["id"]
        for _ in range(3)
    ]
    page = await whole.json("GET", "/v1/recordings?limit=2")
    cursor = page["next_cursor"]
    rest = await whole.json("GET", f"/v1/recordings?limit=2&cursor={cursor}")
    assert [each["id"] for each in page["items"] + rest["items"]] == ids[::-1]
    assert rest["next_cursor"] is None
    problem = await whole.json("GET", "/v1/recordings?cursor=x", 422)
    assert problem["errors"][0]["field"] == "cursor"
    for id in ids:
        await whole.json("DELETE", f"/v1/recordings/{id}")


async def test_a_file_that_is_no_audio_fails_with_a_reason(whole: Whole) -> None:
    form = aiohttp.FormData()
    form.add_field("upload", b"<html>", filename="a.wav")
    shown = await whole.json("POST", "/v1/recordings?wait=60", data=form)
    assert shown["state"] == "failed"
    assert "a.wav" in shown["reason"] or "audio" in shown["reason"]
    assert str(whole.folder) not in shown["reason"]
    form = aiohttp.FormData()
    form.add_field("file", b"<html>", filename="a.wav")
    answer = await whole.json("POST", "/post_file", data=form)
    assert (answer["success"], answer["error_description"]) == (False, shown["reason"])


async def test_the_same_key_gives_the_same_recording_and_keeps_one_file(whole: Whole) -> None:
    headers = {"Idempotency-Key": "night 7"}
    first = await whole.json(
        "POST", "/v1/recordings?wait=60", data=whole.recording(), headers=headers
    )
    again = await whole.json("POST", "/v1/recordings", data=whole.recording(), headers=headers)
    assert again == first
    assert list((whole.folder / "recordings" / "uploads").iterdir()) == []


async def test_the_seeds_clients_get_their_answer(whole: Whole) -> None:
    form = whole.recording("file")
    form.add_field("do_dialogue", "true")
    answer = await whole.json("POST", "/post_file", data=form)
    assert answer["success"] is True
    assert set(answer["raw_data"]) == {"channel_1", "channel_2"}
    sentences = answer["sentenced_data"]["list_of_sentenced_recognitions"]
    assert [each["speaker"] for each in sentences] == ["channel_1", "channel_2"]


async def test_a_call_of_the_seeds_socket_is_history(whole: Whole) -> None:
    async with whole.client.ws_connect("/ws") as socket:
        await socket.send_bytes(phrase((1.0, 1.0)).tobytes())
        await socket.send_str("eof")
        text = "".join(
            answer["data"]["text"]
            for answer in [json.loads(message.data) async for message in socket]
            if answer["data"]
        )
    await whole.store.add_events(whole.events)
    (call,) = (await whole.json("GET", "/v1/calls", params={"text": text}))["items"]
    assert call["door"] == "rest"
    kept = await whole.json("GET", f"/v1/calls/{call['call_id']}")
    assert "".join(final["text"] for final in kept["finals"]) == text
    async with whole.client.get(f"/v1/calls/{call['call_id']}/events") as response:
        assert "event: CallEnded" in await response.text()
