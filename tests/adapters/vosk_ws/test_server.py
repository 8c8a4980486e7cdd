"""The door on loopback: handshake, refusals, start and stop."""

import asyncio

import pytest
from websockets.exceptions import InvalidStatus
from websockets.typing import Subprotocol

from ruasr_tel.errors import ConfigError, PortTaken
from ruasr_tel.plugins import adapters
from ruasr_tel_adapters.vosk_ws import ADAPTER, VoskWsConfig, create
from tests.adapters.vosk_ws.fake_calls import FakeCalls, Serve
from tests.adapters.vosk_ws.peers import AUDIO, RawClient, ask, client, closed


async def test_subprotocol_is_echoed_and_never_invented(calls: FakeCalls, serve: Serve) -> None:
    door = await serve()
    ws, other = Subprotocol("ws"), Subprotocol("other")
    async with client(door, subprotocols=[ws]) as peer:
        assert peer.subprotocol == "ws"
    async with client(door, subprotocols=[other, ws]) as peer:
        assert peer.subprotocol == "other"
    async with client(door) as peer:
        assert peer.response is not None
        assert "Sec-WebSocket-Protocol" not in peer.response.headers
        assert "Sec-WebSocket-Extensions" not in peer.response.headers  # though deflate was offered


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/?profile=nope", "there is no profile 'nope'\n"),
        ("/?sample_rate=abc", "sample_rate: 'abc' is not a number from 1000 to 192000\n"),
        (
            "/?call_id=%20",
            "call_id: ' ' is not 1 to 128 of A-Z a-z 0-9 _ . : @ + -\n",
        ),
    ],
)
async def test_a_bad_url_is_refused_with_a_sentence(serve: Serve, path: str, body: str) -> None:
    with pytest.raises(InvalidStatus) as caught:
        async with client(await serve(), path):
            pass
    assert (caught.value.response.status_code, caught.value.response.body) == (400, body.encode())


async def test_overload_is_503_in_the_handshake(calls: FakeCalls, serve: Serve) -> None:
    calls.full = True
    with pytest.raises(InvalidStatus) as caught:
        async with client(await serve()):
            pass
    assert caught.value.response.status_code == 503
    assert caught.value.response.body == b"2 calls are running, the limit (calls.max_calls)\n"


async def test_overload_after_the_handshake_is_1013(calls: FakeCalls, serve: Serve) -> None:
    calls.full_after_handshake = True
    async with client(await serve()) as peer:
        assert await closed(peer) == (1013, "2 calls are running, the limit (calls.max_calls)")


async def test_stop_and_close(calls: FakeCalls, serve: Serve) -> None:
    door = await serve()
    async with client(door) as peer:
        call = await calls.calls.get()
        await ask(peer, AUDIO)
        await door.stop_accepting()
        with pytest.raises(InvalidStatus) as caught:
            async with client(door):
                pass
        assert caught.value.response.status_code == 503
        assert await ask(peer, AUDIO) == {"partial": ""}  # running calls go on
        call.leg.tail = ["конец"]
        await door.close()
        assert (call.reason, call.leg.tail) == ("drain", [])
        assert await closed(peer) == (1012, "the server stops")
    await door.close()


async def test_close_does_not_wait_for_a_client_that_never_reads(
    calls: FakeCalls, serve: Serve
) -> None:
    door = await serve(max_reply_bytes=65535, max_message_bytes=2**16, close_timeout_s=0.1)
    peer = RawClient(door)
    await peer.open()
    call = await calls.calls.get()
    await peer.send_frame(2, AUDIO)
    await call.opened.wait()
    call.say_partial("слово " * 5000)
    sending = asyncio.create_task(peer.flood())
    await peer.stuck.wait()
    await door.close()
    assert call.reason == "drain"
    sending.cancel()
    peer.writer.close()


async def test_port_taken_and_bad_address(serve: Serve, calls: FakeCalls) -> None:
    port = int((await serve()).url.rpartition(":")[2])
    with pytest.raises(PortTaken, match=rf"ws://127.0.0.1:{port} \(doors.vosk_ws\) is in use"):
        await serve(port=port)
    with pytest.raises(ConfigError, match=r"doors.vosk_ws.host and port: cannot listen on ws://"):
        await serve(host="192.0.2.1")
    unstarted = create(VoskWsConfig(), calls.server)
    await unstarted.close()
    assert unstarted.url == "ws://127.0.0.1:2700"
    assert create(VoskWsConfig(host="::1"), calls.server).url == "ws://[::1]:2700"


def test_an_unknown_profile_of_the_door_is_a_config_error(calls: FakeCalls) -> None:
    with pytest.raises(ConfigError) as caught:
        create(VoskWsConfig(profile="nope"), calls.server)
    assert str(caught.value) == "doors.vosk_ws.profile: there is no profile 'nope'"


def test_it_is_found_by_its_entry_point() -> None:
    assert adapters()["vosk_ws"] is ADAPTER
    assert ADAPTER.config is VoskWsConfig
