"""Conversations recorded from vosk-server: the same bytes from our door, but where it fails."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.vosk_ws.fake_calls import FakeCall, FakeCalls, Serve
from tests.adapters.vosk_ws.peers import EMPTY, client, closed

RECORDED = Path(__file__).parents[2] / "data" / "vosk_ws" / "conversations.jsonl"
CONVERSATIONS = [json.loads(line) for line in RECORDED.read_text(encoding="utf-8").splitlines()]

FINAL = '{\n  "text" : "final"\n}'
STAYS_OPEN = 0
OURS: dict[str, tuple[list[str], int]] = {
    "audio, eof without spaces": ([EMPTY, FINAL], 1000),
    "audio, eof with one space": ([EMPTY, FINAL], 1000),
    "audio, eof as binary, eof": ([EMPTY, FINAL], 1000),
    "no bytes, eof": ([EMPTY, '{\n  "text" : ""\n}'], 1000),
    "config without its brace": ([], 1007),
    "config with a word for a rate": ([], 1007),
    "another key": ([EMPTY], STAYS_OPEN),
    "empty text": ([], 1003),
    "text": ([], 1003),
    "1.2 million bytes": ([EMPTY], STAYS_OPEN),
}
"""Where we answer otherwise, on purpose: tolerant eof, longer messages, finer close codes; and no
text without audio, where the recorded stand-in recogniser has some."""


@pytest.mark.parametrize("row", CONVERSATIONS, ids=lambda row: row["case"])
async def test_conversation(calls: FakeCalls, serve: Serve, row: dict[str, Any]) -> None:
    calls.on_push = as_the_stub
    replies, code = OURS.get(row["case"], (row["got"], row["closed"]))
    async with client(await serve(show_words=False)) as peer:
        for message in row["sent"]:
            await peer.send(message_of(message))
        assert [await peer.recv() for _ in replies] == replies
        if code == STAYS_OPEN:
            await peer.close()
        else:
            assert (await closed(peer))[0] == code


def as_the_stub(call: FakeCall, pushes: int) -> None:
    """Give a final with every third message of 200 ms, and one at the end."""
    if pushes % 3 == 0 and len(call.leg.audio[-1]) == 1600:
        call.say("r")
    call.leg.tail = ["final"]


def message_of(recorded: dict[str, Any]) -> str | bytes:
    if "bytes" in recorded:
        return bytes(recorded["bytes"])
    return recorded["binary"].encode() if "binary" in recorded else str(recorded["text"])
