import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.training.audio import levelled, read_wav, to_8k, trimmed
from ruasr_tel.errors import ConfigError
from ruasr_tel.types import Samples

SAMPLES = arrays(np.int16, st.integers(1, 300))


def write(path: Path, samples: Samples, rate_hz: int, channels: int = 1) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, 2, rate_hz, 0, "NONE", ""))
        file.writeframes(samples.astype("<i2").tobytes())


def test_a_wav_is_read(tmp_path: Path) -> None:
    said = np.array([1, -2, 30000], np.int16)
    write(tmp_path / "a.wav", said, 16000)
    samples, rate_hz = read_wav(tmp_path / "a.wav")
    np.testing.assert_array_equal(samples, said)
    assert rate_hz == 16000


def test_other_files_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "two.wav", np.zeros(4, np.int16), 8000, channels=2)
    (tmp_path / "no.wav").write_bytes(b"RIFFx")
    with pytest.raises(ConfigError, match="expected 16 bits and one channel"):
        read_wav(tmp_path / "two.wav")
    for name in ("no.wav", "nothing.wav"):
        with pytest.raises(ConfigError, match="cannot be read"):
            read_wav(tmp_path / name)


def test_a_tone_stays_where_it_is_at_8_khz() -> None:
    tone = (20000 * np.sin(2 * np.pi * 440 * np.arange(16000) / 16000)).astype(np.int16)
    lower = to_8k(tone, 16000)
    assert len(lower) == 8000
    spectrum = np.abs(np.fft.rfft(lower))
    assert int(spectrum.argmax()) == 440
    assert to_8k(tone, 8000) is tone


@given(SAMPLES)
@settings(max_examples=50, deadline=None)
def test_levels_are_common_and_never_clip(samples: Samples) -> None:
    result = levelled(samples)
    assert len(result) == len(samples)
    assert int(np.abs(result.astype(int)).max()) <= 30000


def test_loud_and_soft_speech_come_out_alike() -> None:
    noise = np.random.default_rng(0).normal(0, 300, 8000).astype(np.int16)
    soft, loud = levelled(noise), levelled((noise * 10).astype(np.int16))
    assert np.sqrt((soft.astype(float) ** 2).mean()) == pytest.approx(2500, rel=0.01)
    assert np.abs(soft.astype(int) - loud).max() <= 20


@given(SAMPLES)
@settings(max_examples=50, deadline=None)
def test_trimming_cuts_only_the_ends(samples: Samples) -> None:
    result = trimmed(samples)
    if len(result):
        assert result.tobytes() in samples.tobytes()
        assert np.abs(result.astype(int)).max() == np.abs(samples.astype(int)).max()


def test_silence_at_the_ends_goes_and_inside_stays() -> None:
    word = np.full(100, 10000, np.int16)
    gap = np.zeros(8000, np.int16)
    result = trimmed(np.concatenate([gap, word, gap, word, gap]))
    assert len(result) == 800 + 100 + 8000 + 100 + 1200
    assert len(trimmed(np.full(8000, 40, np.int16))) == 0
    assert len(trimmed(gap[:0])) == 0
