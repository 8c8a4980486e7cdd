import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ruasr_tel.events import CallStarted, Final
from ruasr_tel.testing import phrase, tone
from ruasr_tel.types import CallId, LegId
from ruasr_tel_adapters.rest import RestConfig
from tests.adapters.rest.fakes import Rest, listening

ID = "0b2c6e5a-8f0d-4c1e-9b1a-1f2e3d4c5b6a"


async def test_a_running_call_is_shown_with_what_was_said_and_how_loud_it_is(rest: Rest) -> None:
    call = rest.calls.open(door="vosk_ws", call_id=CallId("c1"), peer="127.0.0.1:5")
    leg = call.open_leg(8000)
    leg.push(tone(0.5, level=32767))
    (shown,) = (await rest.json("GET", "/v1/calls/live"))["items"]
    assert (shown["call_id"], shown["door"], shown["profile"]) == ("c1", "vosk_ws", "default")
    assert datetime.fromisoformat(shown["since"]).tzinfo == UTC
    (party,) = shown["legs"]
    assert (party["leg_id"], party["channel"], party["clock_s"]) == ("c1/0", 0, 0.5)
    assert abs(party["level_db"] + 3.01) < 0.1  # a full-scale sine
    await call.end("eof")
    assert await rest.json("GET", "/v1/calls/live") == {"items": []}


async def test_what_is_announced_of_a_call_comes_with_it(rest: Rest) -> None:
    said = {"caller": "+7495", "leg": "agent", "profile": "yesno", "queue": {"name": "x"}}
    shown = await rest.json("PUT", f"/v1/calls/{ID.upper()}", json=said)
    details = {"caller": "+7495", "leg": "agent", "queue": {"name": "x"}}
    assert shown == {"call_id": ID, "profile": "yesno", "details": details}
    call = rest.calls.open(door="audiosocket", call_id=CallId(ID), peer="")
    (running,) = (await rest.json("GET", "/v1/calls/live"))["items"]
    assert (running["profile"], running["details"]) == ("yesno", details)
    problem = await rest.json("PUT", f"/v1/calls/{ID}", 409, json=said)
    assert problem["detail"] == f"call {ID} is running already"
    await call.end("eof")


async def test_a_uuid_is_found_in_capitals_too(rest: Rest) -> None:
    call = rest.calls.open(door="audiosocket", call_id=CallId(ID), peer="")
    rest.hub.publish(final(ID, "алло"))
    assert await text_of(rest, ID.upper()) == "алло"
    await call.end("eof")
    async with rest.client.get(f"/v1/calls/{ID.upper()}/events") as response:
        assert "event: CallEnded" in await response.text()
    for name in ("old", "OLD"):  # no UUID: its own name alone
        status = 200 if name == "old" else 404
        await rest.json("GET", f"/v1/calls/{name}", status)


async def test_a_call_that_has_a_uuid_in_capitals_is_found_by_it(rest: Rest) -> None:
    call = rest.calls.open(door="vosk_ws", call_id=CallId(ID.upper()), peer="")
    rest.hub.publish(final(ID.upper(), "алло"))
    assert await text_of(rest, ID.upper()) == "алло"
    await call.end("eof")


async def test_a_bad_announcement_names_its_field(rest: Rest) -> None:
    problem = await rest.json("PUT", "/v1/calls/7", 422, json={})
    assert problem["errors"] == [{"field": "call_id", "message": "not a UUID"}]
    problem = await rest.json("PUT", f"/v1/calls/{ID}", 422, json={"profile": "x"})
    assert problem["errors"][0]["field"] == "profile"
    problem = await rest.json("PUT", f"/v1/calls/{ID}", 422, json={"any": ["\0"]})
    assert problem["detail"] == "holds the character U+0000"
    await rest.json("PUT", f"/v1/calls/{ID}", 422, json={"callback_url": "file:///etc/passwd"})


async def test_a_call_is_announced_by_a_form_of_a_dialplan(rest: Rest) -> None:
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    said = b"profile=yesno&caller=%2B7495&queue=%D0%B4%D0%B0&leg="
    shown = await rest.json("POST", f"/v1/calls/{ID}", data=said, headers=kind)
    assert shown == {
        "call_id": ID,
        "profile": "yesno",
        "details": {"caller": "+7495", "queue": "да"},
    }
    call = rest.calls.open(door="audiosocket", call_id=CallId(ID), peer="")
    assert call.profile is rest.calls.profile("yesno")
    await call.end("eof")
    problem = await rest.json("POST", f"/v1/calls/{ID}", 422, data=b"profile=x", headers=kind)
    assert problem["errors"][0]["field"] == "profile"
    for bad in (b"caller=\xff", b"caller=%FF", b"a=1&" * 101):
        problem = await rest.json("POST", f"/v1/calls/{ID}", 422, data=bad, headers=kind)
        assert problem["detail"] == "no form of at most 100 fields in UTF-8"
    await rest.json("POST", f"/v1/calls/{ID}", 415, json={})


