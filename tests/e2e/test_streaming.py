"""Calls into a server whose model hears audio as it comes, by the Vosk door."""

import asyncio
from itertools import pairwise
from pathlib import Path

import pytest

from ruasr_tel.testing import TIMEOUT_S
from tests.e2e.letters import character_error, transcripts
from tests.e2e.phones import Dialled, prompt
from tests.e2e.server import WAV, Server, running
from tests.layouts_speech import write_speech_tone, write_speech_zipformer

SAID = transcripts()
PROMPT = WAV / "agent-loggedoff.wav"
PACE = 1.5


def finals(call: Dialled) -> list[str]:
    """Every final that is not empty."""
    return [heard.text for heard in call.heard if heard.final and heard.text]


def partials(call: Dialled) -> list[str]:
    """Every partial that is not empty."""
    return [heard.text for heard in call.heard if heard.text and not heard.final]


async def test_a_streaming_model_gives_partials_and_finals(tmp_path: Path) -> None:
    model = write_speech_zipformer(tmp_path / "small-streaming-ru")
    with running(engine__model=model) as server:
        calls = [Dialled(prompt(PROMPT)) for _ in range(2)]
        async with asyncio.timeout(3 * TIMEOUT_S):
            await asyncio.gather(*(each.play(server, "vosk_ws", PACE) for each in calls))
    for each in calls:
        final = " ".join(finals(each))
        assert character_error(final, SAID[PROMPT.name]) < 0.25
        told = partials(each)
        assert told  # how many depends on how busy the machine is
        assert all(later.startswith(earlier) for earlier, later in pairwise(told))
        assert final.startswith(told[0].split()[0])


@pytest.mark.slow  # the tests' T-one hears its whole window anew in every chunk
async def test_two_passes_take_partials_from_one_model_and_finals_from_another(
    server: Server, tmp_path: Path
) -> None:
    streaming = write_speech_tone(tmp_path / "T-one")
    once, twice = Dialled(prompt(PROMPT)), Dialled(prompt(PROMPT))
    with running(profiles__default__partials__model=streaming) as both:
        async with asyncio.timeout(3 * TIMEOUT_S):
            await asyncio.gather(
                once.play(server, "vosk_ws", PACE), twice.play(both, "vosk_ws", PACE)
            )
    assert finals(twice) == finals(once) != []  # the offline model's, to the letter
    told = partials(twice)
    assert told  # how many depends on how busy the machine is
    assert all(later.startswith(earlier) for earlier, later in pairwise(told))
