"""Two channels made of real prompts, through the legs of a call and the embedded model."""

import wave
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ruasr_tel.app_models import recognition
from ruasr_tel.call import Calls, CallsConfig
from ruasr_tel.config import Config
from ruasr_tel.metrics import Metrics
from ruasr_tel.recordings.dialogue import make_dialogue
from ruasr_tel.recordings.model import Channels, Dialogue, Order, Turn
from ruasr_tel.recordings.recognise import RecogniseConfig, bulk_profiles, recognise
from ruasr_tel.recordings.render import Form, render
from ruasr_tel.scheduler import Priority
from ruasr_tel.types import Samples
from tests.core.recordings.sounds import write_wav

PROMPTS = Path(__file__).parents[2] / "data/wav"
RATE_HZ = 8000
LEAK_DB, LEAK_S, NOISE_DB = -25.0, 0.1, -70.0

Sound = npt.NDArray[np.float64]


def line(seconds: float, *said: tuple[float, str], seed: int) -> Sound:
    """One party: prompts by their start in seconds, over line noise."""
    noise = np.random.default_rng(seed).normal(0, 1, round(seconds * RATE_HZ))
    audio: Sound = noise * 32768 * 10 ** (NOISE_DB / 20)
    for at_s, name in said:
        with wave.open(str(PROMPTS / f"{name}.wav")) as prompt:
            samples = np.frombuffer(prompt.readframes(prompt.getnframes()), "<i2")
        at = round(at_s * RATE_HZ)
        audio[at : at + len(samples)] += samples
    return audio


def leaking(party: Sound, other: Sound) -> Sound:
    """A party's line with the other one's faintly on it, a little later."""
    late = round(LEAK_S * RATE_HZ)
    audio = party.copy()
    audio[late:] += other[:-late] * 10 ** (LEAK_DB / 20)
    return audio


def sampled(audio: Sound) -> Samples:
    return np.clip(np.rint(audio), -32768, 32767).astype(np.int16)


async def heard(path: Path) -> Dialogue:
    config = Config()
    async with recognition(config) as parts:
        calls = Calls(
            CallsConfig(max_wait_s=600, finish_timeout_s=600),
            bulk_profiles(config.profiles),
            parts.recognisers,
            parts.batcher,
            lambda _event: None,
            Metrics(),
            priority=Priority.BULK,
        )
        order = Order(upload=path, channels=Channels.SPLIT)
        found = await recognise(path, order, calls, lambda _share: None, RecogniseConfig())
    return make_dialogue(found)


def outline(turns: tuple[Turn, ...]) -> list[tuple[int, str]]:
    """Channel and last word of each turn; that word is recognised without errors."""
    return [(turn.channel, turn.text.split()[-1]) for turn in turns]


async def test_two_parties_in_turn_and_over_each_other(tmp_path: Path) -> None:
    first = line(21.0, (0.5, "agent-alreadyon"), (12.0, "confbridge-begin-glorious-c"), seed=1)
    second = line(21.0, (6.2, "pbx-invalid"), (14.0, "agent-alreadyon"), seed=2)
    dialogue = await heard(write_wav(tmp_path / "a.wav", sampled(first), sampled(second)))
    assert outline(dialogue.turns) == [
        (0, "решетку"),
        (1, "раз"),
        (0, "руководитель"),
        (1, "решетку"),
    ]
    assert [turn.overlaps for turn in dialogue.turns] == [False, False, True, True]
    assert [turn.interrupts for turn in dialogue.turns] == [False, False, False, True]
    assert not any(turn.crosstalk for turn in dialogue.turns)
    agent, caller = dialogue.sides
    assert (agent.interruptions, caller.interruptions) == (0, 1)
    # The prompt of 4.25 s from 12.0 on is spoken over from 14.0 on, but for gaps between words.
    assert 1.5 < agent.overlap_s < 2.25
    assert agent.overlap_s == caller.overlap_s
    assert [text[:3] for text in render(dialogue, Form.TEXT).splitlines()] == [
        "0: ",
        "1: ",
        "0: ",
        "1: ",
    ]


async def test_each_party_leaks_onto_the_other_s_line(tmp_path: Path) -> None:
    """Both say the same word right after one another; neither is taken for the other's echo.

    What leaks of that word is heard, too, in one segment with the party's own: a segment has one
    level, so it stays (docs/dialogue.md).
    """
    first = line(15.0, (0.5, "agent-alreadyon"), (12.0, "digits_8"), seed=1)
    second = line(15.0, (6.4, "pbx-invalid"), (12.8, "digits_8"), seed=2)
    path = write_wav(
        tmp_path / "a.wav", sampled(leaking(first, second)), sampled(leaking(second, first))
    )
    dialogue = await heard(path)
    outlined = outline(dialogue.turns)
    assert outlined[:4] == [(0, "решетку"), (1, "решетку"), (1, "раз"), (0, "раз")]
    assert [turn.crosstalk for turn in dialogue.turns[:4]] == [False, True, False, True]
    own = {0: 12.1, 1: 12.9}  # digits_8 begins with 0.1 s of silence
    for channel, at_s in own.items():
        said = [
            turn.crosstalk
            for turn in dialogue.turns[4:]
            for word in turn.words
            if turn.channel == channel and abs(word.start_s - at_s) < 0.09
        ]
        assert said == [False]
