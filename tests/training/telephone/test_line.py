import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.training.telephone import line
from models.training.telephone.line import Band, Bump
from ruasr_tel.types import Waveform


def noise(samples: int, seed: int) -> Waveform:
    """Noise; every fifth seed is silence, every fifth a click."""
    if seed % 5 == 0:
        return np.zeros(samples, np.float32)
    sound = np.random.default_rng(seed).uniform(-1, 1, samples).astype(np.float32)
    return np.where(np.arange(samples) == samples // 2, sound, 0) if seed % 5 == 1 else sound


SOUNDS = st.builds(noise, st.integers(1, 3000), st.integers(0, 99))


def tone(hz: float, samples: int = 8000) -> Waveform:
    return np.sin(2 * np.pi * hz * np.arange(samples) / 8000).astype(np.float32)


def gain_db(band: Band, hz: float) -> float:
    sound = tone(hz)
    heard = line.filtered(sound, [band.response(line.fft_length(len(sound)))])
    middle = slice(2000, 6000)
    return float(20 * np.log10(line.rms(heard[middle]) / line.rms(sound[middle])))


def test_a_band_cuts_where_it_says() -> None:
    band = Band(low_hz=300, low_order=2, high_hz=3400, high_order=16)
    assert gain_db(band, 1000) == pytest.approx(-0.75, abs=0.1)  # 1 / (1 + 0.3 ** 2)
    assert gain_db(band, 300) == pytest.approx(-6, abs=0.2)
    assert gain_db(band, 100) == pytest.approx(-20, abs=0.3)
    assert gain_db(band, 3400) == pytest.approx(-6, abs=0.2)


def test_a_tilt_and_a_bump_are_in_decibels() -> None:
    assert gain_db(Band(tilt_db=6), 3000) == pytest.approx(4, abs=0.1)
    assert gain_db(Band(bumps=[Bump(2000, 300, -8)]), 2000) == pytest.approx(-8, abs=0.1)
    assert gain_db(Band(), 1000) == pytest.approx(0, abs=0.01)


@given(SOUNDS, st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_filters_keep_length_and_stay_finite(sound: Waveform, seed: int) -> None:
    rng, length = np.random.default_rng(seed), line.fft_length(len(sound))
    heard = line.filtered(sound, [Band(300, 4, 3400, 8, 6).response(length)])
    heard = line.filtered(heard, [line.echo(length, 0.3, 0.2, rng)])
    assert heard.shape == sound.shape
    assert heard.dtype == np.float32
    assert np.isfinite(heard).all()


def test_an_echo_comes_after_the_sound_and_decays() -> None:
    click = np.zeros(8000, np.float32)
    click[100] = 1
    response = line.echo(line.fft_length(8000), 0.2, 0.2, np.random.default_rng(1))
    heard = line.filtered(click, [response])
    assert np.abs(heard[:100]).max() < 1e-5
    assert heard[100] == pytest.approx(1, abs=1e-4)
    assert line.rms(heard[150:400]) > 5 * line.rms(heard[1400:1700])


@pytest.mark.parametrize("colour", [0.0, 1.0])
def test_noise_has_its_power_and_colour(colour: float) -> None:
    sound = line.noise(80000, colour, np.random.default_rng(0))
    assert line.rms(sound) == pytest.approx(1, abs=1e-3)
    power = np.abs(np.fft.rfft(sound)) ** 2
    low, high = power[5000:7000].mean(), power[30000:32000].mean()
    slope_db = 10 * np.log10(low / high)
    assert slope_db == pytest.approx(colour * 20 * np.log10(31000 / 6000), abs=0.8)


@given(SOUNDS, SOUNDS, st.integers(1, 500), st.integers(0, 9))
@settings(max_examples=40, deadline=None)
def test_babble_is_as_long_as_asked(one: Waveform, two: Waveform, samples: int, seed: int) -> None:
    heard = line.babble(samples, [one, two], np.random.default_rng(seed))
    again = line.babble(samples, [one, two], np.random.default_rng(seed))
    assert heard.shape == (samples,)
    assert np.isfinite(heard).all()
    np.testing.assert_array_equal(heard, again)
    assert line.rms(heard) <= 1.001


def test_a_mixture_has_the_ratio_asked_for() -> None:
    sound, hum = tone(440), line.noise(8000, 0, np.random.default_rng(0))
    added = line.mixed(sound, hum, 12) - sound
    assert 20 * np.log10(line.rms(sound) / line.rms(added)) == pytest.approx(12, abs=0.1)


@given(SOUNDS, st.floats(-26, 0), st.floats(0, 12))
@settings(max_examples=40, deadline=None)
def test_levels_are_bounded(sound: Waveform, peak_db: float, clipped_db: float) -> None:
    heard = line.at_level(sound, peak_db, clipped_db)
    assert heard.shape == sound.shape
    assert np.abs(heard).max() <= 10 ** (peak_db / 20) + 1e-5


def test_clipping_flattens_the_peaks() -> None:
    clean, driven = line.at_level(tone(440), -6), line.at_level(tone(440), -6, 6)
    assert np.abs(clean).max() == pytest.approx(0.501, abs=1e-3)
    flat = np.isclose(np.abs(driven), np.abs(driven).max()).mean()
    assert flat == pytest.approx(2 / 3, abs=0.05)  # asin(1/2) of a quarter period is a third of it


@given(SOUNDS, st.floats(0.8, 1.25))
@settings(max_examples=40, deadline=None)
def test_speed_changes_the_length(sound: Waveform, factor: float) -> None:
    heard = line.faster(sound, factor)
    assert abs(len(heard) - len(sound) / factor) <= 2
    assert np.abs(heard).max() <= np.abs(sound).max() + 1e-6


def test_faster_is_higher() -> None:
    heard = line.faster(tone(400, 16000), 1.25)
    assert np.abs(np.fft.rfft(heard[:8000])).argmax() == 500
