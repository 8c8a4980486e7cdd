"""Clients that send a message and wait for its reply, each after its own source.

Every one returns the text that it would have shown its user. Sources: vosk-server websocket/ and
client-samples/ (commit c2e82f0), vosk-api python/vosk/transcriber (commit 9adbd76).
"""

import json
from typing import Any

from tests.conformance.websocket import WebSocket

EOF = '{"eof" : 1}'


def pieces(pcm: bytes, size: int) -> list[bytes]:
    """Cut audio as `read(size)` does."""
    return [pcm[at : at + size] for at in range(0, len(pcm), size)]


def ask(socket: WebSocket, message: str | bytes, fragment_bytes: int | None = None) -> Any:
    """Send a message and wait for its reply."""
    socket.send(message, fragment_bytes)
    reply = json.loads(socket.recv())
    assert isinstance(reply, dict)
    return reply


def finish(socket: WebSocket) -> Any:
    """Send eof, read one reply; then only a normal close may come."""
    reply = ask(socket, EOF)
    assert socket.wait_close() == (1000, [])
    return reply


def texts(replies: list[Any]) -> str:
    """Join what a user of a printing client reads as results."""
    return " ".join(reply["text"] for reply in replies if reply.get("text"))


def py_test(socket: WebSocket, pcm: bytes, rate_hz: int) -> str:
    """websocket/test.py, client-samples/python/asr-test.py."""
    socket.send(f'{{ "config" : {{ "sample_rate" : {rate_hz} }} }}')
    replies = [ask(socket, data) for data in pieces(pcm, int(rate_hz * 0.2) * 2)]
    return texts([*replies, finish(socket)])


def py_test_words(socket: WebSocket, pcm: bytes, rate_hz: int) -> str:
    """websocket/test_words.py: a phrase list, words off, a line break in the config."""
    socket.send(
        f"""{{"config" :
                    {{ "phrase_list" : ["zero one two three four five", "six seven eight nine oh"],
                      "sample_rate" : {rate_hz},
                      "words" : 0}}}}"""
    )
    replies = [ask(socket, data) for data in pieces(pcm, int(rate_hz * 0.2) * 2)]
    replies.append(finish(socket))
    assert all(len(reply) == 1 for reply in replies)  # `partial` or `text`, never `result`
    return texts(replies)


def py_test_alternatives(socket: WebSocket, pcm: bytes, rate_hz: int) -> str:
    """websocket/test_alternatives.py."""
    socket.send(f'{{"config" : {{ "max_alternatives" : 20, "sample_rate" : {rate_hz} }} }}')
    replies = [ask(socket, data) for data in pieces(pcm, int(rate_hz * 0.2) * 2)]
    finals = [reply for reply in [*replies, finish(socket)] if "partial" not in reply]
    assert all(list(final) == ["alternatives"] for final in finals)
    best = [final["alternatives"][0] for final in finals]
    assert all(word.keys() == {"end", "start", "word"} for b in best for word in b["result"])
    return texts(best)


def py_test_ffmpeg(socket: WebSocket, pcm: bytes, rate_hz: int) -> str:
    """websocket/test_ffmpeg.py: whatever the file, 16 kHz in reads of 8000 bytes."""
    assert rate_hz == 16000
    socket.send('{ "config" : { "sample_rate" : 16000 } }')
    replies = [ask(socket, data) for data in pieces(pcm, 8000)]
    return texts([*replies, finish(socket)])


def py_test_srt(socket: WebSocket, pcm: bytes, rate_hz: int) -> str:
    """websocket/test_srt.py: subtitles of seven words from `result` alone."""
    socket.send(f'{{ "config" : {{ "sample_rate" : {rate_hz} }} }}')
    results = [ask(socket, data) for data in pieces(pcm, int(rate_hz * 0.2) * 2)]
    results.append(finish(socket))
    return " ".join(subtitles(results))


def subtitles(results: list[Any]) -> list[str]:
    """Compose as both SRT writers do; cues must not overlap or lie outside each other's order."""
    lines: list[str] = []
    end_s = 0.0
    for result in results:
        if "result" not in result:
            continue
        words = result["result"]
        for at in range(0, len(words), 7):
            line = words[at : at + 7]
            assert end_s <= line[0]["start"] < line[-1]["end"]
            end_s = line[-1]["end"]
            lines.append(" ".join(word["word"] for word in line))
    return lines


def vosk_transcriber(socket: WebSocket, pcm: bytes, rate_hz: int) -> str:
    """vosk-transcriber --server: reads of 4000 bytes; txt, srt and json from the same results."""
    socket.send(f'{{ "config" : {{ "sample_rate" : {rate_hz:f} }} }}')
    replies = [ask(socket, data) for data in pieces(pcm, 4000)]
    results = [reply for reply in replies if "partial" not in reply]
    results.append(finish(socket))
    text = " ".join(part["text"] for part in results if part["text"] != "")
    assert " ".join(subtitles(results)) == text
    terms = [word for part in results for word in part.get("result", ())]
    assert all(0 <= term["conf"] <= 1 for term in terms)
    return text


def php_test(socket: WebSocket, file: bytes) -> str:
    """client-samples/php/asr-test.php: no config, the WAV file header and all, fragments of 4096.

    PHP's `feof` is true only after a read that found nothing: the last message is empty when the
    file's length is a multiple of 8000.
    """
    replies = [ask(socket, data, 4096) for data in [*pieces(file, 8000), b""]]
    return texts([*replies, finish(socket)])


def go_main(socket: WebSocket, pcm: bytes) -> str:
    """client-samples/golang/main.go: looks at the reply to eof alone; the last read is padded."""
    for data in pieces(pcm, 8000):
        ask(socket, data.ljust(8000, b"\0"))
    return str(finish(socket)["text"])


def csharp_test(socket: WebSocket, pcm: bytes) -> str:
    """client-samples/csharp/test.cs: one `ReceiveAsync` into 4096 bytes per reply."""
    replies = []
    messages: list[str | bytes] = [*pieces(pcm, 8000), EOF]
    for data in messages:
        socket.send(data)
        message = socket.recv()
        assert len(message.encode()) <= 4096  # the rest would be read as the next reply
        replies.append(json.loads(message))
    assert socket.wait_close() == (1000, [])
    return texts(replies)


def java_client(socket: WebSocket, pcm: bytes, rate_hz: int) -> str:
    """VoskClient.java: a latch per message, every reply is kept; the last block is stale bytes."""
    socket.send(f'{{ "config" : {{ "sample_rate" : {rate_hz} }} }}')
    replies = [ask(socket, data) for data in java_blocks(pcm)]
    return texts([*replies, finish(socket)])


def java_mic(socket: WebSocket, pcm: bytes, rate_hz: int) -> str:
    """VoiceClientWithMic.java: a result is a message that does not contain `partial`."""
    socket.send(f'{{ "config" : {{ "sample_rate" : {rate_hz} }} }}')
    results = []
    messages: list[str | bytes] = [*java_blocks(pcm), EOF]
    for message in messages:
        socket.send(message)
        reply = socket.recv()
        if "partial" not in reply:
            results.append(json.loads(reply))
    assert socket.wait_close() == (1000, [])
    return texts(results)


def java_blocks(pcm: bytes) -> list[bytes]:
    """Cut into blocks of 1024 frames; a short read leaves the end of the block before it."""
    block = bytes(2048)
    blocks = []
    for data in pieces(pcm, 2048):
        block = data + block[len(data) :]
        blocks.append(block)
    return blocks
