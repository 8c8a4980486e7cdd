"""A conversation on loopback; the audio goes to a call that tests speak for."""

import json
import struct
from dataclasses import replace
from urllib.parse import quote

import pytest

from ruasr_tel.engines.base import DecodeOptions
from ruasr_tel.profile import Profile
from ruasr_tel.types import CallId
from tests.adapters.vosk_ws.fake_calls import FakeCalls, Serve
from tests.adapters.vosk_ws.peers import AUDIO, EMPTY, ask, client, closed

# Lockstep


async def test_lockstep_from_config_to_close(calls: FakeCalls, serve: Serve) -> None:
    async with client(await serve(show_words=False)) as peer:
        call = await calls.calls.get()
        await peer.send('{ "config" : { "sample_rate" : 16000 } }')
        await peer.send(AUDIO)
        assert await peer.recv() == EMPTY
        call.say_partial("один")
        assert await ask(peer, AUDIO) == {"partial": "один"}
        call.say("один")
        assert await ask(peer, AUDIO) == {"text": "один"}
        call.leg.tail = ["два", "три"]
        await peer.send('{"eof" : 1}')
        assert await peer.recv() == '{\n  "text" : "два три"\n}'
        assert await closed(peer) == (1000, "")
    await call.ended.wait()
    assert (call.reason, call.leg.sample_rate_hz, len(call.leg.samples)) == ("eof", 16000, 4800)


async def test_reset_answers_and_goes_on(calls: FakeCalls, serve: Serve) -> None:
    async with client(await serve(show_words=False)) as peer:
        call = await calls.calls.get()
        await ask(peer, AUDIO)
        call.leg.tail = ["раз"]
        assert await ask(peer, '{"reset":1}') == {"text": "раз"}
        assert await ask(peer, AUDIO) == {"partial": ""}
        call.leg.tail = ["два"]
        assert await ask(peer, b'{"eof": 1}') == {"text": "два"}
        assert await closed(peer) == (1000, "")
    assert len(call.legs) == 1  # the time line goes on


async def test_eof_and_reset_before_any_audio(calls: FakeCalls, serve: Serve) -> None:
    async with client(await serve()) as peer:
        await peer.send('{"reset" : 1}')
        assert await peer.recv() == '{"text": ""}'
        await peer.send('{"eof" : 1}')
        assert await peer.recv() == '{"text": ""}'
        assert await closed(peer) == (1000, "")
    assert (await calls.calls.get()).legs == []


async def test_one_reply_each_for_odd_empty_and_unknown_messages(
    calls: FakeCalls, serve: Serve
) -> None:
    async with client(await serve()) as peer:
        call = await calls.calls.get()
        for message in (b"", b"\x01", b"\x02\x03", '{"id" : "42"}', b"\x04"):
            assert await ask(peer, message) == {"partial": ""}
        assert call.leg.samples.tolist() == [0x0201, 0x0403]
    assert calls.bad("unknown message") == 1


async def test_replies_to_pipelined_messages_are_text_in_order(
    calls: FakeCalls, serve: Serve
) -> None:
    async with client(await serve(show_words=False, empty_partials_after_final=0)) as peer:
        call = await calls.calls.get()
        await ask(peer, AUDIO)
        for text in "абвгд":
            call.say(text)
        for _ in range(8):
            await peer.send(AUDIO)
        heard = [json.loads(await peer.recv()).get("text") for _ in range(8)]
    assert heard == ["а", "б", "в", "г", "д", None, None, None]


# Phrases and alternatives


async def test_a_phrase_list_closes_the_list_and_may_change_within_the_call(
    calls: FakeCalls, serve: Serve
) -> None:
    async with client(await serve()) as peer:
        call = await calls.calls.get()
        await peer.send('{"config" : {"phrase_list" : ["да", "[unk]"], "max_alternatives": 2}}')
        await ask(peer, AUDIO)
        await peer.send('{"config" : {"phrase_list" : []}}')
        await ask(peer, AUDIO)
    assert call.leg.options == [
        DecodeOptions(phrases=("да", "[unk]"), closed=True, alternatives=2),
        DecodeOptions(alternatives=2),
    ]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", DecodeOptions()),
        ("/?profile=yesno", DecodeOptions(phrases=("да", "нет"), closed=True)),
        ("/8000?phrases=алло,приём&boost=2", DecodeOptions(phrases=("алло", "приём"), boost=2.0)),
        ("/?profile=yesno&phrase_list=ага,угу", DecodeOptions(phrases=("ага", "угу"), closed=True)),
    ],
)
async def test_phrases_by_url(
    calls: FakeCalls, serve: Serve, path: str, expected: DecodeOptions
) -> None:
    async with client(await serve(), quote(path, safe="/?&=,")) as peer:
        call = await calls.calls.get()
        await ask(peer, AUDIO)
    assert call.leg.options == [expected]


YESNO = DecodeOptions(phrases=("да", "нет"), closed=True)


async def test_an_announced_profile_says_what_is_asked(calls: FakeCalls, serve: Serve) -> None:
    calls.announced[CallId("c-1")] = "yesno"
    async with client(await serve(), "/?call_id=c-1&boost=2") as peer:
        call = await calls.calls.get()
        await ask(peer, AUDIO)
    assert call.leg.options == [replace(YESNO, boost=2.0)]


@pytest.mark.parametrize(("call_id", "name"), [("c-1", "default"), ("c-2", "yesno")])
async def test_the_door_s_profile_is_for_calls_that_none_was_announced_for(
    calls: FakeCalls, serve: Serve, call_id: str, name: str
) -> None:
    calls.announced[CallId("c-1")] = "default"
    async with client(await serve(profile="yesno"), f"/?call_id={call_id}"):
        call = await calls.calls.get()
    assert call.profile_name == name


