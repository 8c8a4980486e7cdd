import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruasr_tel.audio.level import QUIETEST_DB
from ruasr_tel.recordings.levels import Levels, same_party
from ruasr_tel.testing import silence, tone
from ruasr_tel.types import Samples

FULL_SINE_DB = -3.01


def square(level: int, seconds: float = 1.0) -> Samples:
    return np.full(round(seconds * 8000), level, np.int16)


def test_a_level_is_the_mean_power_over_the_stretches_in_dbfs() -> None:
    levels = Levels(2, 8000)
    left = np.concatenate([square(-32768), square(3277)])
    levels.push([left, tone(2.0, level=32767)])

    assert levels.duration_s == 2.0
    assert levels.mean_db(0, [(0.0, 1.0)]) == 0.0
    assert levels.mean_db(0, [(1.0, 2.0)]) == pytest.approx(-20.0, abs=0.01)
    assert levels.mean_db(0, [(0.0, 1.0), (1.0, 2.0)]) == pytest.approx(-2.967, abs=0.01)
    assert levels.mean_db(1, [(0.5, 1.5)]) == pytest.approx(FULL_SINE_DB, abs=0.01)


def test_digital_silence_has_the_quietest_level_and_nothing_has_none() -> None:
    levels = Levels(1, 8000)
    levels.push([square(0)])
    assert levels.mean_db(0, [(0.0, 1.0)]) == QUIETEST_DB
    assert levels.mean_db(0, [(1.0, 2.0)]) is None
    assert levels.mean_db(0, []) is None


def test_a_stretch_shorter_than_a_grain_has_the_level_of_its_grain() -> None:
    levels = Levels(1, 8000)
    levels.push([square(-32768)])
    assert levels.mean_db(0, [(0.5, 0.5)]) == 0.0


@pytest.mark.parametrize("rate_hz", [8000, 11025, 44100])
def test_grains_do_not_drift_at_uneven_rates(rate_hz: int) -> None:
    levels = Levels(1, rate_hz)
    loud = np.full(rate_hz, -32768, np.int16)
    quiet = np.zeros(600 * rate_hz, np.int16)
    levels.push([np.concatenate([quiet, loud])])
    assert levels.mean_db(0, [(600.05, 600.95)]) == 0.0
    assert levels.mean_db(0, [(599.0, 599.9)]) == QUIETEST_DB


@given(cuts=st.lists(st.integers(0, 8000), max_size=8))
def test_any_split_of_the_audio_gives_the_same_levels(cuts: list[int]) -> None:
    audio = tone(1.0)
    whole, cut = Levels(1, 8000), Levels(1, 8000)
    whole.push([audio])
    for part in np.split(audio, sorted(cuts)):
        cut.push([part])
    spans = [(0.1, 0.35), (0.5, 1.0)]
    assert cut.mean_db(0, spans) == whole.mean_db(0, spans)


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        (tone(1.0), tone(1.0), True),
        (tone(1.0), (tone(1.0) // 10).astype(np.int16), True),
        (tone(1.0), -tone(1.0), True),
        (tone(1.0), tone(1.0, hz=300.0), False),
        (tone(1.0), silence(1.0), False),
        (tone(1.0), square(0), False),
        (silence(1.0), square(0), True),
        (square(0), square(0), True),
    ],
)
def test_two_channels_are_one_party_or_two(left: Samples, right: Samples, same: bool) -> None:
    assert same_party(np.stack([left, right])) is same
