import asyncio
import io
import json
from pathlib import Path

import aiohttp
import pytest

from ruasr_tel.errors import Overloaded, StoreError
from ruasr_tel.recordings.model import Channels, Order, State
from ruasr_tel.recordings.render import Form, render, to_json
from ruasr_tel_adapters.rest import RestConfig
from tests.adapters.rest.fakes import DIALOGUE, Rest, listening

URL = "https://pbx.example/rec/1.wav?token=x"


async def submitted(rest: Rest, **order: object) -> str:
    id: str = (await rest.json("POST", "/v1/recordings", 202, json={"url": URL, **order}))["id"]
    return id


async def test_a_url_is_accepted_with_everything_that_was_said_of_it(rest: Rest) -> None:
    order = {
        "url": URL,
        "channels": "split",
        "profile": "dictation",
        "model": "Vosk5",
        "phrases": ["Да", " не  знаю ", "[unk]", ""],
        "closed": True,
        "boost": 3,
        "callback_url": "http://crm.example/done",
        "callback_secret": "тайна",
        "idempotency_key": "k1",
        "metadata": {"agent": 7, "тема": ["а", None]},
    }
    async with rest.client.post("/v1/recordings", json=order) as response:
        shown = await response.json()
        assert response.status == 202
        assert response.headers["Location"] == f"/v1/recordings/{shown['id']}"
    assert rest.recordings.orders == [
        Order(
            url=URL,
            name="1.wav",
            channels=Channels.SPLIT,
            profile="dictation",
            model="Vosk5",
            callback_url="http://crm.example/done",
            callback_secret="тайна",
            idempotency_key="k1",
            metadata=order["metadata"],  # type: ignore[arg-type]  # plain JSON
            phrases=("да", "не знаю", "[unk]"),
            closed=True,
            boost=3.0,
        )
    ]
    assert (shown["phrases"], shown["closed"]) == (["да", "не знаю", "[unk]"], True)
    assert (shown["state"], shown["progress"], shown["result"]) == ("queued", 0.0, None)
    assert shown["metadata"] == order["metadata"]
    assert "тайна" not in json.dumps(shown, ensure_ascii=False)


@pytest.mark.parametrize("written", ["да,  не Знаю", '["да", "не знаю"]'])
async def test_a_form_asks_for_phrases_as_text(rest: Rest, written: str) -> None:
    form = aiohttp.FormData({"phrases": written, "closed": "true", "boost": "2"})
    form.add_field("upload", b"RIFF", filename="a.wav")
    await rest.json("POST", "/v1/recordings", 202, data=form)
    (order,) = rest.recordings.orders
    assert (order.phrases, order.closed, order.boost) == (("да", "не знаю"), True, 2.0)


@pytest.mark.parametrize("written", ["[да]", '["да"', '[{"да": 1}]'])
async def test_a_form_with_what_is_no_list_is_refused(rest: Rest, written: str) -> None:
    form = aiohttp.FormData({"phrases": written})
    form.add_field("upload", b"RIFF", filename="a.wav")
    problem = await rest.json("POST", "/v1/recordings", 422, data=form)
    assert problem["errors"][0]["field"].startswith("phrases")
    assert rest.recordings.orders == []


async def test_a_second_order_with_the_same_key_is_the_first_one(rest: Rest) -> None:
    first = await submitted(rest, idempotency_key="k")
    headers = {"Idempotency-Key": "k"}
    async with rest.client.post("/v1/recordings", json={"url": URL}, headers=headers) as response:
        assert (await response.json())["id"] == first
        assert response.headers["Idempotent-Replayed"] == "true"
    assert len(rest.recordings.orders) == 1


