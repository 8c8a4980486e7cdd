"""Conversations over a real socket: names, audio, digits, ends, and what is wrong."""

import json

import pytest
from structlog.testing import capture_logs

from ruasr_tel.audio.codec import Encoding, encode
from ruasr_tel.call import Announcement
from ruasr_tel.events import CallEnded, CallStarted, Dtmf, Final
from ruasr_tel.testing import phrase
from ruasr_tel.types import CallId
from tests.adapters.asterisk_ws.bench import bench, start

ENCODINGS = {"slin": Encoding.SLIN, "ulaw": Encoding.PCMU, "alaw": Encoding.PCMA}


@pytest.mark.parametrize("form", ["plain", "json"])
@pytest.mark.parametrize("audio_format", ["slin", "slin16", "ulaw", "alaw"])
async def test_every_sample_of_a_call_arrives(form: str, audio_format: str) -> None:
    rate_hz = 16000 if audio_format == "slin16" else 8000
    samples = phrase((1.0, 1.0), sample_rate_hz=rate_hz)
    data = encode(samples, ENCODINGS[audio_format.removesuffix("16")])
    async with bench() as own, own.peer("/media?uuid=u-1&profile=yesno") as peer:
        await peer.send(start(form, audio_format))
        for at in range(0, len(data), 333):  # any length
            await peer.send(data[at : at + 333])
        (started,) = await own.events.until(CallStarted)
        assert (started.call_id, started.profile) == ("u-1", "yesno")
        assert started.details == {
            "connection_id": "c",
            "channel": "WebSocket/c/0x1",
            "channel_id": "1.1",
            "uuid": "u-1",
        }
        await own.events.until(Final)
        await peer.close()
        (ended,) = await own.events.until(CallEnded)
    (ledger,) = ended.ledgers.values()
    assert ended.reason == "hangup"
    assert (ledger.sample_rate_hz, ledger.received) == (rate_hz, len(samples))
    assert ledger.difference == 0


async def test_a_repeated_uuid_is_not_the_calls_name() -> None:
    async with bench() as own:
        for channel_id in ("1.1", "1.2"):
            async with own.peer("/media?uuid=u-1") as peer:
                await peer.send(start("plain", channel_id=channel_id))
                await own.events.until(CallStarted, int(channel_id[-1]))
        assert [each.call_id for each in own.events.of(CallStarted)] == ["u-1", "1.2"]


async def test_variables_of_the_channel_name_the_call_and_choose_the_profile() -> None:
    variables = {"__RUASR_CALL_ID": "mine", "RUASR_PROFILE": "digits"}
    async with bench() as own, own.peer("/media?uuid=other") as peer:
        await peer.send(start("json", **variables))
        (started,) = await own.events.until(CallStarted)
        assert (started.call_id, started.profile) == ("mine", "digits")


async def test_an_announced_profile_goes_before_the_doors_and_after_the_channels() -> None:
    async with bench(profile="dialogue") as own:
        for name in ("told", "said"):
            own.calls.announce(CallId(name), Announcement("yesno"))
        for name, profile in (("told", ""), ("said", "digits"), ("other", "")):
            async with own.peer() as peer:
                await peer.send(start("json", RUASR_CALL_ID=name, RUASR_PROFILE=profile))
                await own.events.until(CallStarted)
        heard = {each.call_id: each.profile for each in await own.events.until(CallStarted, 3)}
        assert heard == {"told": "yesno", "said": "digits", "other": "dialogue"}


