"""SIGTERM under a running call."""

import asyncio
import http.client
import os
import signal
import socket

import pytest

from ruasr_tel.testing import TIMEOUT_S
from tests.e2e.letters import character_error, transcripts
from tests.e2e.phones import Dialled, prompt
from tests.e2e.server import WAV, Server, running, starting

FILE = WAV / "vm-intro.wav"


def status_of_a_handshake(server: Server) -> int:
    """Return what the Vosk door answers to a new client."""
    client = http.client.HTTPConnection("127.0.0.1", server.port("vosk_ws"), timeout=TIMEOUT_S)
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    try:
        client.request("GET", "/", headers=upgrade)
        return client.getresponse().status
    finally:
        client.close()


def resets(server: Server) -> bool:
    """Whether the AudioSocket door cuts a new connection off."""
    address = "127.0.0.1", server.port("audiosocket")
    try:
        with socket.create_connection(address, TIMEOUT_S) as connection:
            connection.settimeout(0.1)
            connection.recv(1)
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False
    raise AssertionError("neither reset nor left waiting")


@pytest.mark.parametrize("door", ["vosk_ws", "audiosocket"])
async def test_a_running_call_ends_with_its_last_final_and_new_ones_are_refused(door: str) -> None:
    with running() as server:
        dialled = Dialled(prompt(FILE))
        playing = asyncio.create_task(dialled.play(server, door, pace=1.5))
        await asyncio.to_thread(server.until, lambda: bool(server.of("SpeechStarted")), "speech")
        server.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(3 * TIMEOUT_S):
            while not await asyncio.to_thread(resets, server):
                pass
            assert await asyncio.to_thread(status_of_a_handshake, server) == 503
            assert not playing.done()
            await playing
        assert await asyncio.to_thread(server.wait) == 0
    (ended,) = [end for end in server.of("CallEnded") if end["call_id"] == dialled.call_id]
    assert ended["reason"] == "eof"
    finals = server.of("Final", dialled.call_id)
    text = " ".join(final["text"] for final in finals)
    assert character_error(text, transcripts()[FILE.name]) < 0.1
    assert [final["error"] for final in finals] == [None] * ended["finals"]
    if door == "vosk_ws":
        assert dialled.text == " ".join(text.split())


def test_an_idle_server_stops_at_once_with_nothing_left() -> None:
    with running(calls__drain_s=600) as server:
        assert server.stop() == 0
        assert server.events == []
        assert server.said("stopping")
        assert not server.said("calls still running are ended")


def test_it_stops_at_ctrl_c_with_its_engine_gone() -> None:
    with running() as server:
        os.kill(server.engine_pid, signal.SIGKILL)
        server.process.send_signal(signal.SIGINT)
        assert server.wait() == 0


def test_a_server_that_still_loads_stops_with_success() -> None:
    with starting() as server:
        server.until(lambda: bool(server.said("history open")), "its first line")
        server.process.send_signal(signal.SIGHUP)
        server.process.send_signal(signal.SIGTERM)
        assert server.wait() == 0
        assert server.events == []
        assert not [line for line in server.log if line["level"] in ("error", "critical")]
