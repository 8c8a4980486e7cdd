"""The door on loopback, with peers that behave as FreeSWITCH's two modules do, and worse."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from ruasr_tel.call import Announcement, Calls, CallsConfig
from ruasr_tel.errors import ConfigError, PortTaken
from ruasr_tel.events import CallEnded, CallStarted, Dtmf, Final
from ruasr_tel.hub import Hub
from ruasr_tel.metrics import Metrics
from ruasr_tel.plugins import Server
from ruasr_tel.testing.audio import phrase, silence
from ruasr_tel.testing.calls import TIMEOUT_S, Recorder, running_calls
from ruasr_tel.types import CallId, Samples
from ruasr_tel.websocket import Listener
from ruasr_tel_adapters.audio_stream import AudioStreamConfig, create

SECOND = phrase((0.6, 1.0))
"""What is recognised as something, and its pause."""


@dataclass
class House:
    """A door, its calls, and what came of them."""

    door: Listener
    calls: Calls
    heard: Recorder
    metrics: Metrics

    def bad(self, kind: str) -> float | None:
        labels = {"door": "audio_stream", "kind": kind}
        return self.metrics.registry.get_sample_value("ruasr_bad_messages_total", labels)


@asynccontextmanager
async def house(limit: int = 500, **settings: object) -> AsyncIterator[House]:
    heard = Recorder()
    async with running_calls(publish=heard, config=CallsConfig(max_calls=limit)) as calls:
        config = AudioStreamConfig.model_validate({"port": 0, "close_timeout_s": 0.2, **settings})
        around = server(calls)
        door = create(config, around)
        await door.start()
        try:
            yield House(door, calls, heard, around.metrics)
        finally:
            await door.close()


def server(calls: Calls) -> Server:
    return Server(calls, Hub(), Metrics())


def stereo(*channels: Samples) -> bytes:
    return np.stack(channels, axis=1).astype("<i2").tobytes()


async def play(socket: ClientConnection, audio: bytes, size: int = 640) -> None:
    for at in range(0, len(audio), size):
        await socket.send(audio[at : at + size])


async def transcription(socket: ClientConnection) -> dict[str, Any]:
    """Return the next final that comes back."""
    async with asyncio.timeout(TIMEOUT_S):
        while True:
            message = json.loads(await socket.recv())
            assert message["type"] == "transcription"
            if message["data"]["is_final"]:
                said: dict[str, Any] = message["data"]
                return said


async def test_an_announced_profile_goes_before_the_doors_and_after_the_urls() -> None:
    async with house(profile="dialogue") as at:
        for name in ("told", "said"):
            at.calls.announce(CallId(name), Announcement("yesno"))
        for target in ("call_id=told", "call_id=said&profile=digits", "call_id=other"):
            async with connect(f"{at.door.url}/?{target}") as socket:
                await play(socket, SECOND.tobytes())
                await transcription(socket)
        heard = {each.call_id: each.profile for each in at.heard.of(CallStarted)}
    assert heard == {"told": "yesno", "said": "digits", "other": "dialogue"}


async def test_mod_audio_stream_mono_with_metadata_that_is_no_json() -> None:
    async with house() as at:
        url = f"{at.door.url}/?call_id=fs-1&profile=yesno"
        async with connect(url) as socket:  # offers permessage-deflate, as the module does
            assert "Sec-WebSocket-Extensions" not in socket.response.headers  # type: ignore[union-attr]
            await socket.send("hello, not JSON")
            await play(socket, SECOND.tobytes())
            data = await transcription(socket)
        (ended,) = await at.heard.until(CallEnded)
    (started,) = at.heard.of(CallStarted)
    assert (started.call_id, started.profile, ended.reason) == ("fs-1", "yesno", "hangup")
    assert (data["channel"], data["text"]) == (0, at.heard.of(Final)[0].text)
    assert data["text"].startswith("слово")
    (ledger,) = ended.ledgers.values()
    assert (ledger.received, ledger.difference) == (len(SECOND), 0)


async def test_mod_audio_fork_stereo_is_two_legs_of_one_call_and_keys_are_heard() -> None:
    quiet = silence(len(SECOND) / 8000)
    metadata = {"callSid": "fs-2", "sampleRate": 8000, "channels": 2}
    async with house(partials=False) as at:
        fork = Subprotocol("audio.drachtio.org")
        async with connect(at.door.url, subprotocols=[fork], compression=None) as socket:
            assert socket.subprotocol == fork
            await socket.send(json.dumps(metadata))
            await play(socket, stereo(SECOND, quiet), 641)
            assert (await transcription(socket))["channel"] == 0
            await play(socket, stereo(quiet, SECOND))
            assert (await transcription(socket))["channel"] == 1
            await socket.send('{"dtmf": "5"}')
            await socket.send('{"reason": "stop metadata"}')
        (ended,) = await at.heard.until(CallEnded)
    assert [(final.leg_id, bool(final.text)) for final in at.heard.of(Final)] == [
        ("fs-2/0", True),
        ("fs-2/1", True),
    ]
    assert [key.digit for key in at.heard.of(Dtmf)] == ["5"]
    assert [ledger.received for ledger in ended.ledgers.values()] == [2 * len(SECOND)] * 2


@pytest.mark.parametrize("first", ["audio", "metadata"])
async def test_metadata_count_though_the_first_frames_overtook_them(first: str) -> None:
    metadata = json.dumps({"sample_rate": "16k", "channels": "stereo", "call_id": "late"})
    audio = stereo(SECOND, SECOND)
    async with house() as at:
        async with connect(at.door.url) as socket:
            await socket.send(audio[:1280] if first == "audio" else metadata)
            await socket.send(metadata if first == "audio" else audio[:1280])
            await play(socket, audio[1280:])
        (ended,) = await at.heard.until(CallEnded)
    assert {leg_id: each.received for leg_id, each in ended.ledgers.items()} == {
        "late/0": len(SECOND),
        "late/1": len(SECOND),
    }
    assert {each.sample_rate_hz for each in ended.ledgers.values()} == {16_000}


async def test_metadata_after_the_call_began_are_told_of() -> None:
    async with house() as at, connect(f"{at.door.url}/?sample_rate=8k&channels=1") as socket:
        await socket.send(bytes(640))
        await at.heard.until(CallStarted)
        with capture_logs() as logs:
            await socket.send('{"sample_rate": 16000, "call_id": "late"}')
            await socket.send('{"dtmf":"5"}')
            await at.heard.until(Dtmf)
        assert [line["kind"] for line in logs if line["log_level"] == "warning"] == ["late"]
        assert at.bad("late") == 1


async def test_audio_that_nobody_describes_is_not_kept_waiting() -> None:
    async with house() as at, connect(at.door.url) as socket:
        await play(socket, bytes(66_000))  # more than is held
        await at.heard.until(CallStarted)


async def test_metadata_that_cannot_be_end_a_stream_whose_audio_was_held() -> None:
    async with house() as at, connect(at.door.url) as socket:
        await socket.send(bytes(640))
        await socket.send('{"channels": 7}')
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 1008
    assert at.heard.events == []


async def test_a_graceful_shutdown_gives_the_last_words_on_the_open_socket() -> None:
    """mod_audio_fork's `graceful-shutdown`: an empty binary message, then nothing, and it waits."""
    async with house() as at, connect(f"{at.door.url}/?sample_rate=8k&channels=1") as socket:
        await play(socket, phrase((0.6, 0.1)).tobytes())
        await socket.send(b"")
        assert (await transcription(socket))["text"]


