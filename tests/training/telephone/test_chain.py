import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from models.training.telephone.chain import paced, through_a_line
from ruasr_tel.types import Waveform


def speech(samples: int, seed: int = 0) -> Waveform:
    return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)


@given(st.integers(800, 8000), st.integers(0, 2**32), st.floats(0, 1))
@settings(max_examples=30, deadline=None)
def test_every_line_keeps_to_its_bounds(samples: int, seed: int, strength: float) -> None:
    others = [speech(900, 1), speech(5000, 2)]
    heard = through_a_line(speech(samples), np.random.default_rng(seed), strength, others)
    again = through_a_line(speech(samples), np.random.default_rng(seed), strength, others)
    np.testing.assert_array_equal(heard, again)
    assert heard.dtype == np.float32
    assert np.isfinite(heard).all()
    assert np.abs(heard).max() <= 1
    assert len(heard) == samples  # so that two lines of one speech can be compared frame by frame


@given(st.integers(800, 8000), st.integers(0, 2**32), st.floats(0, 1))
@settings(max_examples=30, deadline=None)
def test_every_pace_keeps_to_its_bounds(samples: int, seed: int, strength: float) -> None:
    heard = paced(speech(samples), np.random.default_rng(seed), strength)
    np.testing.assert_array_equal(
        heard, paced(speech(samples), np.random.default_rng(seed), strength)
    )
    widest = float(np.exp(0.24))
    assert samples / widest - 2 <= len(heard) <= samples * widest + 2 * 0.4 * 8000


def test_strength_0_changes_the_level_only() -> None:
    sound = speech(8000)
    for seed in range(40):
        heard = through_a_line(sound, np.random.default_rng(seed), 0.0)
        assert np.corrcoef(heard, sound)[0, 1] > 0.99


def test_full_strength_makes_many_lines() -> None:
    sound = speech(8000)
    heard = [through_a_line(sound, np.random.default_rng(seed), 1.0) for seed in range(30)]
    assert len({one.tobytes() for one in heard}) == 30
    lost = [one for one in heard if (one.reshape(-1)[: len(one) // 160 * 160]
            .reshape(-1, 160) == 0).all(1).any()]  # fmt: skip
    assert 0 < len(lost) < 30
