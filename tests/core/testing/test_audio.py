import wave
from pathlib import Path

import numpy as np
import pytest

from ruasr_tel.testing import phrase, silence, speech_ends, tone
from ruasr_tel.types import Samples

WAV = Path(__file__).parents[2] / "data/wav"


def test_a_tone_has_its_length_pitch_and_peak() -> None:
    audio = tone(0.5, 16000, hz=1000.0, level=5000)
    assert audio.dtype == np.int16
    assert audio.shape == (8000,)
    assert int(np.abs(audio).max()) == 5000
    assert int(np.abs(np.fft.rfft(audio)).argmax()) == 500  # 2 Hz a bin


def test_silence_is_quiet_but_not_zero_and_always_the_same() -> None:
    audio = silence(1.0)
    assert 0 < np.abs(audio).max() < 30
    assert np.array_equal(audio, silence(1.0))


def test_a_phrase_is_sound_and_silence_in_turn() -> None:
    audio = phrase((0.5, 0.25), (1.0, 0.0), sample_rate_hz=16000)
    assert audio.shape == (1.75 * 16000,)
    loud = np.abs(audio) > 100
    assert not loud[8000:12000].any()
    assert loud[:8000].any()
    assert loud[12000:].any()


@pytest.mark.parametrize("rate_hz", [8000, 44100])
def test_ends_of_phrases_are_labelled_by_energy(rate_hz: int) -> None:
    audio = phrase((0.5, 1.0), (0.7, 0.1), (0.3, 0.5), sample_rate_hz=rate_hz)
    assert speech_ends(audio, rate_hz) == pytest.approx([0.5, 2.6], abs=0.02)


@pytest.mark.parametrize("audio", [silence(0.0), np.zeros(8000, np.int16)], ids=["none", "zeros"])
def test_audio_without_sound_has_no_phrase(audio: Samples) -> None:
    assert speech_ends(audio, 8000) == []


def test_a_real_prompt_ends_where_it_ends() -> None:
    with wave.open(str(WAV / "agent-loggedoff.wav")) as file:
        audio = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    (end,) = speech_ends(audio, 8000)
    assert 1.9 < end <= len(audio) / 8000