@pytest.mark.parametrize("key", ["", "k" * 1001])
async def test_a_key_that_is_too_long_or_none_is_refused(rest: Rest, key: str) -> None:
    body = {"url": URL, "idempotency_key": key}
    problem = await rest.json("POST", "/v1/recordings", 422, json=body)
    assert problem["errors"][0]["field"] == "idempotency_key"
    headers = {"Idempotency-Key": key}
    problem = await rest.json("POST", "/v1/recordings", 422, json={"url": URL}, headers=headers)
    assert problem["errors"][0]["field"] == "Idempotency-Key"
    assert rest.recordings.orders == []


async def test_a_client_that_waits_gets_the_result(rest: Rest) -> None:
    rest.recordings.at_once = DIALOGUE
    shown = await rest.json("POST", "/v1/recordings?wait=30", json={"url": URL})
    assert shown["state"] == "done"
    assert shown["result"] == to_json(DIALOGUE)
    assert rest.recordings.waited == [30]
    async with rest.client.post("/v1/recordings?wait=30&format=text", json={"url": URL}) as answer:
        assert await answer.text() == render(DIALOGUE, Form.TEXT)


async def test_a_client_that_waits_in_vain_gets_what_is_there(tmp_path: Path) -> None:
    async with listening(tmp_path, RestConfig(max_wait_s=0.5)) as rest:
        shown = await rest.json("POST", "/v1/recordings?wait=30", 202, json={"url": URL})
        assert shown["state"] == "queued"
        assert rest.recordings.waited == [0.5]


async def test_a_recording_that_failed_says_why(rest: Rest) -> None:
    rest.recordings.at_once = "HTTP 404"
    shown = await rest.json("POST", "/v1/recordings?wait=30", json={"url": URL})
    assert (shown["state"], shown["reason"]) == ("failed", "HTTP 404")
    problem = await rest.json("GET", f"/v1/recordings/{shown['id']}?format=srt", 409)
    assert problem["detail"] == "the recording is failed: HTTP 404; it has no text"


@pytest.mark.parametrize(
    ("query", "accept", "form"),
    [
        ("", "text/vtt", Form.VTT),
        ("?format=srt", "*/*", Form.SRT),
        ("", "text/html;q=0.1, text/plain", Form.TEXT),
    ],
)
async def test_a_result_comes_in_the_wanted_form(
    rest: Rest, query: str, accept: str, form: Form
) -> None:
    id = await submitted(rest)
    rest.recordings.move(id, State.DONE, result=DIALOGUE)
    address, headers = f"/v1/recordings/{id}{query}", {"Accept": accept}
    async with rest.client.get(address, headers=headers) as response:
        assert response.content_type == form.media_type
        assert await response.text() == render(DIALOGUE, form)


async def test_crosstalk_is_left_out_on_request(rest: Rest) -> None:
    id = await submitted(rest)
    rest.recordings.move(id, State.DONE, result=DIALOGUE)
    address = f"/v1/recordings/{id}?format=text&leave_out_crosstalk=true"
    async with rest.client.get(address) as response:
        text = await response.text()
    assert text == render(DIALOGUE, Form.TEXT, leave_out_crosstalk=True)
    assert text != render(DIALOGUE, Form.TEXT)


async def test_a_form_that_cannot_be_given_is_refused(rest: Rest) -> None:
    id = await submitted(rest)
    headers = {"Accept": "image/png"}
    problem = await rest.json("GET", f"/v1/recordings/{id}", 406, headers=headers)
    assert problem["detail"] == (
        "a result is one of text/plain, application/json, application/x-subrip, text/vtt"
    )


