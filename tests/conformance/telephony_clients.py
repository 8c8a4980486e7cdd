"""Clients inside a PBX, at the pace of a call: 20 ms of audio every 20 ms.

Sources: alphacep/vosk-asterisk res_speech_vosk.c; alphacep/freeswitch mod_vosk.c (commit d118d67e
and its forerunner; signalwire/freeswitch 24c5e1e feeds, reads and closes alike); vosk-server
client-samples/asterisk (commit c2e82f0).
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.conformance.lockstep_clients import EOF, ask, pieces
from tests.conformance.websocket import BINARY, PING, PONG, TEXT, WebSocket

FRAME_BYTES = 320
FRAME_S = 0.02
SILENCE = bytes(FRAME_BYTES)
PATIENCE_S = 20.0
"""Silence on the line after which a call gives up waiting for its text."""


def line(
    pcm: bytes, is_heard: Callable[[], bool], frame_bytes: int = FRAME_BYTES
) -> Iterator[bytes]:
    """Yield a caller's audio at the pace of a call, then silence until the call has its text."""
    frame_s = frame_bytes / FRAME_BYTES * FRAME_S
    due_s = time.monotonic()
    frames = [piece.ljust(frame_bytes, b"\0") for piece in pieces(pcm, frame_bytes)]
    for n in range(len(frames) + round(PATIENCE_S / frame_s)):
        if n >= len(frames) and is_heard():
            return
        due_s += frame_s
        time.sleep(max(due_s - time.monotonic(), 0))  # the pace of a call is what is simulated
        yield frames[n] if n < len(frames) else bytes(frame_bytes)


class ResSpeechVosk:
    """Asterisk's speech engine: at most one read per 20 ms write, one utterance per prompt.

    Args:
        socket: connected with `Sec-WebSocket-Protocol: ws`.
    """

    def __init__(self, socket: WebSocket) -> None:
        assert socket.response.get("sec-websocket-protocol", "ws") == "ws"
        self._socket = socket
        self._buffer = b""
        self.last_result = ""
        self.results: list[str] = []

    def write(self, frame: bytes) -> None:
        """vosk_recog_write(), on the channel's thread."""
        self._buffer += frame
        if len(self._buffer) == 3200:
            self._socket.send_frame(BINARY, self._buffer)
            self._buffer = b""
        if self._socket.readable():
            opcode, payload = self._socket.read_frame()
            # A PING would be answered and then block this thread until a text comes, for which
            # this thread would have to send audio first.
            assert opcode == TEXT, opcode
            assert len(payload) < 65536
            self._take(json.loads(payload))

    def destroy(self) -> None:
        """vosk_recog_destroy(): eof, close, shut; nobody reads the answer."""
        self._socket.send(EOF)
        self._socket.leave(1000)

    def _take(self, reply: dict[str, Any]) -> None:
        if reply.get("partial"):
            self.last_result = reply["partial"]
        elif reply.get("text"):
            self.results.append(reply["text"])  # state DONE: SpeechBackground returns


class ModVosk:
    """FreeSWITCH's ASR module: at most one frame read per feed, and only the last one is kept.

    Args:
        socket: connected.
        return_json: the parameter of vosk.conf.xml.
        old: as before commit d118d67e: partials are skipped at the feed.
    """

    def __init__(self, socket: WebSocket, *, return_json: bool = False, old: bool = False) -> None:
        self._socket = socket
        self._buffer = b""
        self._return_json = return_json
        self._old = old
        self._result: str | None = None
        self.partials: list[str] = []
        self.results: list[str] = []

    def feed(self, frame: bytes) -> None:
        """vosk_asr_feed(), then what switch_ivr_async.c does: check, get from another thread.

        The other thread is late by one frame here, so a reply that came right after a final would
        overwrite it.
        """
        self._buffer += frame
        if len(self._buffer) > 3200:
            self._socket.send_frame(BINARY, self._buffer[:3200])
            self._buffer = self._buffer[3200:]
        waiting = self._check_results()
        if self._socket.readable():
            self._read()
        if waiting:
            self._get_results()

    def _read(self) -> None:
        opcode, payload = self._socket.read_frame()
        if opcode == PING:
            self._socket.send_frame(PONG, payload)
            return
        assert opcode == TEXT, opcode  # others are not NUL-terminated
        message = payload.decode()
        if self._old and '"partial"' in message:
            return
        self._result = message

    def _check_results(self) -> bool:
        return self._result is not None and (self._old or '""' not in self._result)

    def _get_results(self) -> None:
        assert self._result is not None
        message, self._result = self._result, None
        if self._return_json:
            is_partial, text = '"partial"' in message, message
        else:
            reply = json.loads(message)
            assert ("text" in reply) != ("partial" in reply)  # none: GENERR, the detection ends
            is_partial = "text" not in reply
            text = reply["partial"] if is_partial else reply["text"]
        (self.partials if is_partial else self.results).append(text)

    def close(self) -> None:
        """vosk_asr_close(): an unmasked close frame with KWS_CLOSE_SOCK as its code, no eof."""
        self._socket.leave(1, masked=False)


def py_eagi(socket: WebSocket, pcm: bytes, is_heard: Callable[[list[str]], bool]) -> list[str]:
    """client-samples/asterisk/eagi.py: acts on `result` alone, never sends eof."""
    socket.send('{ "config" : { "sample_rate" : 8000 } }')
    said: list[str] = []
    for data in line(pcm, lambda: is_heard(said), 8000):
        reply = ask(socket, data)
        if "result" in reply:
            said.append(" ".join(word["word"] for word in reply["result"]))
    socket.leave()
    return said


def php_agi(socket: WebSocket, pcm: bytes, keyword: str) -> tuple[bool, list[str]]:
    """client-samples/asterisk/eagi_phpagi.php: keywords in partials, then eof and one read.

    Returns:
        Whether the keyword was seen in a partial, and the finals that it received.
    """
    socket.send('{ "config" : { "sample_rate" : 8000 } }')
    seen = False
    previous = ""
    finals = []
    for data in line(pcm, lambda: True, 8192):
        reply = ask(socket, data, 8192)
        if reply.get("partial") and reply["partial"] != previous:
            previous = reply["partial"]
            seen = seen or re.search(keyword, previous) is not None
        finals.append(reply.get("text", ""))
    finals.append(ask(socket, EOF)["text"])
    socket.leave()
    return seen, [text for text in finals if text]


def py_microphone(
    socket: WebSocket, pcm: bytes, is_heard: Callable[[list[str]], bool]
) -> list[str]:
    """websocket/test_microphone.py: 4000 samples a block until Ctrl-C, which ends the process."""
    socket.send('{ "config" : { "sample_rate" : 8000 } }')
    said: list[str] = []
    for data in line(pcm, lambda: is_heard(said), 8000):
        reply = ask(socket, data)
        if reply.get("text"):
            said.append(reply["text"])
    socket.leave(None)
    return said
