"""The EAGI client as Asterisk starts it, against the real Vosk door and the scripted engine."""

import asyncio
import json
import os
import re
import runpy
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ruasr_tel.audio.codec import Encoding, encode
from ruasr_tel.call import CallsConfig
from ruasr_tel.events import CallEnded, CallStarted, Final, SpeechStarted
from ruasr_tel.hub import Hub
from ruasr_tel.metrics import Metrics
from ruasr_tel.plugins import Server
from ruasr_tel.testing import TIMEOUT_S, Recorder, phrase, running_calls, tone
from ruasr_tel_adapters.vosk_ws import VoskWsConfig, create

SCRIPT = Path(__file__).parents[2] / "dialplan_examples/asterisk/eagi/ruasr_eagi.py"
SPOKEN = encode(phrase((1.0, 1.0)), Encoding.SLIN)


class Script:
    """A running script, and Asterisk's side of it."""

    def __init__(self, process: asyncio.subprocess.Process, audio_fd: int) -> None:
        self.process = process
        self.audio_fd = audio_fd

    async def speak(self, audio: bytes) -> None:
        while audio:  # a pipe holds 64 KiB
            written = await asyncio.to_thread(os.write, self.audio_fd, audio)
            audio = audio[written:]

    async def variables(self) -> dict[str, str]:
        """Answer its commands to its end; return the variables that it set."""
        assert self.process.stdout is not None
        assert self.process.stdin is not None
        found: dict[str, str] = {}
        async for line in self.process.stdout:
            told = re.fullmatch(r'SET VARIABLE (\w+) "(.*)"\n', line.decode())
            assert told is not None
            found[told[1]] = told[2]
            self.process.stdin.write(b"200 result=1\n")
        assert await self.process.wait() == 0
        return found


@asynccontextmanager
async def script(*arguments: str) -> AsyncIterator[Script]:
    """Start it with arguments of EAGI(); its fd 3 never gets an end of file, as in Asterisk."""
    ours, theirs = os.pipe()
    process = await asyncio.create_subprocess_exec(
        "/bin/bash",  # dash redirects no descriptors above 9
        "-c",
        f'exec 3<&{ours}; exec "$0" "$1"',
        sys.executable,
        str(SCRIPT),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        pass_fds=(ours,),
    )
    try:
        assert process.stdin is not None
        head = ["agi_enhanced: 1.0"]
        head += [f"agi_arg_{number}: {word}" for number, word in enumerate(arguments, 1)]
        process.stdin.write(("\n".join(head) + "\n\n").encode())
        async with asyncio.timeout(2 * TIMEOUT_S):
            yield Script(process, theirs)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
        os.close(ours)
        os.close(theirs)


@asynccontextmanager
async def server(events: Recorder, max_calls: int = 10) -> AsyncIterator[str]:
    async with running_calls(config=CallsConfig(max_calls=max_calls), publish=events) as calls:
        door = create(VoskWsConfig(port=0), Server(calls, Hub(), Metrics()))
        await door.start()
        try:
            yield door.url
        finally:
            await door.close()


async def test_the_first_text_is_in_the_variable() -> None:
    events = Recorder()
    async with server(events) as url, script(f"{url}/?call_id=a-1", "30") as own:
        await own.speak(SPOKEN)  # and then nothing at all, as Asterisk does in silence
        assert await own.variables() == {"RUASR_TEXT": "слово слово", "RUASR_STATUS": "OK"}
        (started,) = events.of(CallStarted)
        assert started.call_id == "a-1"


