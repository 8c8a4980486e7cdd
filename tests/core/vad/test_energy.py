import wave
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruasr_tel.types import Waveform
from ruasr_tel.vad.base import VadState
from ruasr_tel.vad.energy import EnergyVad

PROMPTS = sorted((Path(__file__).parents[3] / "tests/data/wav").glob("*.wav"))


def noise(level_db: float, windows: int, seed: int = 0) -> Waveform:
    """White noise at a level in dB of full scale, shape (windows, 256)."""
    rng = np.random.default_rng(seed)
    return rng.normal(0, 10 ** (level_db / 20), (windows, 256)).astype(np.float32)


def score(windows: Waveform) -> list[float]:
    vad = EnergyVad()
    (probabilities,) = vad.score([(vad.new_state(), windows)])
    assert probabilities.dtype == np.float32
    return [float(probability) for probability in probabilities]


@pytest.mark.parametrize("level_db", [-90, -70, -60])
def test_an_idle_line_is_no_speech(level_db: float) -> None:
    assert max(score(noise(level_db, 100))) < 0.1


def test_digital_silence_is_no_speech() -> None:
    assert max(score(np.zeros((100, 256), np.float32))) < 0.1


def test_what_stands_out_of_the_noise_is_speech() -> None:
    probabilities = score(
        np.concatenate((noise(-60, 50), noise(-30, 30), noise(-60, 50), noise(-35, 5)))
    )

    assert max(probabilities[:50]) < 0.1
    assert min(probabilities[50:80]) > 0.9
    assert max(probabilities[80:130]) < 0.1
    assert min(probabilities[130:]) > 0.9


def test_speech_at_the_very_start_is_heard() -> None:
    assert score(noise(-30, 1))[0] > 0.9


def test_noise_that_stays_becomes_the_floor() -> None:
    probabilities = score(noise(-40, 400))

    assert probabilities[0] > 0.9
    # 20 dB over the first floor less the margin of 12, at 3 dB a second: 2.7 s are 83 windows.
    assert probabilities[60] > 0.5
    assert max(probabilities[110:]) < 0.5
    assert max(probabilities[250:]) < 0.1


@pytest.mark.parametrize("path", PROMPTS, ids=lambda path: path.stem)
def test_most_of_a_real_prompt_is_speech(path: Path) -> None:
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
    whole = samples[: len(samples) // 256 * 256].astype(np.float32).reshape(-1, 256) / 32768

    probabilities = np.array(score(np.concatenate((noise(-68, 15), whole, noise(-68, 15)))))

    assert probabilities[:15].max() < 0.2
    assert probabilities[-10:].max() < 0.2
    assert (probabilities[15:-15] > 0.5).mean() > 0.65


@given(cuts=st.lists(st.integers(0, 60), max_size=5))
def test_the_answer_does_not_depend_on_how_windows_were_handed_over(cuts: list[int]) -> None:
    windows = np.concatenate((noise(-60, 20), noise(-30, 20), noise(-50, 20)))
    places = [0, *sorted(cuts), 60]
    vad = EnergyVad()
    state = vad.new_state()

    parts = [vad.score([(state, windows[start:end])])[0] for start, end in pairwise(places)]

    assert np.concatenate(parts).tolist() == score(windows)


def test_each_leg_has_its_own_floor() -> None:
    vad = EnergyVad()
    quiet, loud = vad.new_state(), vad.new_state()
    vad.score([(quiet, noise(-65, 300)), (loud, noise(-35, 300))])

    at_quiet, at_loud = vad.score([(quiet, noise(-35, 1)), (loud, noise(-35, 1))])

    assert at_quiet[0] > 0.9
    assert at_loud[0] < 0.1


def test_a_state_of_another_detector_is_our_own_bug() -> None:
    with pytest.raises(AssertionError, match="a state of another detector"):
        EnergyVad().score([(VadState(), np.zeros((1, 256), np.float32))])
