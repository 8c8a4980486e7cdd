from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruasr_tel.audio.codec import Decoder, Encoding, encode
from ruasr_tel.progress.music import (
    FRAME_SAMPLES,
    NOTES,
    Music,
    MusicFinder,
    lines,
    share_of_notes,
)
from ruasr_tel.progress.tones import RATE_HZ
from ruasr_tel.types import Waveform
from tests.core.progress.sounds import melody, sounds
from tests.core.progress.test_tones import prompts, read

KEYS = [(697.0, 1209.0), (770.0, 1336.0), (852.0, 1477.0), (941.0, 1336.0), (697.0, 1477.0)]
SIT = [(950.0, 0.33), (1400.0, 0.33), (1800.0, 0.33), (0.0, 1.0)]


def music(audio: Waveform) -> list[Music]:
    return MusicFinder().push(audio)


def through_pcma(audio: Waveform) -> Waveform:
    samples = (audio.clip(-1, 1) * 32767).astype(np.int16)
    decoded = Decoder(Encoding.PCMA).decode(encode(samples, Encoding.PCMA))
    return decoded.astype(np.float32) / np.float32(32768)


def keys(on_s: float, off_s: float, count: int) -> Waveform:
    pressed = [
        sum((sounds((hz, on_s)) for hz in KEYS[key % len(KEYS)]), sounds((0, on_s)))
        for key in range(count)
    ]
    return np.concatenate([part for key in pressed for part in (key, sounds((0, off_s)))])


@settings(max_examples=12, deadline=None)
@given(
    seed=st.integers(0, 1000),
    beat_s=st.floats(0.15, 0.6),
    level_db=st.floats(-35, -3),
    before_s=st.floats(0, 2),
)
def test_music_is_told_once_within_five_seconds(
    seed: int, beat_s: float, level_db: float, before_s: float
) -> None:
    tune = melody(seed, seconds=8, beat_s=beat_s, level_db=level_db)
    (found,) = music(np.concatenate((sounds((0, before_s)), through_pcma(tune))))
    assert found.end <= (before_s + 5) * RATE_HZ
    assert found.start <= found.end
    assert 0 < found.share <= 1.5  # lines side by side share their lobes


@settings(max_examples=10, deadline=None)
@given(cuts=st.lists(st.integers(0, 48000), max_size=30))
def test_any_split_of_the_audio_gives_the_same_music(cuts: list[int]) -> None:
    audio = melody(1, seconds=6)
    finder = MusicFinder()
    marks = [0, *sorted(cuts), len(audio)]
    split = [each for at, end in pairwise(marks) for each in finder.push(audio[at:end])]
    assert split == music(audio)
    assert len(split) == 1


def test_music_is_told_anew_after_ten_seconds_without_it() -> None:
    tune = melody(2, seconds=6)
    soon = np.concatenate((tune, sounds((0, 4.0)), tune))
    late = np.concatenate((tune, sounds((0, 14.0)), tune))
    assert len(music(soon)) == 1
    first, second = music(late)
    assert second.end - first.end > 14 * RATE_HZ


def test_music_in_noise_is_music() -> None:
    tune = melody(3, seconds=8)
    noise = np.random.default_rng(3).normal(0, tune.std() * 10 ** (-15 / 20), len(tune))
    assert len(music((tune + noise).astype(np.float32))) == 1


@pytest.mark.parametrize("cut", [False, True], ids=["clean", "PCMA"])
def test_prompts_hold_no_music(request: pytest.FixtureRequest, cut: bool) -> None:
    spoken = np.concatenate([read(path) for path in prompts(request.config.rootpath)])
    assert music(through_pcma(spoken) if cut else spoken) == []


@pytest.mark.parametrize(
    "audio",
    [
        np.zeros(80_000, np.float32),
        np.random.default_rng(0).normal(0, 0.1, 80_000).astype(np.float32),
        sounds(*[(425, 1.0), (0, 4.0)] * 3, noise=True),
        sounds(*[(425, 0.35), (0, 0.35)] * 12, noise=True),
        sounds(*SIT * 4, noise=True),
        sounds((0, 3.0), (1004, 8.0), noise=True),
        sounds((2100, 4.0), (0, 1.0), noise=True),
        sounds(*[(1100, 0.5), (0, 3.0)] * 3, noise=True),
        keys(0.1, 0.1, 40),
        keys(0.3, 0.2, 20),
    ],
    ids=["silence", "noise", "ring", "busy", "sit", "tone", "ced", "cng", "keys", "slow keys"],
)
def test_other_sounds_are_no_music(audio: Waveform) -> None:
    assert music(audio) == []
    assert music(through_pcma(audio)) == []


def test_hum_under_speech_is_no_music(request: pytest.FixtureRequest) -> None:
    spoken = np.concatenate([read(path) for path in prompts(request.config.rootpath)])
    at = np.arange(len(spoken)) / RATE_HZ
    hum = sum(np.sin(2 * np.pi * 50 * k * at) / k for k in range(1, 60))
    assert music((spoken + 0.02 * hum).astype(np.float32)) == []


def test_a_line_has_the_share_of_its_tone() -> None:
    tone = sounds((1000, 0.512), level_db=-10) + sounds((2000, 0.512), level_db=-10)
    (found,) = lines(tone[None, :])
    assert np.count_nonzero(found) == 2
    assert found[found > 0] == pytest.approx([0.5, 0.5], abs=0.02)
    assert not lines(np.zeros((1, FRAME_SAMPLES), np.float32)).any()


def test_notes_are_many_lines_that_do_not_stand_still() -> None:
    frames = np.zeros((24, 200), np.float32)
    for note in range(NOTES):
        frames[2 * note : 2 * note + 2, 5 * note] = 0.5
    assert share_of_notes(frames) == 0.5
    assert share_of_notes(frames[:, 5:]) == 0  # one note less
    standing = np.tile(frames.max(axis=0), (24, 1))
    assert share_of_notes(standing) == 0
