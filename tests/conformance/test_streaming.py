"""Every client that does not wait for replies gets the whole transcript all the same."""

from collections.abc import Callable
from uuid import uuid4

import pytest

from tests.conformance import streaming_clients as clients
from tests.conformance.bench import Server
from tests.conformance.conftest import LONG, PHRASES, prompt, wav_file
from tests.conformance.websocket import WebSocket


@pytest.mark.parametrize(
    ("client", "rate_hz"),
    [
        (clients.angular_dictate, 8000),
        (clients.esp32, 8000),
        (clients.jigasi_streaming, 48000),
        (clients.jigasi_single, 48000),
    ],
)
def test_pcm_clients(
    server: Server, client: Callable[[WebSocket, bytes], str], rate_hz: int
) -> None:
    pcm, call_id = prompt(PHRASES, rate_hz), str(uuid4())
    said = client(WebSocket(server.address, f"/?call_id={call_id}"), pcm)
    assert said == server.text(call_id) == server.reference(pcm, rate_hz) != ""


@pytest.mark.parametrize("client", [clients.node_test, clients.discord_bot])
def test_file_clients(server: Server, client: Callable[[WebSocket, bytes], str]) -> None:
    call_id = str(uuid4())
    said = client(WebSocket(server.address, f"/?call_id={call_id}"), wav_file(LONG))
    assert said == server.text(call_id) == server.reference(prompt(LONG)) != ""


def test_a_browser_that_closes_right_after_eof_loses_nothing_in_the_events(server: Server) -> None:
    pcm, call_id = prompt(PHRASES), str(uuid4())
    said = clients.js_worklet(WebSocket(server.address, f"/?call_id={call_id}"), pcm)
    assert server.text(call_id) == server.reference(pcm) != ""
    assert server.text(call_id).startswith(said)