@pytest.mark.parametrize(("audio_format", "rate_hz"), [("slin", 8000), ("slin48", 48_000)])
async def test_audio_that_comes_before_media_start_is_heard(
    audio_format: str, rate_hz: int
) -> None:
    early = 3 * rate_hz
    samples = phrase((3.0, 1.0), sample_rate_hz=rate_hz)
    data = encode(samples, Encoding.SLIN)
    async with bench() as own, own.peer() as peer:
        for at in range(0, 2 * early, 2 * rate_hz // 4):
            await peer.send(data[at : at + 2 * rate_hz // 4])
        await peer.send(start("json", audio_format))
        await peer.send(data[2 * early :])
        await own.events.until(Final)
        await peer.close()
        (ended,) = await own.events.until(CallEnded)
        (ledger,) = ended.ledgers.values()
        assert ledger.received == len(samples)


@pytest.mark.parametrize("form", ["plain", "json"])
async def test_digits_and_other_events(form: str) -> None:
    plain = ["DTMF_END digit:1 channel_id:1.1", "MEDIA_XON", "QUEUE_DRAINED", "DTMF_END digit:d"]
    as_json = [
        '{"event":"DTMF_END","channel_id":"1.1","digit":"1"}',
        '{"event":"STATUS","queue_length":3}',
        '{"event":"DTMF_END","digit":"d"}',
    ]
    async with bench() as own, own.peer() as peer:
        await peer.send(start(form))
        for text in plain if form == "plain" else as_json:
            await peer.send(text)
        digits = await own.events.until(Dtmf, 2)
        assert [each.digit for each in digits] == ["1", "D"]


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("SOMETHING_NEW a:b", "unknown event"),
        ("DTMF_END digit:x", "digit"),
        ("ERROR channel_id:1.1 error_text:no", "refused"),
    ],
)
async def test_what_is_odd_is_counted_and_the_call_goes_on(message: str, kind: str) -> None:
    async with bench() as own, own.peer() as peer:
        await peer.send(start("plain"))
        await peer.send(message)
        await peer.send("DTMF_END digit:1")
        await own.events.until(Dtmf)
        assert own.bad(kind) == 1


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        (["hello"], "text that is no control message: 'hello'"),
        (["[1]"], "JSON that is not an object: '[1]'"),
        (["MEDIA_XON"], "'MEDIA_XON' before MEDIA_START"),
        ([start("plain")] * 2, "a second MEDIA_START"),
        ([bytes(100_000)] * 12, "1200000 bytes of audio before MEDIA_START"),
        (
            [start("plain").replace("slin", "opus")],
            "format 'opus' is not served; dial with c(slin)",
        ),
    ],
)
async def test_what_is_against_the_protocol_ends_that_call_alone(
    messages: list[str | bytes], reason: str
) -> None:
    async with bench() as own, own.peer() as other, own.peer() as peer:
        for message in messages:
            await peer.send(message)
        await peer.wait_closed()
        assert peer.close_code == 1002
        assert str(peer.close_reason).startswith(reason)
        assert own.bad("protocol") == 1
        await other.send(start("plain", channel_id="2.1"))
        await other.send("DTMF_END digit:1")
        await own.events.until(Dtmf)


async def test_garbage_in_a_call_ends_it_with_a_line_of_its_own_and_no_other_call() -> None:
    async with bench() as own, own.peer() as other, own.peer() as peer:
        await other.send(start("json", RUASR_CALL_ID="other"))
        await peer.send(start("json", RUASR_CALL_ID="bad"))
        await own.events.until(CallStarted, 2)
        with capture_logs() as logs:
            await peer.send("[1]")
            (ended,) = await own.events.until(CallEnded)
        assert (ended.call_id, ended.reason) == ("bad", "protocol error")
        assert [(line["call_id"], line["error"]) for line in logs if "error" in line] == [
            ("bad", "JSON that is not an object: '[1]'")
        ]
        await other.send('{"event":"DTMF_END","digit":"1"}')
        await own.events.until(Dtmf)


async def test_an_id_used_twice_at_once_is_counted_and_the_second_call_has_its_own() -> None:
    async with bench() as own, own.peer() as first, own.peer() as second:
        await first.send(start("json", RUASR_CALL_ID="c"))
        await own.events.until(CallStarted)
        with capture_logs() as logs:
            await second.send(start("json", RUASR_CALL_ID="c"))
            started = await own.events.until(CallStarted, 2)
        assert [each.call_id for each in started] == ["c", "c#2"]
        assert own.bad("id in use") == 1
        assert [(line["call_id"], line["error"]) for line in logs if "error" in line] == [
            ("c#2", "a running call has the id c")
        ]
        for peer in (first, second):
            await peer.send('{"event":"DTMF_END","digit":"1"}')
        assert {key.call_id for key in await own.events.until(Dtmf, 2)} == {"c", "c#2"}


async def test_a_connection_that_never_starts_is_closed() -> None:
    async with bench(start_timeout_s=0.05) as own, own.peer() as peer:
        await peer.wait_closed()
        assert (peer.close_code, peer.close_reason) == (1002, "no MEDIA_START")
        assert own.bad("no start") == 1


@pytest.mark.parametrize("form", ["plain", "json"])
async def test_the_channel_is_handed_back_by_hangup(form: str) -> None:
    async with bench() as own, own.peer() as peer:
        await peer.send(start(form))
        await own.events.until(CallStarted)
        (call,) = own.calls.running()
        assert call.hang_up is not None
        call.hang_up("long enough")
        command = str(await peer.recv())
        told = command if form == "plain" else json.loads(command)["command"]
        assert told == "HANGUP"
        await peer.wait_closed()
        assert (peer.close_code, peer.close_reason) == (1000, "long enough")
        (ended,) = await own.events.until(CallEnded)
        assert ended.reason == "long enough"


async def test_an_unknown_profile_of_a_variable_refuses_the_call() -> None:
    async with bench() as own, own.peer() as peer:
        await peer.send(start("json", RUASR_PROFILE="sing"))
        await peer.wait_closed()
        assert peer.close_code == 1013
        assert "there is no profile 'sing'" in str(peer.close_reason)
        assert own.events.of(CallStarted) == []
