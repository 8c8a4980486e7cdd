"""The EAGI client as Asterisk starts it, against the real Vosk door and the scripted engine."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

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


async def test_a_text_that_comes_with_the_goodbye_is_kept() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        await reader.readexactly(2)  # its first message begins
        text = '{"text" : "слово"}'.encode()
        goodbye = bytes([0x88, 2]) + (1000).to_bytes(2, "big")
        writer.write(bytes([0x81, len(text)]) + text + goodbye)  # one segment of TCP
        await reader.read()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        async with script(f"ws://127.0.0.1:{port}", "60", "all") as own:
            assert await own.variables() == {"RUASR_TEXT": "слово", "RUASR_STATUS": "LOST"}


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
