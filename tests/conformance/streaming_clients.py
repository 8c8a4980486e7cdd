"""Clients that do not wait for replies, each after its own source.

Sources: vosk-server client-samples/ (commit c2e82f0); jitsi/jigasi VoskTranscriptionService.java
(commit 6fbf4f2); public Discord bots and ESP32 boards.
"""

import json
from typing import Any

from tests.conformance.lockstep_clients import EOF, pieces, texts
from tests.conformance.websocket import WebSocket


def pipeline(socket: WebSocket, messages: list[bytes]) -> list[Any]:
    """Send message after message; read what is there in between, as an event loop does."""
    heard = []
    for message in messages:
        socket.send(message)
        while socket.readable():
            heard.append(json.loads(socket.recv()))
    return heard


def node_test(socket: WebSocket, file: bytes) -> str:
    """client-samples/node/test.js: pipes the WAV file in 64 KiB chunks; ends at the close."""
    messages = pieces(file, 65536)
    heard = pipeline(socket, messages)
    socket.send(EOF)
    code, rest = socket.wait_close()
    assert code == 1000
    heard += [json.loads(message) for message in rest]
    assert len(heard) == len(messages) + 1
    return texts(heard)


def js_worklet(socket: WebSocket, pcm: bytes) -> str:
    """voice_client_with_audio_worklet.js: 4096 samples a message; eof, then close at once."""
    heard = pipeline(socket, pieces(pcm, 8192))
    socket.send(EOF)
    socket.close_unheard()
    assert all(parsed.get("result") != [] for parsed in heard)
    return texts(heard)


def angular_dictate(socket: WebSocket, pcm: bytes) -> str:
    """angular-demo dictate-service.ts: blobs of 250 ms; partials and texts by key."""
    heard = pipeline(socket, pieces(pcm, 4000))
    socket.send(EOF)
    heard += [json.loads(message) for message in socket.wait_close()[1]]
    results = []
    for res in heard:
        assert "continue" not in res
        if not res.get("partial") and res.get("text"):
            results.append(res["text"])
    return " ".join(results)


def jigasi_streaming(socket: WebSocket, pcm: bytes) -> str:
    """Jigasi: config with the first audio, 48 kHz, pipelined; `partial`, else `text`, not null."""
    socket.send('{"config" : {"sample_rate" : 48000.0 }}')
    heard = pipeline(socket, pieces(pcm, 32768))
    socket.send(EOF)
    heard += [json.loads(message) for message in socket.wait_close()[1]]
    shown: list[tuple[bool, str]] = []
    for obj in heard:
        partial = "partial" in obj
        result = obj["partial"] if partial else obj["text"]
        assert isinstance(result, str)  # String.isEmpty() of null ends the session
        if result and (not partial or not shown or shown[-1][1] != result):
            shown.append((partial, result))
    return " ".join(result for partial, result in shown if not partial)


def jigasi_single(socket: WebSocket, pcm: bytes) -> str:
    """Jigasi's single request: everything in one message; waits for the server to close."""
    socket.send('{"config" : {"sample_rate" : 48000.0}}')
    socket.send(pcm)
    socket.send(EOF)
    code, messages = socket.wait_close()
    assert (code, len(messages)) == (1000, 2)
    return texts([json.loads(message) for message in messages])


def discord_bot(socket: WebSocket, file: bytes) -> str:
    """A config, a WAV file in one message, eof: a first and a last reply."""
    socket.send('{"config": {"sample_rate": 8000}}')
    socket.send(file)
    socket.send('{"eof": 1}')
    code, messages = socket.wait_close()
    assert (code, len(messages)) == (1000, 2)
    return texts([json.loads(message) for message in messages])


def esp32(socket: WebSocket, pcm: bytes) -> str:
    """An id of its own first, eof as a binary message without spaces."""
    socket.send('{"id":"kitchen"}')
    heard = pipeline(socket, pieces(pcm, 1024))
    socket.send(b'{"eof":1}')
    heard += [json.loads(message) for message in socket.wait_close()[1]]
    return texts(heard)
