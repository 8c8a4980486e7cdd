"""Conversations over a real socket with the real core around a scripted engine."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from ruasr_tel.audio.codec import Encoding, encode
from ruasr_tel.call import Announcement, Call, Calls, CallsConfig
from ruasr_tel.events import CallEnded, CallStarted, Dtmf, Partial
from ruasr_tel.events import Final as FinalEvent
from ruasr_tel.hub import Hub
from ruasr_tel.metrics import Metrics
from ruasr_tel.plugins import Server
from ruasr_tel.testing import (
    TIMEOUT_S,
    Recorder,
    phrase,
    running_calls,
    scripted_host,
    silence,
    tone,
)
from ruasr_tel.types import CallId
from ruasr_tel_adapters.aeap import AeapConfig, create
from ruasr_tel_adapters.aeap.wire import CODECS

SPOKEN = encode(phrase((1.0, 1.0)), Encoding.SLIN)


class Peer:
    """Asterisk's side, by hand."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self._count = 0

    async def ask(self, request: str, **body: object) -> dict[str, Any]:
        """Send a request; return its answer, checked for name and id."""
        self._count += 1
        head = {"request": request, "id": f"p-{self._count}"}
        await self.socket.send(json.dumps(head | body))
        reply = await self.hear()
        assert (reply.pop("response"), reply.pop("id")) == (request, f"p-{self._count}")
        return reply

    async def hear(self) -> dict[str, Any]:
        heard = json.loads(await self.socket.recv())
        assert isinstance(heard, dict)
        return heard

    async def set_up(self, *names: str, **params: str) -> dict[str, Any]:
        listed = [{"name": name} for name in names or ("slin",)]
        return await self.ask("setup", version="0.1.0", codecs=listed, params=params)


class Bench:
    """A door in front of a core."""

    def __init__(self, calls: Calls, events: Recorder, config: AeapConfig) -> None:
        self.calls = calls
        self.events = events
        self.metrics = Metrics()
        self.door = create(config, Server(calls, Hub(), self.metrics))

    @asynccontextmanager
    async def peer(self) -> AsyncIterator[Peer]:
        names = [Subprotocol("speech_to_text")]
        async with connect(self.door.url, subprotocols=names, compression=None) as socket:
            yield Peer(socket)

    def bad(self, kind: str) -> float | None:
        return self.metrics.registry.get_sample_value(
            "ruasr_bad_messages_total", {"door": "aeap", "kind": kind}
        )


@asynccontextmanager
async def bench(
    max_calls: int = 10, confidence: bool = False, **settings: Any
) -> AsyncIterator[Bench]:
    events = Recorder()
    host = scripted_host(confidence=confidence)
    config = CallsConfig(max_calls=max_calls)
    async with running_calls(host, config=config, publish=events) as calls:
        made = Bench(calls, events, AeapConfig(**({"port": 0} | settings)))
        await made.door.start()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                yield made
        finally:
            await made.door.close()


@pytest.mark.parametrize("codec", CODECS)
async def test_a_call_with_its_result(codec: str) -> None:
    async with bench(confidence=True) as own, own.peer() as peer:
        assert await peer.set_up(codec, "slin") == {"codecs": [{"name": codec}]}
        await peer.socket.send(encode(phrase((1.0, 1.0)), CODECS[codec]))
        pushed = await peer.hear()
        (result,) = pushed["params"]["results"]
        (final,) = await own.events.until(FinalEvent)
        assert final.confidence is not None
        expected = {"text": final.text, "grammar": "", "best": 0}
        assert result == expected | {"score": round(100 * final.confidence)}
        assert (pushed["request"], pushed["id"]) == ("set", "ruasr-1")
        await peer.socket.close()
        (ended,) = await own.events.until(CallEnded)
        assert ended.reason == "hangup"
        (ledger,) = ended.ledgers.values()
        assert (ledger.received, ledger.difference) == (16000, 0)


async def test_the_first_codec_that_is_served_is_chosen() -> None:
    async with bench() as own, own.peer() as peer:
        assert await peer.set_up("g729", "alaw", "slin") == {"codecs": [{"name": "alaw"}]}


async def test_no_common_codec_is_an_error_and_setup_may_come_again() -> None:
    async with bench() as own, own.peer() as peer:
        refused = await peer.set_up("opus", "g722")
        assert refused == {
            "error_msg": "no codec of opus, g722 is served; "
            "set codecs=!all,slin,ulaw,alaw in aeap.conf"
        }
        assert own.bad("setup") == 1
        assert "codecs" in await peer.set_up("slin")
        assert (await peer.set_up("slin"))["error_msg"] == "a second setup"