async def test_the_events_of_a_call_come_as_they_happen_and_are_resumed(rest: Rest) -> None:
    address = "/v1/calls/c1/events"
    async with rest.client.get(address) as response:
        await response.content.readuntil(b"\n\n")
        call = rest.calls.open(door="vosk_ws", call_id=CallId("c1"), peer="p")
        await call.end("eof")
        text = (await response.content.read()).decode()
    first, second, end = text.strip().split("\n\n")
    assert end == "event: end\ndata: {}"
    number, kind, data = first.split("\n")
    assert kind == "event: CallStarted"
    started = json.loads(data.removeprefix("data: "))
    assert (started["event"], started["call_id"], started["peer"]) == ("CallStarted", "c1", "p")
    assert second.split("\n")[1] == "event: CallEnded"

    seen = {"Last-Event-ID": number.removeprefix("id: ")}
    async with rest.client.get(address, headers=seen) as response:
        assert (await response.text()).split("\n\n")[1:-1] == [second, end]
    seen = {"Last-Event-ID": second.split("\n")[0].removeprefix("id: ")}
    async with rest.client.get(address, headers=seen) as response:
        assert response.status == 204
    async with rest.client.get(address, headers={"Last-Event-ID": "other-1"}) as response:
        assert (await response.text()).split("\n\n")[1:] == [first, second, end, ""]


async def test_the_events_of_all_calls_come_from_now_on(rest: Rest) -> None:
    await rest.calls.open(door="vosk_ws", call_id=CallId("before"), peer="").end("eof")
    async with rest.client.get("/v1/events") as response:
        await response.content.readuntil(b"\n\n")
        call = rest.calls.open(door="vosk_ws", call_id=CallId("now"), peer="")
        block = (await response.content.readuntil(b"\n\n")).decode()
        assert '"call_id": "now"' in block
        await call.end("eof")
        closing = asyncio.create_task(rest.door.close())
        rest_of_it = (await response.content.read()).decode()
        await closing
    assert "event: end" not in rest_of_it  # the client is to come back


async def test_a_text_that_is_no_utf_8_ends_no_stream(rest: Rest) -> None:
    async with rest.client.get("/v1/events") as response:
        await response.content.readuntil(b"still here\n\n")
        rest.hub.publish(CallStarted(CallId("c\ud800"), datetime.now(UTC), "d", "p", "default"))
        await response.content.readuntil(b"data: ")
        event = json.loads(await response.content.readline())
        assert event["call_id"] == "c\ud800"


async def test_a_quiet_stream_has_a_pulse_and_streams_are_limited(tmp_path: Path) -> None:
    config = RestConfig(keep_alive_s=0.05, max_streams=1)
    async with listening(tmp_path, config) as rest, rest.client.get("/v1/events") as response:
        for _ in range(3):
            assert await response.content.readuntil(b"\n\n") == b": still here\n\n"
        problem = await rest.json("GET", "/v1/events", 503)
        assert problem["detail"] == "1 event streams are open (doors.rest.max_streams)"


async def test_history_is_listed_and_looked_at(rest: Rest) -> None:
    page = await rest.json("GET", "/v1/calls?text=алло&limit=7")
    assert [each["call_id"] for each in page["items"]] == ["old"]
    assert rest.store.asked == [{"since": None, "limit": 7, "cursor": None, "text": "алло"}]
    assert (await rest.json("GET", "/v1/calls/old"))["call"]["door"] == "vosk_ws"
    assert (await rest.json("GET", "/v1/calls/new", 404))["detail"] == "no call new is known"
    await rest.json("GET", "/v1/calls/a%00b", 404)
    await rest.json("GET", "/v1/calls?cursor=x", 422)


def final(call_id: str, text: str, start_s: float = 0.5, side: int = 0) -> Final:
    at, leg = datetime(2026, 1, 2, tzinfo=UTC), LegId(f"{call_id}/{side}")
    number = round(start_s * 2)
    return Final(CallId(call_id), leg, at, number, text, (), start_s, start_s + 1, "endpoint")


async def text_of(rest: Rest, call_id: str, **headers: str) -> str:
    address = f"/v1/calls/{call_id}" + ("" if headers else "?format=text")
    async with rest.client.get(address, headers=headers) as response:
        assert (response.status, response.content_type, response.charset) == (
            (200, "text/plain", "utf-8")
        )
        return await response.text()


