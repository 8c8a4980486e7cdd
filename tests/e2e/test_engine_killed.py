"""kill -9 of the engine process under twenty calls."""

import asyncio
import os
import signal

from ruasr_tel.testing import TIMEOUT_S
from tests.e2e.letters import character_error, transcripts
from tests.e2e.phones import Dialled, prompt
from tests.e2e.server import WAV, running

CALLS = 20
FILE = WAV / "pbx-invalid.wav"


async def test_no_final_is_lost_when_the_engine_is_killed_under_twenty_calls() -> None:
    with running() as server:
        first = server.engine_pid
        dialled = [Dialled(prompt(FILE)) for _ in range(CALLS)]
        doors = ["audiosocket", "vosk_ws"] * (CALLS // 2)
        async with asyncio.timeout(6 * TIMEOUT_S):
            calls = [
                asyncio.create_task(call.play(server, door, pace=2.0))
                for call, door in zip(dialled, doors, strict=True)
            ]
            # All calls end together: at the first final the engine holds those of the others.
            await asyncio.to_thread(server.until, lambda: bool(server.of("Final")), "final")
            os.kill(first, signal.SIGKILL)
            await asyncio.gather(*calls)
        ends = await asyncio.to_thread(server.ended, *(call.call_id for call in dialled))
        await asyncio.to_thread(server.until, lambda: server.engine_pid != first, "new engine")
        assert [line["reason"] for line in server.said("engine process ended")] == [
            "killed by SIGKILL"
        ]
        assert server.stop() == 0
    said = transcripts()[FILE.name]
    for call, ended in zip(dialled, ends, strict=True):
        (ledger,) = ended["ledgers"].values()
        assert (ledger["difference"], ledger["dropped"]) == (0, {})
        finals = server.of("Final", call.call_id)
        assert [final["error"] for final in finals] == [None] * ended["finals"]
        assert character_error(" ".join(final["text"] for final in finals), said) < 0.1
