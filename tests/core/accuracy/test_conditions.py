import ctypes.util

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruasr_tel.accuracy import conditions
from ruasr_tel.errors import ConfigError
from ruasr_tel.testing import tone
from ruasr_tel.types import Samples

needs_gsm = pytest.mark.skipif(ctypes.util.find_library("gsm") is None, reason="no libgsm here")


def voice(seconds: float = 1.0) -> Samples:
    return tone(seconds, conditions.RATE_HZ)


def correlation(one: Samples, other: Samples) -> float:
    return float(np.corrcoef(one.astype(float), other.astype(float))[0, 1])


@settings(deadline=None)
@given(length=st.integers(0, 700), name=st.sampled_from(["clean", "alaw", "loss1", "loss5"]))
def test_a_line_keeps_the_length(length: int, name: str) -> None:
    heard = conditions.apply(name, voice()[:length])
    assert len(heard) == length
    assert heard.dtype == np.dtype(np.int16)


def test_clean_is_untouched_and_alaw_is_nearly_so() -> None:
    said = voice()
    assert conditions.apply("clean", said) is said
    heard = conditions.apply("alaw", said)
    assert not np.array_equal(heard, said)
    assert np.abs(heard.astype(int) - said).max() <= np.abs(said).max() / 16  # G.711: 4 bits


@needs_gsm
def test_gsm_is_the_same_sound_but_for_its_noise() -> None:
    said = voice()[:7999]
    heard = conditions.apply("gsm", said)
    assert len(heard) == 7999
    assert 0.9 < correlation(said[800:], heard[800:]) < 0.9999


def test_without_libgsm_the_cure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes.util, "find_library", lambda _name: None)
    with pytest.raises(ConfigError, match="install the package libgsm1"):
        conditions.apply("gsm", voice())


@pytest.mark.parametrize(("name", "share"), [("loss1", 0.01), ("loss3", 0.03), ("loss5", 0.05)])
def test_packets_are_lost_whole_and_as_many_as_promised(name: str, share: float) -> None:
    said = np.full(160 * 20000, 1000, dtype=np.int16)
    packets = conditions.apply(name, said, seed=3).reshape(-1, 160)
    lost = (packets == 0).all(axis=1)
    assert ((packets == 0).any(axis=1) == lost).all()
    assert lost.mean() == pytest.approx(share, abs=0.004)


def test_the_same_seed_loses_the_same_packets() -> None:
    said = voice(10.0)
    first, same, other = (conditions.apply("loss5", said, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_an_unknown_line() -> None:
    with pytest.raises(ConfigError, match="no condition 'opus'; known: clean, alaw, gsm, loss1"):
        conditions.apply("opus", voice())