async def test_what_was_said_so_far_is_text_before_the_database_has_it(rest: Rest) -> None:
    call = rest.calls.open(door="audiosocket", call_id=CallId("c1"), peer="")
    assert await text_of(rest, "c1") == ""
    rest.hub.publish(final("c1", "добрый день"))
    rest.hub.publish(final("c1", "алло", 3.0))
    assert await text_of(rest, "c1") == "добрый день алло"
    assert await text_of(rest, "c1", Accept="text/plain") == "добрый день алло"
    rest.hub.publish(final("c1", "слушаю", 2.0, side=1))
    assert await text_of(rest, "c1") == "0: добрый день\n1: слушаю\n0: алло"
    await call.end("eof")
    assert await text_of(rest, "c1") == "0: добрый день\n1: слушаю\n0: алло"


async def test_the_text_of_a_call_that_is_ending_has_its_last_words(
    rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = rest.calls.open(door="audiosocket", call_id=CallId("c1"), peer="")
    leg = call.open_leg(8000)
    asked, flush, settle = asyncio.Event(), leg.flush, rest.calls.settle

    async def late() -> None:
        await asked.wait()
        await flush()

    async def settling(call_id: CallId, timeout_s: float) -> None:
        asked.set()
        await settle(call_id, timeout_s)

    monkeypatch.setattr(leg, "flush", late)
    monkeypatch.setattr(rest.calls, "settle", settling)
    leg.push(phrase((1.0, 0.0)))  # handed back in mid-word
    ending = asyncio.create_task(call.end("after 1 s"))
    text = await text_of(rest, "c1")
    asked.set()  # at the latest
    await ending
    assert text == await text_of(rest, "c1")
    assert text.startswith("слово")


async def test_a_call_that_has_the_id_of_an_older_one_begins_anew(rest: Rest) -> None:
    await rest.calls.open(door="audiosocket", call_id=CallId("old"), peer="").end("eof")
    rest.store.finals = (final("old", "раньше"),)
    rest.hub.publish(final("old", "раньше"))
    call = rest.calls.open(door="audiosocket", call_id=CallId("old"), peer="")
    rest.hub.publish(final("old", "теперь"))
    assert await text_of(rest, "old") == "теперь"
    await call.end("eof")


async def test_the_text_of_a_call_long_gone_comes_from_history(rest: Rest) -> None:
    rest.store.finals = (final("old", "алло", 1.0), final("old", "да", 2.0))
    assert await text_of(rest, "old") == "алло да"
    rest.hub.publish(final("old", "да", 2.0))  # its beginning is not in memory any more
    rest.hub.publish(final("old", "спасибо", 4.0))
    assert await text_of(rest, "old") == "алло да спасибо"
    problem = await rest.json("GET", "/v1/calls/new?format=text", 404)
    assert problem["detail"] == "no call new is known"


async def test_a_call_is_json_or_text(rest: Rest) -> None:
    assert (await rest.json("GET", "/v1/calls/old?format=json", headers={"Accept": "text/plain"}))[
        "call"
    ]["call_id"] == "old"
    await rest.json("GET", "/v1/calls/old?format=srt", 422)
    await rest.json("GET", "/v1/calls/old", 406, headers={"Accept": "text/vtt"})
    document = await rest.json("GET", "/openapi.json")
    described = document["paths"]["/v1/calls/{call_id}"]["get"]
    assert described["responses"]["200"]["content"]["text/plain"] == {"schema": {"type": "string"}}
    asked, keys = (each for each in described["parameters"] if each["in"] == "query")
    assert (asked["name"], asked["schema"]["enum"]) == ("format", ["text", "json"])
    assert keys["name"] == "keys"


async def test_the_text_of_a_call_has_its_keys_unless_they_are_not_wanted(rest: Rest) -> None:
    call = rest.calls.open(door="audiosocket", call_id=CallId("k"), peer="")
    leg = call.open_leg(8000)
    for digit in "12#":
        call.dtmf(leg, digit)
    assert await text_of(rest, "k") == "[12#]"
    async with rest.client.get("/v1/calls/k?format=text&keys=false") as response:
        assert await response.text() == ""
    await call.end("eof")
    assert await text_of(rest, "k") == "[12#]"


async def test_the_events_of_a_call_long_gone_are_not_promised(rest: Rest) -> None:
    problem = await rest.json("GET", "/v1/calls/old/events", 410)
    assert problem["detail"] == "the events of old are not kept; /v1/calls/old has its text"


async def test_history_that_is_switched_off_says_so(tmp_path: Path) -> None:
    async with listening(tmp_path, store=False) as rest:
        problem = await rest.json("GET", "/v1/calls", 503)
        assert problem["detail"] == "history is switched off (store.enabled)"
        await rest.json("GET", "/v1/calls/c1?format=text", 503)
        call = rest.calls.open(door="audiosocket", call_id=CallId("c1"), peer="")
        rest.hub.publish(final("c1", "алло"))
        assert await text_of(rest, "c1") == "алло"
        await call.end("eof")
