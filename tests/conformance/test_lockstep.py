"""Every client that waits for its replies gets the whole transcript, and nothing else."""

from collections.abc import Callable
from uuid import uuid4

import pytest

from tests.conformance import lockstep_clients as clients
from tests.conformance.bench import Server
from tests.conformance.conftest import LONG, PHRASES, SHORT, prompt, transcript, wav_file
from tests.conformance.websocket import WebSocket


def letter_errors(heard: str, spoken: str) -> float:
    """Return edits per letter."""
    row = list(range(len(heard) + 1))
    for n, letter in enumerate(spoken, 1):
        diagonal, row[0] = row[0], n
        for k, other in enumerate(heard, 1):
            diagonal, row[k] = row[k], min(row[k] + 1, row[k - 1] + 1, diagonal + (letter != other))
    return row[-1] / len(spoken)


@pytest.mark.parametrize("name", [SHORT, PHRASES])
def test_the_reference_is_what_was_spoken(server: Server, name: str) -> None:
    assert letter_errors(server.reference(prompt(name)), transcript(name)) <= 0.15


@pytest.mark.parametrize(
    ("client", "rate_hz"),
    [
        (clients.py_test, 8000),
        (clients.py_test, 16000),
        (clients.py_test_words, 8000),
        (clients.py_test_alternatives, 8000),
        (clients.py_test_ffmpeg, 16000),
        (clients.py_test_srt, 8000),
        (clients.vosk_transcriber, 16000),
    ],
)
@pytest.mark.parametrize("name", [PHRASES, LONG])
def test_python_clients(
    server: Server, client: Callable[[WebSocket, bytes, int], str], rate_hz: int, name: str
) -> None:
    pcm, call_id = prompt(name, rate_hz), str(uuid4())
    said = client(WebSocket(server.address, f"/?call_id={call_id}"), pcm, rate_hz)
    assert said == server.text(call_id) == server.reference(pcm, rate_hz) != ""


@pytest.mark.parametrize("client", [clients.java_client, clients.java_mic])
def test_java_clients(server: Server, client: Callable[[WebSocket, bytes, int], str]) -> None:
    pcm, call_id = prompt(PHRASES), str(uuid4())
    said = client(WebSocket(server.address, f"/?call_id={call_id}"), pcm, 8000)
    sent = b"".join(clients.java_blocks(pcm))
    assert said == server.text(call_id) == server.reference(sent) != ""


def test_csharp_client(server: Server) -> None:
    pcm, call_id = prompt(LONG), str(uuid4())
    said = clients.csharp_test(WebSocket(server.address, f"/?call_id={call_id}"), pcm)
    assert said == server.text(call_id) == server.reference(pcm) != ""


def test_php_client_sends_its_wav_header_as_audio(server: Server) -> None:
    call_id = str(uuid4())
    said = clients.php_test(WebSocket(server.address, f"/?call_id={call_id}"), wav_file(PHRASES))
    assert said == server.text(call_id) == server.reference(prompt(PHRASES)) != ""


def test_go_client_sees_what_was_not_delivered_before_eof(server: Server) -> None:
    """It throws every other reply away, so it is whole where the audio has no endpoint."""
    pcm, call_id = prompt(SHORT), str(uuid4())
    said = clients.go_main(WebSocket(server.address, f"/?call_id={call_id}"), pcm)
    sent = pcm.ljust(-(-len(pcm) // 8000) * 8000, b"\0")
    assert said == server.text(call_id) == server.reference(sent) != ""