@pytest.mark.parametrize(
    ("order", "field", "message"),
    [
        ({}, "url", "Field required"),
        ({"url": "ftp://a/b"}, "url", "String should match pattern"),
        ({"url": "http://"}, "url", "String should match pattern"),
        ({"url": "http://a:99999/"}, "url", "Input should be a valid URL, invalid port number"),
        ({"url": URL, "profile": "x"}, "profile", "there is no profile 'x'"),
        ({"url": URL, "model": "x"}, "model", "this server has no model 'x'"),
        ({"url": URL, "metadata": {"a": "\0"}}, "metadata", "Value error, holds the character U+"),
        (
            {"url": URL, "metadata": {"a": "x" * 70_000}},
            "metadata",
            "Value error, 70009 characters",
        ),
        ({"url": URL, "profile": "\0"}, "profile", "String should match pattern"),
        ({"url": URL, "phrases": "да"}, "phrases", "Input should be a valid array"),
        ({"url": URL, "phrases": ["\0"]}, "phrases.0", "String should match pattern"),
        ({"url": URL, "phrases": ["а" * 201]}, "phrases.0", "String should have at most 200 char"),
        ({"url": URL, "phrases": ["а"] * 10_001}, "phrases", "Tuple should have at most 10000 i"),
        ({"url": URL, "closed": "yes, please"}, "closed", "Input should be a valid boolean"),
        ({"url": URL, "boost": -1}, "boost", "Input should be greater than or equal to 0"),
        ({"url": URL, "channels": "both"}, "channels", "Input should be 'auto', 'mix' or 'split'"),
        ({"url": URL, "uri": 1}, "uri", "Extra inputs are not permitted"),
    ],
)
async def test_a_field_that_does_not_fit_is_named(
    rest: Rest, order: dict[str, object], field: str, message: str
) -> None:
    problem = await rest.json("POST", "/v1/recordings", 422, json=order)
    assert [each["field"] for each in problem["errors"]] == [field]
    assert problem["errors"][0]["message"].startswith(message)
    assert rest.recordings.orders == []


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"url": "\\ud800"}', b'{"metadata": {"a": NaN}}', b"[" * 100_000]
)
async def test_a_body_that_is_no_order_is_refused(rest: Rest, body: bytes) -> None:
    headers = {"Content-Type": "application/json"}
    await rest.json("POST", "/v1/recordings", 422, data=body, headers=headers)


async def test_a_body_of_another_type_and_one_that_is_too_long_are_refused(rest: Rest) -> None:
    problem = await rest.json("POST", "/v1/recordings", 415, data={"url": URL})
    assert problem["detail"] == (
        "the body is application/x-www-form-urlencoded, "
        "expected application/json or multipart/form-data"
    )
    headers = {"Content-Type": "application/json"}
    body = io.BytesIO(json.dumps({"url": URL, "name": "x" * 2**20}).encode())
    await rest.json("POST", "/v1/recordings", 413, data=body, headers=headers)


async def test_too_many_orders_and_a_broken_database_have_their_statuses(rest: Rest) -> None:
    rest.recordings.refusal = Overloaded("10 recordings wait")
    problem = await rest.json("POST", "/v1/recordings", 429, json={"url": URL})
    assert (problem["title"], problem["detail"]) == ("Too Many Requests", "10 recordings wait")
    rest.recordings.refusal = StoreError("cannot reach postgresql://secret")
    problem = await rest.json("POST", "/v1/recordings", 503, json={"url": URL})
    assert problem["detail"] == "the database does not work now; try again later"


async def test_recordings_that_are_switched_off_say_so(tmp_path: Path) -> None:
    async with listening(tmp_path, recordings=False) as rest:
        problem = await rest.json("POST", "/v1/recordings", 503, json={"url": URL})
        assert problem["detail"] == "recordings are switched off (recordings.enabled)"


async def test_an_upload_becomes_a_file_in_the_folder_of_uploads(rest: Rest) -> None:
    form = aiohttp.FormData()
    form.add_field("channels", "mix")
    form.add_field("upload", b"RIFF" * 1000, filename="../../dir/звонок 1.WAV")
    form.add_field("metadata", '{"agent": 7}')
    await rest.json("POST", "/v1/recordings", 202, data=form)
    (order,) = rest.recordings.orders
    assert order.upload is not None
    assert order.upload.parent == rest.recordings.uploads
    assert order.upload.suffix == ".wav"
    assert order.upload.read_bytes() == b"RIFF" * 1000
    assert (order.name, order.channels) == ("звонок 1.WAV", Channels.MIX)
    assert order.metadata == {"agent": 7}


