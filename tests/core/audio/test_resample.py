from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruasr_tel.audio.resample import Downsampler, Upsampler, resample, stream_resampler
from ruasr_tel.errors import AudioFormatError
from ruasr_tel.types import Samples, Waveform

RATES_HZ = [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 96000, 192000]
RATES_HZ += [11127, 44056]  # old video cards: in lowest terms 8000 and 1000 phases
HIGHER_HZ = RATES_HZ[1:]


def tone(frequency_hz: float, rate_hz: int, duration_s: float = 0.5) -> Samples:
    """A sine of amplitude 10000."""
    time_s = np.arange(int(duration_s * rate_hz)) / rate_hz
    return (10000 * np.sin(2 * np.pi * frequency_hz * time_s)).round().astype(np.int16)


def noise(count: int, seed: int = 0) -> Samples:
    return np.random.default_rng(seed).integers(-32768, 32768, count).astype(np.int16)


def level_db(waveform: Waveform) -> float:
    """Level of the middle part against a sine of amplitude 10000."""
    middle = waveform[100:-100].astype(np.float64)
    return float(10 * np.log10(np.mean(middle**2) / (10000 / 32768) ** 2 * 2 + 1e-12))


@given(
    rate_hz=st.sampled_from(RATES_HZ),
    count=st.integers(0, 2000),
    cuts=st.lists(st.integers(0, 2000), max_size=30),
    seed=st.integers(0, 100),
)
def test_any_split_of_the_audio_gives_the_same_output_bit_for_bit(
    rate_hz: int, count: int, cuts: list[int], seed: int
) -> None:
    samples = noise(count, seed)
    whole = Downsampler(rate_hz).push(samples)
    places = [0, *sorted(min(cut, count) for cut in cuts), count]
    downsampler = Downsampler(rate_hz)

    parts = [downsampler.push(samples[start:end]) for start, end in pairwise(places)]

    assert np.concatenate(parts).tobytes() == whole.tobytes()
    assert all(part.dtype == np.float32 and part.flags.c_contiguous for part in [*parts, whole])


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_one_sample_at_a_time_is_the_same_bit_for_bit(rate_hz: int) -> None:
    samples = noise(1500)
    downsampler = Downsampler(rate_hz)

    parts = [downsampler.push(samples[index : index + 1]) for index in range(len(samples))]

    assert np.concatenate(parts).tobytes() == Downsampler(rate_hz).push(samples).tobytes()


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_output_is_short_of_the_input_by_the_latency_and_no_more(rate_hz: int) -> None:
    downsampler = Downsampler(rate_hz)

    output = downsampler.push(noise(rate_hz))

    assert downsampler.latency_s <= 0.0011
    expected = (1 - downsampler.latency_s) * 8000
    assert expected - 1 < len(output) <= expected + 1


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_output_sample_m_belongs_to_input_time_m_over_8000(rate_hz: int) -> None:
    """A slow tone comes out in phase: the delay of the filter is taken out."""
    output = Downsampler(rate_hz).push(tone(300, rate_hz))
    expected = tone(300, 8000)[: len(output)] / 32768

    # 0.01 of a 300 Hz tone of amplitude 0.3 is 5 microseconds, a 25th of a sample.
    assert np.abs(output - expected)[20:].max() < 0.003


@pytest.mark.parametrize("rate_hz", HIGHER_HZ)
@pytest.mark.parametrize("frequency_hz", [100, 1000, 2600])
def test_speech_band_keeps_its_level(rate_hz: int, frequency_hz: int) -> None:
    output = Downsampler(rate_hz).push(tone(frequency_hz, rate_hz))

    assert abs(level_db(output)) < 0.1


@pytest.mark.parametrize(
    ("rate_hz", "frequency_hz"),
    [(rate, tone) for rate in HIGHER_HZ for tone in (4500, 5000, 6000, 7000) if tone < rate / 2],
)
def test_what_8_khz_cannot_carry_does_not_fold_back(rate_hz: int, frequency_hz: int) -> None:
    output = Downsampler(rate_hz).push(tone(frequency_hz, rate_hz))

    assert level_db(output) < -48