async def test_settings_choose_the_profile_and_the_id_and_others_are_ignored() -> None:
    async with bench() as own, own.peer() as peer:
        await peer.set_up(profile="yesno", language="ru-RU", enable_audio_logging="1")
        assert await peer.ask("set", params={"call_id": "abc"}) == {}
        assert await peer.ask("set", params={"results_type": "NBest"}) == {}
        await peer.socket.send(SPOKEN)
        (started,) = await own.events.until(CallStarted)
        assert (started.call_id, started.profile, started.door) == ("abc", "yesno", "aeap")
        await peer.hear()
        late = await peer.ask("set", params={"profile": "digits"})
        assert late == {"error_msg": "settings must come before the first audio"}
        known = await peer.ask("get", params=["profile"])
        assert known == {"params": {"profile": "yesno"}}


async def test_an_announced_profile_goes_before_the_doors_and_after_the_settings() -> None:
    async with bench(profile="dialogue") as own:
        for call_id, params in (("told", {}), ("said", {"profile": "digits"}), ("other", {})):
            if call_id != "other":
                own.calls.announce(CallId(call_id), Announcement("yesno"))
            async with own.peer() as peer:
                await peer.set_up(call_id=call_id, **params)
                await peer.socket.send(SPOKEN)
                await peer.hear()
                known = await peer.ask("get", params=["profile"])
                started = own.events.of(CallStarted)[-1]
                assert known == {"params": {"profile": started.profile}}
        heard = {each.call_id: each.profile for each in own.events.of(CallStarted)}
        assert heard == {"told": "yesno", "said": "digits", "other": "dialogue"}


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"profile": "sing"}, "profile: there is no profile 'sing'; known profiles: "),
        ({"language": "en-US"}, "language: 'en-US' is not served; "),
        ({"model": "none"}, "model: this server has no model 'none'; it has "),
    ],
)
async def test_what_cannot_be_chosen_is_refused(params: dict[str, str], error: str) -> None:
    async with bench() as own, own.peer() as peer:
        refused = await peer.set_up(**params)
        assert refused["error_msg"].startswith(error)
        assert own.bad("setup") == 1


async def test_the_model_is_the_peers_choice_among_those_that_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with bench() as own, own.peer() as peer:
        (name,) = own.calls._recognisers
        asked: list[str | None] = []
        opened = own.calls.open

        def opening(**how: Any) -> Call:
            asked.append(how["model"])
            return opened(**how)

        monkeypatch.setattr(own.calls, "open", opening)
        await peer.set_up(model=name)
        known = await peer.ask("get", params=["model"])
        assert known == {"params": {"model": name}}
        refused = await peer.ask("set", params={"model": "none"})
        assert refused["error_msg"].startswith("model: this server has no model 'none'")
        await peer.socket.send(SPOKEN)
        await peer.hear()
        assert asked == [name]


async def test_a_full_server_says_so_in_the_answer_to_setup() -> None:
    async with bench(max_calls=1) as own, own.peer() as first, own.peer() as second:
        await first.set_up()
        await second.set_up()
        await first.socket.send(SPOKEN)
        await own.events.until(CallStarted)
        async with own.peer() as third:
            refused = await third.set_up()
            assert refused["error_msg"] == "1 calls are running, the limit (calls.max_calls)"
        await second.socket.send(SPOKEN)  # it was free when this one set up
        with pytest.raises(ConnectionClosed, match="1013"):
            await second.hear()


async def test_digits_are_events_of_the_call() -> None:
    async with bench() as own, own.peer() as peer:
        await peer.set_up()
        assert await peer.ask("set", params={"dtmf": "1*d"}) == {}
        digits = await own.events.until(Dtmf, 3)
        assert [each.digit for each in digits] == ["1", "*", "D"]
        wrong = await peer.ask("set", params={"dtmf": "1x"})
        assert wrong["error_msg"] == "dtmf: '1x' has other characters than 0-9 * # A-D"


async def test_a_partial_that_was_asked_for_is_the_answer_and_its_final_answers_nothing_else() -> (
    None
):
    async with bench() as own, own.peer() as peer:
        await peer.set_up()
        assert await peer.ask("get", params=["results"]) == {"params": {"results": []}}
        results: list[dict[str, object]] = []
        while not results:  # a partial needs two decodes that agree, of ever more audio
            await peer.socket.send(encode(tone(0.1), Encoding.SLIN))
            results = (await peer.ask("get", params=["results"]))["params"]["results"]
        assert results[0]["text"] in [partial.text for partial in own.events.of(Partial)]
        await peer.socket.send(encode(silence(1.0), Encoding.SLIN))
        await own.events.until(FinalEvent)
        assert await peer.ask("get", params=["results"]) == {"params": {"results": []}}
        await peer.socket.send(SPOKEN)
        pushed = await peer.hear()
        said = own.events.of(FinalEvent)[-1]
        assert [each["text"] for each in pushed["params"]["results"]] == [said.text]
        assert pushed["id"] == "ruasr-1"


