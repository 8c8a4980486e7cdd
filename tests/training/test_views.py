import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.training import views
from ruasr_tel.engines.features import Features

RNG = st.integers(0, 2**32).map(np.random.default_rng)
FRAMES = st.integers(8, 400)


def seen(frames: int) -> Features:
    return np.random.default_rng(frames).normal(-6, 2, (64, frames)).astype(np.float32)


@pytest.mark.parametrize("name", views.FRONT_ENDS)
def test_every_front_end_gives_a_frame_every_10_ms(name: str) -> None:
    noise = np.random.default_rng(0).normal(0, 3000, 8000).astype(np.int16)
    found = views.compute(noise, name)
    assert found.dtype == np.float32
    assert found.shape[0] == 64
    assert abs(found.shape[1] - 100) <= 2
    assert found[:40].mean() > found[50:].mean() + 3  # nothing above 4 kHz


@given(FRAMES, st.integers(0, 2**32), st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_changes_keep_bounds_and_follow_the_seed(frames: int, seed: int, strength: float) -> None:
    before = seen(frames)
    kept = before.copy()
    found = views.changed(before, np.random.default_rng(seed), strength)
    np.testing.assert_array_equal(before, kept)  # nothing is changed in place
    again = views.changed(before, np.random.default_rng(seed), strength)
    np.testing.assert_array_equal(found, again)
    assert found.dtype == np.float32
    assert before.min() - 1e-4 <= found.min()
    assert found.max() <= before.max() + 1e-4
    assert found.shape == before.shape


@given(st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_a_tempo_stays_near_the_speakers_own(seed: int) -> None:
    assert np.exp(-0.16) <= views.tempo(np.random.default_rng(seed)) <= np.exp(0.16)


def test_a_warp_moves_the_formants() -> None:
    peak = np.zeros((64, 3), np.float32)
    peak[20] = 1
    assert views.warped(peak, 1.0)[20].tolist() == [1, 1, 1]
    assert views.warped(peak, 1.25)[16].tolist() == [1, 1, 1]
    assert views.warped(peak, 0.8)[25].tolist() == [1, 1, 1]


def test_a_stretch_changes_the_tempo_only() -> None:
    ramp = np.tile(np.arange(101, dtype=np.float32), (64, 1))
    fast = views.stretched(ramp, 2.0)
    assert fast.shape == (64, 50)
    assert fast[0, :3].tolist() == [0, 2, 4]
    assert views.stretched(ramp[:, :3], 2.0).shape == (64, 3)


@given(FRAMES, RNG)
@settings(max_examples=40, deadline=None)
def test_masks_hide_a_part(frames: int, rng: np.random.Generator) -> None:
    before = seen(frames)
    hidden = views.masked(before, rng)
    same = hidden == before
    assert same.mean() > 0.4
    assert np.allclose(hidden[~same], before.mean(), atol=1e-3)