async def test_a_running_call_keeps_the_profile_that_it_began_with(
    calls: FakeCalls, serve: Serve
) -> None:
    async with client(await serve(), "/?profile=yesno") as peer:
        call = await calls.calls.get()
        await ask(peer, AUDIO)
        for changed in ({"default": Profile(), "yesno": Profile()}, {"default": Profile()}):
            calls.profiles = changed  # as a reload does
            await peer.send('{"config" : {"words" : 0}}')
            await ask(peer, AUDIO)
    assert call.leg.options == [YESNO] * 3


async def test_too_many_phrases_end_the_connection_in_the_protocols_way(
    calls: FakeCalls, serve: Serve
) -> None:
    async with client(await serve()) as peer:
        await peer.send(json.dumps({"config": {"phrase_list": ["да"] * 10_001}}))
        assert await closed(peer) == (1007, "a list of 10001 phrases, at most 10000 are taken")


async def test_alternatives_are_all_the_readings_there_are(calls: FakeCalls, serve: Serve) -> None:
    async with client(await serve(show_words=False)) as peer:
        call = await calls.calls.get()
        await peer.send('{"config" : {"max_alternatives" : 3}}')
        await ask(peer, AUDIO)
        call.say("код", "кот", "год", "рот")
        assert await ask(peer, AUDIO) == {
            "alternatives": [
                {"confidence": 0.533333, "text": "код"},
                {"confidence": 0.266667, "text": "кот"},
                {"confidence": 0.133333, "text": "год"},
                {"confidence": 0.066667, "text": "рот"},
            ]
        }


# Settings


@pytest.mark.parametrize(
    ("path", "config", "rate_hz"),
    [
        ("/", None, 8000),
        ("/16000", None, 16000),
        ("/asr/ru?sample_rate=11025", None, 11025),
        ("/16000", '{"config":{"sample_rate":"48000"}}', 48000),
        ("/", '{"config":{"sample_rate":44100.0}}', 44100),
    ],
)
async def test_the_rate_comes_from_config_url_or_default(
    calls: FakeCalls, serve: Serve, path: str, config: str | None, rate_hz: int
) -> None:
    async with client(await serve(), path) as peer:
        call = await calls.calls.get()
        if config is not None:
            await peer.send(config)
        await ask(peer, AUDIO)
        assert call.leg.sample_rate_hz == rate_hz


async def test_settings_by_url(calls: FakeCalls, serve: Serve) -> None:
    path = "/?words=0&format=compact&profile=yesno&call_id=1700.42&token=x"
    async with client(await serve(), path) as peer:
        call = await calls.calls.get()
        assert (call.profile_name, call.call_id) == ("yesno", "1700.42")
        assert call.peer.startswith("127.0.0.1:")
        await ask(peer, AUDIO)
        call.say("да")
        await peer.send(AUDIO)
        assert await peer.recv() == '{"text":"да"}'


async def test_a_second_call_of_the_same_name_gets_a_number(calls: FakeCalls, serve: Serve) -> None:
    door = await serve()
    async with client(door, "/?uuid=7"), client(door, "/?uuid=7"), client(door, "/?uuid=7"):
        names = [(await calls.calls.get()).call_id for _ in range(3)]
    assert names == ["7", "7#2", "7#3"]
    assert calls.bad("id in use") == 2


async def test_config_after_audio_changes_what_is_safe(calls: FakeCalls, serve: Serve) -> None:
    async with client(await serve()) as peer:
        call = await calls.calls.get()
        await ask(peer, AUDIO)
        await peer.send('{"config":{"words":0,"sample_rate":16000,"phrase_list":["да"]}}')
        call.say("да")
        assert await ask(peer, AUDIO) == {"text": "да"}
        assert call.leg.sample_rate_hz == 8000


def wav(tag: int, bits: int, rate_hz: int, audio: bytes, channels: int = 1) -> bytes:
    fmt = struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * bits // 8, bits // 8, bits)
    return b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0" + fmt + b"data\0\0\0\0" + audio


@pytest.mark.parametrize(
    ("header", "config", "rate_hz", "samples"),
    [
        (wav(1, 16, 16000, b"\1\0\2\0"), None, 16000, [1, 2]),
        (wav(1, 16, 16000, b"\1\0\2\0"), '{"config":{"sample_rate":8000}}', 8000, [1, 2]),
        (wav(1, 16, 7, b"\1\0\2\0"), None, 8000, [1, 2]),
        (wav(7, 8, 8000, b"\xff\x00"), None, 8000, [0, -32124]),
        (wav(6, 8, 8000, b"\xd5\x2a"), None, 8000, [8, -32256]),
        (wav(3, 32, 8000, b"\1\0\2\0", 2), None, 8000, [1, 2]),
    ],
)
async def test_a_wav_header_is_no_audio(
    calls: FakeCalls,
    serve: Serve,
    header: bytes,
    config: str | None,
    rate_hz: int,
    samples: list[int],
) -> None:
    async with client(await serve()) as peer:
        call = await calls.calls.get()
        if config is not None:
            await peer.send(config)
        for piece in (header[:3], header[3:20], header[20:]):
            assert await ask(peer, piece) == {"partial": ""}
        assert call.leg.sample_rate_hz == rate_hz
        assert call.leg.samples.tolist() == samples


async def test_audio_held_back_as_a_header_is_not_lost_at_eof(
    calls: FakeCalls, serve: Serve
) -> None:
    async with client(await serve()) as peer:
        call = await calls.calls.get()
        await ask(peer, b"RI")
        assert call.legs == []
        await ask(peer, '{"eof" : 1}')
        assert call.leg.samples.tolist() == [0x4952]
