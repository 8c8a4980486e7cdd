import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.training.telephone import codecs
from ruasr_tel.audio.codec import Encoding
from ruasr_tel.errors import ConfigError
from ruasr_tel.types import Waveform


def noise(samples: int, seed: int) -> Waveform:
    """Noise; every fifth seed is silence, every fifth a click."""
    if seed % 5 == 0:
        return np.zeros(samples, np.float32)
    sound = np.random.default_rng(seed).uniform(-1, 1, samples).astype(np.float32)
    return np.where(np.arange(samples) == samples // 2, sound, 0) if seed % 5 == 1 else sound


SOUNDS = st.builds(noise, st.integers(0, 3000), st.integers(0, 99))


def speech_like(seconds: float = 1.0) -> Waveform:
    at = np.arange(int(8000 * seconds)) / 8000
    voiced = sum(np.sin(2 * np.pi * 120 * k * at) / k for k in range(1, 12))
    return (0.2 * voiced * (1 + np.sin(2 * np.pi * 3 * at))).astype(np.float32)


def snr_db(sound: Waveform, coded: Waveform) -> float:
    return float(10 * np.log10((sound**2).mean() / ((coded - sound) ** 2).mean()))


@given(SOUNDS)
@settings(deadline=None)
def test_integers_and_back_is_the_sound(sound: Waveform) -> None:
    back = codecs.to_float(codecs.to_int16(sound))
    assert back.dtype == np.float32
    assert np.abs(back - sound).max(initial=0) <= 2 / 32767


@given(SOUNDS, st.sampled_from([*codecs.AMR_PULSES]))
@settings(max_examples=40, deadline=None)
def test_amr_like_keeps_length_and_stays_finite(sound: Waveform, rate: float) -> None:
    coded = codecs.amr_like(sound, rate)
    assert coded.shape == sound.shape
    assert coded.dtype == np.float32
    assert np.isfinite(coded).all()
    assert np.abs(coded).max(initial=0) <= 50 * max(np.abs(sound).max(initial=0), 1e-3)


@pytest.mark.parametrize("law", codecs.LAWS)
def test_g711_is_near(law: Encoding) -> None:
    sound = speech_like()
    assert snr_db(sound, codecs.g711(sound, law)) > 30  # G.711's curve is 33 dB and more


def test_a_lower_bit_rate_is_worse() -> None:
    sound = speech_like()
    found = [snr_db(sound, codecs.amr_like(sound, rate)) for rate in (12.2, 10.2, 7.4, 5.9)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 3


def test_gsm_keeps_the_words_audible() -> None:
    try:
        coded = codecs.gsm(speech_like())
    except ConfigError:
        pytest.skip("libgsm1 is not installed")
    assert coded.shape == speech_like().shape
    assert snr_db(speech_like(), coded) > 3
