from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ruasr_tel.errors import Overloaded
from ruasr_tel.recordings.model import Channels
from ruasr_tel.recordings.seed import seed_failure, seed_response
from tests.adapters.rest.fakes import DIALOGUE, Rest, listening

URL = "https://pbx.example/rec/1.wav"


async def post(rest: Rest, *, prefer: str = "", **request: Any) -> tuple[int, dict[str, Any]]:
    headers = {"Prefer": prefer} if prefer else {}
    path = "/post_one_step_req" if "json" in request else "/post_file"
    async with rest.client.post(path, headers=headers, **request) as response:
        return response.status, await response.json()


async def test_a_url_is_recognised_while_the_client_waits(rest: Rest) -> None:
    rest.recordings.at_once = DIALOGUE
    assert await post(rest, json={"AudioFileUrl": URL}) == (200, seed_response(DIALOGUE))
    (order,) = rest.recordings.orders
    assert (order.url, order.name, order.channels) == (URL, "1.wav", Channels.SPLIT)


async def test_a_url_with_a_space_is_taken(rest: Rest) -> None:
    rest.recordings.at_once = DIALOGUE
    url = "https://pbx.example/rec/звонок 1.wav"
    assert await post(rest, json={"AudioFileUrl": url}) == (200, seed_response(DIALOGUE))
    (order,) = rest.recordings.orders
    assert (order.url, order.name) == (url, "звонок 1.wav")


async def test_the_options_do_what_they_did(rest: Rest) -> None:
    rest.recordings.at_once = DIALOGUE
    asked = {
        "AudioFileUrl": URL,
        "do_dialogue": True,
        "keep_raw": False,
        "do_echo_clearing": False,
        "make_mono": True,
        "do_punctuation": None,
        "use_batch": True,
    }
    expected = seed_response(DIALOGUE, do_dialogue=True, keep_raw=False, do_echo_clearing=False)
    assert await post(rest, json=asked) == (200, expected)
    assert rest.recordings.orders[0].channels is Channels.MIX
    assert expected != seed_response(DIALOGUE, do_dialogue=True, keep_raw=False)


async def test_a_file_is_recognised_while_the_client_waits(rest: Rest) -> None:
    rest.recordings.at_once = DIALOGUE
    form = aiohttp.FormData({"do_dialogue": "true", "do_punctuation": "", "make_mono": "0"})
    form.add_field("file", b"RIFF", filename="a.wav")
    expected = seed_response(DIALOGUE, do_dialogue=True, do_echo_clearing=False)
    assert await post(rest, data=form) == (200, expected)
    (order,) = rest.recordings.orders
    assert order.upload is not None
    assert order.upload.read_bytes() == b"RIFF"


@pytest.mark.parametrize(
    ("request_", "status", "reason"),
    [
        ({"json": {}}, 422, "AudioFileUrl: Field required"),
        ({"json": {"AudioFileUrl": "file:///etc/passwd"}}, 422, "AudioFileUrl: String should"),
        ({"data": {"do_dialogue": "true"}}, 415, "the body is application/x-www-form-urlencoded"),
    ],
)
async def test_a_bad_request_fails_in_the_seeds_way_or_with_its_status(
    rest: Rest, request_: dict[str, Any], status: int, reason: str
) -> None:
    got, body = await post(rest, **request_)
    assert (got, body["success"]) == (200, False)
    assert body["error_description"].startswith(reason)
    assert body == seed_failure(body["error_description"])
    assert (await post(rest, prefer="status", **request_))[0] == status


async def test_a_recording_that_failed_and_a_full_server_say_why(rest: Rest) -> None:
    rest.recordings.at_once = "HTTP 404"
    assert await post(rest, json={"AudioFileUrl": URL}) == (200, seed_failure("HTTP 404"))
    rest.recordings.refusal = Overloaded("too many wait")
    asked = {"AudioFileUrl": URL}
    assert await post(rest, json=asked, prefer="status") == (429, seed_failure("too many wait"))


async def test_a_form_without_its_file_and_one_with_bad_fields_leave_nothing(rest: Rest) -> None:
    form = aiohttp.FormData({"make_mono": "perhaps"})
    form.add_field("file", b"RIFF", filename="a.wav")
    _, body = await post(rest, data=form)
    assert body["error_description"].startswith("make_mono: Input should be a valid boolean")
    assert list(rest.recordings.uploads.iterdir()) == []


async def test_recordings_that_are_switched_off_say_so(tmp_path: Path) -> None:
    async with listening(tmp_path, recordings=False) as rest:
        status, body = await post(rest, json={"AudioFileUrl": URL}, prefer="status")
        assert (status, body["success"]) == (503, False)


async def test_the_socket_explains_itself_to_a_post(rest: Rest) -> None:
    for method in ("POST", "GET"):
        async with rest.client.request(method, "/ws") as response:
            assert await response.text() == "A WebSocket: see /asyncapi.\n"