async def test_a_final_is_kept_until_it_is_taken() -> None:
    async with bench() as own, own.peer() as peer:
        await peer.set_up()
        await peer.socket.send(SPOKEN)
        pushed = await peer.hear()
        asked = await peer.ask("get", params=["results"])
        assert asked["params"] == pushed["params"]
        await peer.socket.send(json.dumps({"response": "set", "id": pushed["id"]}))
        taken = await peer.ask("get", params=["results"])
        assert taken == {"params": {"results": []}}


async def test_unknown_requests_are_answered() -> None:
    async with bench() as own, own.peer() as peer:
        assert await peer.ask("dance") == {"error_msg": "unsupported request 'dance'"}
        assert own.bad("unknown request") == 1
        await peer.set_up()
        nothing = await peer.ask("get", params=["weather"])
        names = "results, language, profile, model, call_id, sample_rate, phrases"
        assert nothing == {"error_msg": f"get one of {names}"}


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (b"\0\0", "audio or digits before the setup"),
        ("[1]", r"JSON that is not an object: '\[1\]'"),
        ("{", "text that is not JSON: '{'"),
    ],
)
async def test_what_is_against_the_protocol_ends_that_connection_alone(
    message: str | bytes, reason: str
) -> None:
    async with bench() as own, own.peer() as other, own.peer() as peer:
        await peer.socket.send(message)
        with pytest.raises(ConnectionClosed, match=f"1002.*{reason}"):
            await peer.hear()
        assert own.bad("protocol") == 1
        assert "codecs" in await other.set_up()


async def test_garbage_in_a_call_ends_it_with_a_line_of_its_own_and_no_other_call() -> None:
    async with bench() as own, own.peer() as other, own.peer() as peer:
        for each, name in ((other, "other"), (peer, "bad")):
            await each.set_up(call_id=name)
            await each.socket.send(SPOKEN)
            await each.hear()
        with capture_logs() as logs:
            await peer.socket.send("[1]")
            await peer.socket.wait_closed()
            (ended,) = await own.events.until(CallEnded)
        assert (ended.call_id, ended.reason) == ("bad", "protocol error")
        assert [(line["call_id"], line["error"]) for line in logs if "error" in line] == [
            ("bad", "JSON that is not an object: '[1]'")
        ]
        await other.socket.send(SPOKEN)
        assert (await other.hear())["request"] == "set"


async def test_an_id_used_twice_at_once_is_counted_and_the_second_call_has_its_own() -> None:
    async with bench() as own, own.peer() as first, own.peer() as second:
        for peer in (first, second):
            await peer.set_up(call_id="c")
            with capture_logs() as logs:
                await peer.socket.send(SPOKEN)
                assert (await peer.hear())["request"] == "set"
        assert [start.call_id for start in own.events.of(CallStarted)] == ["c", "c#2"]
        assert own.bad("id in use") == 1
        assert [(line["call_id"], line["error"]) for line in logs if "error" in line] == [
            ("c#2", "a running call has the id c")
        ]


async def test_a_peers_error_is_counted_and_the_result_is_kept() -> None:
    async with bench() as own, own.peer() as peer:
        await peer.set_up()
        await peer.socket.send(SPOKEN)
        pushed = await peer.hear()
        await peer.socket.send(json.dumps({"response": "set", "id": "?", "error_msg": "no"}))
        asked = await peer.ask("get", params=["results"])
        assert asked["params"] == pushed["params"]
        assert own.bad("refused") == 1


async def test_a_call_that_is_too_long_is_ended() -> None:
    async with bench() as own, own.peer() as peer:
        await peer.set_up()
        await peer.socket.send(SPOKEN)
        await own.events.until(CallStarted)
        (call,) = own.calls.running()
        assert call.hang_up is not None
        call.hang_up("longer than calls.max_call_s")
        await peer.socket.wait_closed()
        assert peer.socket.close_code == 1008
        (ended,) = await own.events.until(CallEnded)
        assert ended.reason == "too long"


async def test_phrases_may_change_between_questions() -> None:
    async with bench() as own, own.peer() as peer:
        await peer.set_up(phrases="да,нет", alternatives="3")
        await peer.socket.send(SPOKEN)
        await peer.hear()
        known = await peer.ask("get", params=["phrases"])
        assert known == {"params": {"phrases": "да,нет"}}
        assert await peer.ask("set", params={"phrases": '["Один  раз", "два"]'}) == {}
        known = await peer.ask("get", params=["phrases"])
        assert known == {"params": {"phrases": "один раз,два"}}
        wrong = await peer.ask("set", params={"alternatives": "0"})
        assert wrong == {"error_msg": "alternatives: '0' is not a number from 1 to 100"}