async def test_the_text_of_a_stop_is_the_last_message() -> None:
    """Both modules: `stop <text>` sends it and closes."""
    async with house() as at:
        async with connect(f"{at.door.url}/?sample_rate=8k&channels=1") as socket:
            await play(socket, phrase((0.6, 0.0)).tobytes(), 6400)  # several frames at once
            await socket.send("до свидания")
        (ended,) = await at.heard.until(CallEnded)
    assert ended.reason == "hangup"
    assert at.heard.of(Final)[0].text


async def test_a_heart_beat_is_answered_and_compression_is_not_taken() -> None:
    """mod_audio_stream: STREAM_HEART_BEAT pings, and permessage-deflate is offered by default."""
    async with house() as at, connect(at.door.url, compression="deflate") as socket:
        assert socket.response is not None
        assert "Sec-WebSocket-Extensions" not in socket.response.headers
        async with asyncio.timeout(TIMEOUT_S):
            await (await socket.ping())


async def test_the_last_words_before_a_hangup_are_not_lost() -> None:
    async with house() as at:
        async with connect(f"{at.door.url}/16000") as socket:
            await play(socket, phrase((0.6, 0.0), sample_rate_hz=16_000).tobytes())
        (ended,) = await at.heard.until(CallEnded)
    assert at.heard.of(Final)[0].text
    assert [ledger.sample_rate_hz for ledger in ended.ledgers.values()] == [16_000]


async def test_a_reset_is_a_hangup_and_a_second_call_of_one_id_gets_its_own() -> None:
    async with house() as at:
        url = f"{at.door.url}/?call_id=one"
        async with connect(url) as first, connect(url) as second:
            await first.send(bytes(640))
            await at.heard.until(CallStarted)
            with capture_logs() as logs:
                await second.send(bytes(640))
                await at.heard.until(CallStarted, 2)
            assert [(line["call_id"], line["kind"]) for line in logs if "kind" in line] == [
                ("one#2", "id in use")
            ]
            assert at.bad("id in use") == 1
            first.transport.abort()
            await at.heard.until(CallEnded)
        await at.heard.until(CallEnded, 2)
    assert [each.call_id for each in at.heard.of(CallStarted)] == ["one", "one#2"]


