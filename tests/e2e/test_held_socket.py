"""A listening socket that outlives the server, as systemd's socket unit holds it."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from tests.e2e.letters import character_error, transcripts
from tests.e2e.phones import Dialled, prompt
from tests.e2e.server import WAV, HeldSocket, running, starting

FILE = WAV / "vm-intro.wav"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


@pytest.mark.slow  # two servers start, one after the other
async def test_a_call_that_comes_after_a_crash_is_heard_by_the_next_server(
    listener: socket.socket,
) -> None:
    held = HeldSocket("audiosocket", listener.fileno())
    url = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
    with running(held) as crashed:
        assert crashed.urls["audiosocket"] == url
        crashed.process.kill()
        crashed.wait()
    dialled = Dialled(prompt(FILE))
    playing = asyncio.create_task(dialled.play_to(url, "audiosocket", pace=1.5))
    with starting(held) as server:
        await asyncio.to_thread(server.until_ready)
        await playing
        (end,) = await asyncio.to_thread(server.ended, dialled.call_id)
    text = " ".join(final["text"] for final in server.of("Final", dialled.call_id))
    assert character_error(text, transcripts()[FILE.name]) < 0.1
    (ledger,) = end["ledgers"].values()
    assert ledger["received"] >= len(dialled.samples)


def test_a_unit_that_is_named_like_no_door_is_told(listener: socket.socket) -> None:
    with running(HeldSocket("audio", listener.fileno())) as server:
        (line,) = server.said("connections to a socket unit will wait in vain")
        assert line["unit"] == "audio"
        assert server.port("audiosocket") != listener.getsockname()[1]