async def test_an_upload_that_is_not_accepted_leaves_no_file(rest: Rest) -> None:
    for fields, status in (({"profile": "x"}, 422), ({"metadata": "{" * 99_999}, 422)):
        form = aiohttp.FormData(fields)
        form.add_field("upload", b"RIFF", filename="a.wav")
        await rest.json("POST", "/v1/recordings", status, data=form)
    rest.recordings.refusal = Overloaded("10 recordings wait")
    form = aiohttp.FormData({"channels": "mix"})
    form.add_field("upload", b"RIFF", filename="a.wav")
    await rest.json("POST", "/v1/recordings", 429, data=form)
    assert list(rest.recordings.uploads.iterdir()) == []


async def test_recordings_are_listed_page_by_page_without_results(rest: Rest) -> None:
    ids = [await submitted(rest), await submitted(rest)]
    rest.recordings.move(ids[0], State.DONE, result=DIALOGUE)
    page = await rest.json("GET", "/v1/recordings?state=done&since=2026-01-01T00:00:00Z")
    assert [each["id"] for each in page["items"]] == [ids[0]]
    assert page["items"][0]["result"] is None
    assert page["next_cursor"] == "next"
    for query in ("cursor=x", "limit=0", "since=yesterday", "since=2026-01-01T00:00:00", "x=1"):
        problem = await rest.json("GET", f"/v1/recordings?{query}", 422)
        assert problem["errors"][0]["field"] == query.partition("=")[0]


async def test_a_moment_at_the_end_of_time_is_no_fault_of_the_server(rest: Rest) -> None:
    since = "9999-12-31T23:59:59-12:00"
    problem = await rest.json("GET", "/v1/recordings", 422, params={"since": since})
    assert problem["detail"] == "since: Value error, too close to the end of time"


async def test_a_recording_is_cancelled_once_and_stays_so(rest: Rest) -> None:
    id = await submitted(rest)
    for _ in range(2):
        assert (await rest.json("DELETE", f"/v1/recordings/{id}"))["state"] == "cancelled"
    done = await submitted(rest)
    rest.recordings.move(done, State.DONE, result=DIALOGUE)
    problem = await rest.json("DELETE", f"/v1/recordings/{done}", 409)
    assert problem["detail"] == "the recording is done already"


async def test_a_recording_that_is_not_there_is_not_found(rest: Rest) -> None:
    unknown = "00000000-0000-4000-8000-000000000000"
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/events"), ("GET", "/audio")):
        problem = await rest.json(method, f"/v1/recordings/{unknown}{path}", 404)
        assert problem["detail"] == f"there is no recording {unknown}"
    problem = await rest.json("GET", "/v1/recordings/7", 422)
    assert problem["errors"] == [{"field": "id", "message": "not a UUID"}]


async def test_a_recording_is_followed_to_its_end_and_not_beyond(rest: Rest) -> None:
    id = await submitted(rest)
    async with rest.client.get(f"/v1/recordings/{id}/events") as response:
        assert response.content_type == "text/event-stream"
        await response.content.readuntil(b'"queued", "progress": 0.0}\n\n')
        rest.recordings.move(id, State.DONE)
        rest_of_it = (await response.content.read()).decode()
    assert rest_of_it == (
        'id: r-1\nevent: state\ndata: {"event": "state", "state": "done", "progress": 0.0}\n\n'
        "event: end\ndata: {}\n\n"
    )


async def test_no_wait_outlives_the_server(rest: Rest) -> None:
    waiting = asyncio.create_task(
        rest.json("POST", "/v1/recordings?wait=30", 503, json={"url": URL})
    )
    await rest.recordings.somebody_waits.wait()
    await rest.door.close()
    assert (await waiting)["detail"] == "the server is stopping and takes no new work"