@pytest.mark.parametrize(
    ("target", "status", "says"),
    [
        ("/?sample_rate=44100", 400, "sample_rate: '44100' is not one of"),
        ("/?profile=none", 400, "there is no profile 'none'"),
    ],
)
async def test_a_bad_url_is_refused_before_the_handshake(
    target: str, status: int, says: str
) -> None:
    async with house() as at:
        with pytest.raises(InvalidStatus) as caught:
            await connect(at.door.url + target)
        assert at.bad("handshake") == 1
    assert caught.value.response.status_code == status
    assert says in (caught.value.response.body or b"").decode()


@pytest.mark.parametrize(
    ("metadata", "code"), [({"channels": 7}, 1008), ({"profile": "none"}, 1008)]
)
async def test_bad_metadata_closes_with_a_reason(metadata: dict[str, object], code: int) -> None:
    async with house() as at, connect(at.door.url) as socket:
        await socket.send(json.dumps(metadata))
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == code
        assert socket.close_reason
        assert at.bad("protocol") == 1
    assert at.heard.events == []


@pytest.mark.parametrize("text", ["[1]", "hello", '{"command": "dance"}', ""])
async def test_text_that_means_nothing_is_metadata_and_changes_nothing(text: str) -> None:
    async with house() as at, connect(f"{at.door.url}/?call_id=one") as socket:
        await socket.send(text)
        (started,) = await at.heard.until(CallStarted)
        await socket.send(text)  # what `send_text` sends is the dialplan's own business, too
        await play(socket, SECOND.astype("<i2").tobytes())
        assert (await transcription(socket))["text"]
        assert started.call_id == "one"


async def test_a_call_that_nobody_hangs_up_is_ended_with_1008() -> None:
    async with house() as at, connect(at.door.url) as socket:
        await socket.send(bytes(640))
        await at.heard.until(CallStarted)
        (call,) = at.calls.running()
        assert call.hang_up is not None
        call.hang_up("longer than calls.max_call_s")
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert (socket.close_code, socket.close_reason) == (1008, "longer than calls.max_call_s")
        (ended,) = await at.heard.until(CallEnded)
        assert ended.reason == "too long"


async def test_a_full_server_says_so_before_and_after_the_handshake() -> None:
    async with (
        house(limit=1) as at,
        connect(at.door.url) as first,
        connect(at.door.url) as late,
    ):
        await first.send(bytes(640))
        await at.heard.until(CallStarted)
        with pytest.raises(InvalidStatus, match="503"):
            await connect(at.door.url)
        await late.send(bytes(640))
        with pytest.raises(ConnectionClosed):
            await late.recv()
        assert late.close_code == 1013


async def test_a_silent_peer_is_let_go_and_a_long_message_closes_its_own_call() -> None:
    async with house(idle_timeout_s=0.05, max_message_bytes=1024) as at:
        async with connect(at.door.url) as socket:
            with pytest.raises(ConnectionClosed):
                await socket.recv()
            assert (socket.close_code, socket.close_reason) == (1008, "no message for 0.05 s")
            assert at.bad("idle") == 1
        async with connect(at.door.url) as socket:
            await socket.send(bytes(1026))
            with pytest.raises(ConnectionClosed):
                await socket.recv()
            assert socket.close_code == 1009


async def test_the_server_stops_with_the_last_results_first() -> None:
    async with house() as at, connect(at.door.url) as socket:
        await play(socket, phrase((0.6, 0.0)).tobytes())
        await at.heard.until(CallStarted)
        closing = asyncio.create_task(at.door.close())
        data = await transcription(socket)
        assert data["text"]
        with pytest.raises(ConnectionClosed):
            await socket.recv()
        assert socket.close_code == 1012
        await closing
        (ended,) = at.heard.of(CallEnded)
        assert ended.reason == "drain"


async def test_a_backlog_drops_audio_with_its_reason() -> None:
    async with house(max_backlog_s=0.001) as at:
        async with connect(f"{at.door.url}/?sample_rate=8k&channels=1") as socket:
            await play(socket, SECOND.tobytes(), len(SECOND) // 4)
        (ended,) = await at.heard.until(CallEnded)
    (ledger,) = ended.ledgers.values()
    assert ledger.dropped["backlog"] > 0
    assert ledger.difference == 0


async def test_a_taken_port_and_an_unknown_profile_are_told() -> None:
    async with house() as at:
        port = int(at.door.url.rpartition(":")[2])
        with pytest.raises(PortTaken, match=r"set doors\.audio_stream\.port"):
            await create(AudioStreamConfig(port=port), server(at.calls)).start()
        with pytest.raises(ConfigError, match=r"doors\.audio_stream\.profile"):
            create(AudioStreamConfig(profile="none"), server(at.calls))
        await at.door.stop_accepting()
        with pytest.raises(InvalidStatus, match="503"):
            await connect(at.door.url)
    await create(AudioStreamConfig(), server(at.calls)).close()


async def test_an_address_of_another_machine_is_told() -> None:
    async with house() as at:
        with pytest.raises(ConfigError, match="cannot listen on ws"):
            await create(AudioStreamConfig(host="192.0.2.1", port=0), server(at.calls)).start()
