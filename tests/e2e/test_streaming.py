"""Calls into a server whose model hears audio as it comes, by the Vosk door."""

import asyncio
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from ruasr_tel.testing import TIMEOUT_S
from tests.e2e.letters import character_error, transcripts
from tests.e2e.phones import Dialled, prompt
from tests.e2e.server import WAV, running
from tests.layouts_speech import write_speech_tone, write_speech_zipformer

SAID = transcripts()
PROMPT = WAV / "agent-loggedoff.wav"
PACE = 3.0


@pytest.mark.parametrize(
    ("folder", "write"),
    [("T-one", write_speech_tone), ("small-streaming-ru", write_speech_zipformer)],
)
async def test_a_streaming_model_gives_growing_partials_and_finals(
    tmp_path: Path, folder: str, write: Callable[[Path], Path]
) -> None:
    model = write(tmp_path / folder)
    with running(engine__model=model) as server:
        calls = [Dialled(prompt(PROMPT)) for _ in range(2)]
        async with asyncio.timeout(3 * TIMEOUT_S):
            await asyncio.gather(*(each.play(server, "vosk_ws", PACE) for each in calls))
    for each in calls:
        final = " ".join(heard.text for heard in each.heard if heard.final)
        assert character_error(final, SAID[PROMPT.name]) < 0.25
        partials = [heard.text for heard in each.heard if heard.text and not heard.final]
        assert len(set(partials)) > 2
        assert all(later.startswith(earlier) for earlier, later in pairwise(partials))
        assert final.startswith(partials[0].split()[0])
