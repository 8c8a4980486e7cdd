import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.training.telephone.loss import draw_losses, with_repetition, with_silence
from ruasr_tel.types import Waveform


def noise(samples: int, seed: int) -> Waveform:
    return np.random.default_rng(seed).uniform(-1, 1, samples).astype(np.float32)


SOUNDS = st.builds(noise, st.integers(0, 2000), st.integers(0, 99))


def drawn(packets: int, share: float, burst: float, seed: int = 0) -> list[bool]:
    return list(draw_losses(packets, share, burst, np.random.default_rng(seed)).tolist())


@pytest.mark.parametrize(("share", "burst"), [(0.01, 1.1), (0.03, 2.0), (0.05, 3.0)])
def test_the_share_and_the_runs_are_as_asked(share: float, burst: float) -> None:
    lost = np.array(drawn(200_000, share, burst))
    assert lost.mean() == pytest.approx(share, rel=0.1)
    runs = int((lost[1:] & ~lost[:-1]).sum())
    assert lost.sum() / runs == pytest.approx(burst, rel=0.1)


@given(st.integers(0, 500), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_the_same_seed_loses_the_same(packets: int, seed: int) -> None:
    assert drawn(packets, 0.1, 2, seed) == drawn(packets, 0.1, 2, seed)
    assert len(drawn(packets, 0.1, 2, seed)) == packets


def test_nothing_is_lost_at_share_0() -> None:
    assert not any(drawn(500, 0.0, 2.0))


@given(SOUNDS, st.lists(st.booleans(), min_size=13, max_size=13))
@settings(max_examples=40, deadline=None)
def test_only_lost_packets_change(sound: Waveform, lost: list[bool]) -> None:
    silent, repeated = (f(sound, np.array(lost)) for f in (with_silence, with_repetition))
    for at in range(0, len(sound), 160):
        packet = slice(at, min(at + 160, len(sound)))
        if lost[at // 160]:
            assert not silent[packet].any()
        else:
            np.testing.assert_array_equal(silent[packet], sound[packet])
            np.testing.assert_array_equal(repeated[packet], sound[packet])
    assert silent.shape == repeated.shape == sound.shape
    assert np.abs(repeated).max(initial=0) <= np.abs(sound).max(initial=0)


def test_repetition_fades() -> None:
    sound = np.repeat(np.array([0.8, 0.1, 0.2, 0.3], np.float32), 160)
    heard = with_repetition(sound, np.array([False, True, True, False]))
    assert heard[::160].tolist() == pytest.approx([0.8, 0.4, 0.2, 0.3])
    first = with_repetition(sound, np.array([True, False, False, False]))
    assert first[::160].tolist() == pytest.approx([0.0, 0.1, 0.2, 0.3])