@pytest.mark.parametrize("rate_hz", RATES_HZ)
def test_output_stays_within_one(rate_hz: int) -> None:
    square = np.where(np.arange(rate_hz) // (rate_hz // 400) % 2, 32767, -32768).astype(np.int16)

    output = Downsampler(rate_hz).push(square)

    assert 0.99 < np.abs(output).max() <= 1


def test_at_8_khz_samples_are_only_scaled() -> None:
    output = Downsampler(8000).push(np.array([0, 1, -32768, 32767], np.int16))

    assert output.tolist() == [0, 1 / 32768, -1, 32767 / 32768]


@pytest.mark.parametrize(("from_hz", "to_hz"), [(7999, 8000), (0, 8000), (16000, 0), (0, 0)])
def test_what_is_no_lowering_is_refused(from_hz: int, to_hz: int) -> None:
    with pytest.raises(AudioFormatError) as refusal:
        Downsampler(from_hz, to_hz)

    assert str(refusal.value) == f"{from_hz} Hz cannot be lowered to {to_hz} Hz"


def test_the_filter_of_a_rate_is_made_once() -> None:
    first, second = Downsampler(48000), Downsampler(48000)

    assert first._filter is second._filter


@pytest.mark.parametrize(("from_hz", "to_hz"), [(8000, 16000), (16000, 8000), (44100, 16000)])
def test_one_shot_resampling_keeps_time_and_level(from_hz: int, to_hz: int) -> None:
    output = resample(tone(1000, from_hz), from_hz, to_hz)
    expected = tone(1000, to_hz) / 32768

    assert abs(len(output) - len(expected)) <= 1
    assert output.dtype == np.float32
    assert output.flags.c_contiguous
    middle = slice(400, min(len(output), len(expected)) - 400)
    assert np.abs(output[middle] - expected[middle]).max() < 0.001


def test_one_shot_at_equal_rates_only_scales() -> None:
    output = resample(np.array([0, 16384, -32768], np.int16), 16000, 16000)

    assert output.tolist() == [0, 0.5, -1]
    assert output.dtype == np.float32


def test_one_shot_of_nothing_is_nothing() -> None:
    assert resample(np.zeros(0, np.int16), 8000, 16000).shape == (0,)


def test_one_shot_of_clipped_audio_stays_within_one() -> None:
    square = np.where(np.arange(8000) // 10 % 2, 32767, -32768).astype(np.int16)

    output = resample(square, 8000, 16000)

    assert output.max() == 1
    assert output.min() == -1


RAISED = [(8000, 16000), (11025, 16000), (12000, 16000), (7999, 16000), (7999, 8000)]


@given(
    rates=st.sampled_from([*RAISED, (48000, 16000), (16000, 16000)]),
    count=st.integers(0, 2000),
    cuts=st.lists(st.integers(0, 2000), max_size=30),
)
def test_any_split_of_a_stream_gives_all_of_it_bit_for_bit(
    rates: tuple[int, int], count: int, cuts: list[int]
) -> None:
    from_hz, to_hz = rates
    samples = noise(count)
    once, often = stream_resampler(from_hz, to_hz), stream_resampler(from_hz, to_hz)
    whole = np.concatenate([once.push(samples), once.finish()])
    places = [0, *sorted(min(cut, count) for cut in cuts), count]
    parts = [often.push(samples[start:end]) for start, end in pairwise(places)]
    assert np.concatenate([*parts, often.finish()]).tobytes() == whole.tobytes()
    assert abs(len(whole) - count * to_hz / from_hz) <= 1


@pytest.mark.parametrize(("from_hz", "to_hz"), RAISED)
@pytest.mark.parametrize("frequency_hz", [300, 1000, 3000, 3400])
def test_a_raised_rate_keeps_time_level_and_nothing_above(
    from_hz: int, to_hz: int, frequency_hz: int
) -> None:
    raised = Upsampler(from_hz, to_hz).push(tone(frequency_hz, from_hz))
    wanted = tone(frequency_hz, to_hz)[: len(raised)].astype(np.float32) / 32768
    middle = slice(200, -200)
    error = raised[middle] - wanted[middle]
    assert np.sqrt(np.mean(error**2) / np.mean(wanted[middle] ** 2)) < 0.01


def test_a_raised_rate_is_at_hand_within_two_ms() -> None:
    upsampler = Upsampler(8000, 16000)
    assert upsampler.latency_s == 0.002
    assert len(upsampler.push(noise(160))) >= 320 - 32


@pytest.mark.parametrize(("from_hz", "to_hz"), [(16000, 8000), (8000, 8000), (0, 8000)])
def test_what_is_no_raising_is_refused(from_hz: int, to_hz: int) -> None:
    with pytest.raises(AudioFormatError) as refusal:
        Upsampler(from_hz, to_hz)

    assert str(refusal.value) == f"{from_hz} Hz cannot be raised to {to_hz} Hz"


@pytest.mark.parametrize("from_hz", [1000, 4000, 6000])
def test_a_lower_rate_than_a_call_has_can_be_raised(from_hz: int) -> None:
    raised = stream_resampler(from_hz, 8000).push(tone(300, from_hz))
    expected = tone(300, 8000)[: len(raised)] / 32768
    assert len(raised) > 3700
    assert np.abs(raised - expected)[400:].max() < 0.003