async def test_everything_said_in_the_time_and_in_16_khz() -> None:
    events = Recorder()
    spoken = encode(phrase((1.0, 1.0), (1.0, 1.0), sample_rate_hz=16000), Encoding.SLIN)
    async with server(events) as url, script(url, "1", "all", "16000") as own:
        await own.speak(spoken)
        heard = await own.variables()
        (ended,) = await events.until(CallEnded)
    said = [final.text for final in events.of(Final) if final.text]
    assert len(said) >= 2
    assert heard == {"RUASR_TEXT": " ".join(said), "RUASR_STATUS": "OK"}
    (ledger,) = ended.ledgers.values()
    assert (ledger.sample_rate_hz, ledger.received) == (16000, len(spoken) // 2)


async def test_a_hangup_is_a_signal_and_what_was_said_is_kept() -> None:
    events = Recorder()
    async with server(events) as url, script(url, "60") as own:
        await own.speak(encode(tone(1.0), Encoding.SLIN))
        await events.until(SpeechStarted)
        own.process.send_signal(signal.SIGHUP)
        heard = await own.variables()
    assert (heard["RUASR_STATUS"], heard["RUASR_TEXT"][:5]) == ("HANGUP", "слово")


async def frame(reader: asyncio.StreamReader) -> bytes:
    """Return the payload of a client's next message."""
    size = (await reader.readexactly(2))[1] & 127
    if size == 126:
        size = int.from_bytes(await reader.readexactly(2), "big")
    mask = await reader.readexactly(4)
    masked = await reader.readexactly(size)
    return bytes(byte ^ mask[at % 4] for at, byte in enumerate(masked))


@asynccontextmanager
async def stub(reply: bytes, after: bytes = b"config") -> AsyncIterator[str]:
    """A server that sends `reply` when a message with `after` in it has come, and closes."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        while after not in await frame(reader):
            pass
        writer.write(reply)  # one segment of TCP
        writer.write_eof()
        await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listener:
        yield f"ws://127.0.0.1:{listener.sockets[0].getsockname()[1]}"


def said(text: str) -> bytes:
    """Return a final as a message."""
    payload = json.dumps({"text": text}, ensure_ascii=False).encode()
    size = len(payload)
    head = bytes([size]) if size < 126 else bytes([126]) + size.to_bytes(2, "big")
    return b"\x81" + head + payload


def goodbye(code: int = 1000) -> bytes:
    """Return a close frame."""
    return bytes([0x88, 2]) + code.to_bytes(2, "big")


async def test_a_text_that_comes_with_the_goodbye_is_kept() -> None:
    async with stub(said("слово") + goodbye()) as url, script(url, "60", "all") as own:
        assert await own.variables() == {"RUASR_TEXT": "слово", "RUASR_STATUS": "LOST"}


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (b"", "LOST"),  # it died
        (goodbye(1012), "LOST"),  # it stops, and does not say what it heard
        (goodbye(), "NOTHING"),
        (said("") * 100, "NOTHING"),  # whoever answers everything may close as he likes
    ],
)
async def test_nothing_was_said_only_where_the_server_says_so(reply: bytes, status: str) -> None:
    async with stub(reply, after=b"eof") as url, script(url, "0.1") as own:
        assert await own.variables() == {"RUASR_TEXT": "", "RUASR_STATUS": status}


def test_a_server_that_hangs_at_the_end_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    own: Any = runpy.run_path(str(SCRIPT))
    listening, lost = own["Listening"], own["Lost"]
    monkeypatch.setitem(listening._finish.__globals__, "ANSWER_S", 0.05)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        websocket = own["WebSocket"].__new__(own["WebSocket"])
        websocket._socket, websocket._buffer = ours, b""
        with pytest.raises(lost, match="no answer to the end of the audio"):
            listening(websocket, only_first=False, rate=8000)._finish()


async def test_a_long_text_is_cut_at_a_word_for_asterisk_reads_no_longer_line() -> None:
    long = 'проверка "связи" ' * 100
    async with stub(said(long.strip()) + goodbye()) as url, script(url, "60", "all") as own:
        text = (await own.variables())["RUASR_TEXT"]
    head, dots = text[:-4], text[-4:]
    assert dots == " ..."
    assert 1800 < len(text.encode()) <= 1900
    assert long.replace('"', '\\"').startswith(f"{head} ")


async def test_silence_is_nothing() -> None:
    async with server(Recorder()) as url, script(url, "0.3") as own:
        assert await own.variables() == {"RUASR_TEXT": "", "RUASR_STATUS": "NOTHING"}


async def test_a_full_server_refuses() -> None:
    events = Recorder()
    async with server(events, max_calls=1) as url, script(url, "60") as first:
        await first.speak(SPOKEN[:3200])
        await events.until(CallStarted)
        async with script(url, "60") as second:
            assert (await second.variables())["RUASR_STATUS"] == "REFUSED"


@pytest.mark.parametrize("url", ["", "ws://127.0.0.1:1", "nonsense"])
async def test_without_a_server_it_says_so(url: str) -> None:
    async with script(url, "60") as own:
        assert await own.variables() == {"RUASR_TEXT": "", "RUASR_STATUS": "NOSERVER"}


async def test_a_server_that_stops_is_lost() -> None:
    events = Recorder()
    async with server(events) as url:
        gone = script(url, "60")
        own = await gone.__aenter__()
        await own.speak(SPOKEN[:3200])
        await events.until(CallStarted)
    assert (await own.variables())["RUASR_STATUS"] == "LOST"
    await gone.__aexit__(None, None, None)
