import wave
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruasr_tel.progress.tones import Tone, ToneFinder, is_real, pitches
from ruasr_tel.types import Waveform
from tests.core.progress.sounds import sounds

EDGE = 240
"""A tone's edge is known to 30 ms."""


def tones(audio: Waveform) -> list[Tone]:
    return [moment.ended for moment in ToneFinder().push(audio) if moment.ended is not None]


@settings(max_examples=40, deadline=None)
@given(
    hz=st.floats(400, 2150),
    level_db=st.floats(-40, -3),
    seconds=st.floats(0.15, 1.5),
    noise=st.booleans(),
)
def test_a_tone_is_found_where_it_is(
    hz: float, level_db: float, seconds: float, noise: bool
) -> None:
    audio = sounds((0, 0.5), (hz, seconds), (0, 0.5), level_db=level_db, noise=noise)
    (tone,) = tones(audio)
    assert tone.hz == pytest.approx(hz, abs=6)
    assert abs(tone.start - 4000) <= EDGE
    assert abs(tone.end - (4000 + seconds * 8000)) <= EDGE


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 16000), max_size=30))
def test_any_split_of_the_audio_gives_the_same_moments(cuts: list[int]) -> None:
    audio = sounds((0, 0.3), (1000, 0.5), (0, 0.4), (425, 0.8), noise=True)
    finder = ToneFinder()
    marks = [0, *sorted(min(cut, len(audio)) for cut in cuts), len(audio)]
    split = [m for at, end in pairwise(marks) for m in finder.push(audio[at:end])]
    whole = list(ToneFinder().push(audio))
    assert [(m.now, m.ended is None) for m in split] == [(m.now, m.ended is None) for m in whole]
    for one, other in zip(split, whole, strict=True):
        for a, b in ((one.sounding, other.sounding), (one.ended, other.ended)):
            assert (a is None) == (b is None)
            if a is not None and b is not None:
                assert (a.start, a.end) == (b.start, b.end)
                assert a.hz == pytest.approx(b.hz, abs=1e-3)


def test_a_click_does_not_cut_a_tone_in_two() -> None:
    audio = sounds((0, 0.2), (1000, 1.0), (0, 0.2))
    audio[5000:5010] = 0.9
    assert len(tones(audio)) == 1


@pytest.mark.parametrize(
    "audio",
    [
        np.zeros(8000, np.float32),
        np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32),
        sounds((697, 0.5)) + sounds((1209, 0.5)),  # the digit 1
        sounds((1000, 0.06), (0, 0.2)),
        sounds((300, 1.0), (0, 0.2)),
        sounds((2500, 1.0), (0, 0.2)),
        sounds((1000, 1.0), (0, 0.2), level_db=-55),
    ],
    ids=["zeros", "noise", "dtmf", "too short", "too low", "too high", "too quiet"],
)
def test_other_sounds_are_no_tones(audio: Waveform) -> None:
    assert tones(audio) == []


def test_a_young_tone_is_not_real_yet() -> None:
    assert not is_real(Tone(0, 640, 425.0))
    assert is_real(Tone(0, 800, 425.0))


def test_the_pitch_of_full_scale_and_of_nothing() -> None:
    frames = np.stack([sounds((1000, 0.032), level_db=0), np.zeros(256, np.float32)])
    assert pitches(frames) == pytest.approx([1000, 0], abs=3)


def test_prompts_hold_no_tone_of_the_network(request: pytest.FixtureRequest) -> None:
    for path in prompts(request.config.rootpath):
        assert [tone for tone in tones(read(path)) if 410 <= tone.hz <= 440] == []


def prompts(root: Path) -> list[Path]:
    found = sorted((root / "tests/data/wav").glob("*.wav"))
    assert found
    return found


def read(path: Path) -> Waveform:
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return samples.astype(np.float32) / np.float32(32768)
