"""The door before the real store, the real jobs and a scripted engine."""

import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from ruasr_tel.testing import phrase
from tests.adapters.rest.whole import Whole, whole_server
from tests.core.recordings.sounds import write_silent_flac


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


@pytest.mark.slow
async def test_three_hours_of_silence_are_done_and_say_nothing(whole: Whole) -> None:
    path = write_silent_flac(whole.folder / "x.flac", 1, 10_800)
    form = aiohttp.FormData()
    form.add_field("upload", io.BytesIO(path.read_bytes()), filename="silence.flac")
    patience = aiohttp.ClientTimeout(total=300)  # 337,500 frames for the detector: 30 s, and more
    address = "/v1/recordings?wait=300"
    shown = await whole.json("POST", address, data=form, timeout=patience)
    assert (shown["state"], shown["reason"]) == ("done", None)
    assert (shown["result"]["turns"], shown["result"]["duration_s"]) == ([], 10_800.0)


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
