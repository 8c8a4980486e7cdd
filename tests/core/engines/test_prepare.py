from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ruasr_tel.engines import prepare as prepare_module
from ruasr_tel.engines.base import PLAIN, DecodeOptions, EngineInfo, Hypothesis
from ruasr_tel.engines.prepare import check, clip, fit, prepare
from ruasr_tel.errors import DecodeError
from ruasr_tel.types import Waveform

BAD = [
    (np.zeros(8, dtype=np.float32), 8000, "segment holds float32 samples, expected int16"),
    (
        np.zeros((2, 8), dtype=np.int16),
        8000,
        "segment has shape (2, 8), expected one dimension (mono)",
    ),
    (np.zeros(0, dtype=np.int16), 8000, "segment holds no samples"),
    (np.zeros(8, dtype=np.int16), 0, "segment has a rate of 0 Hz"),
    (np.zeros(8, dtype=np.int16), -8000, "segment has a rate of -8000 Hz"),
]


def info(sample_rate_hz: int = 8000, min_segment_s: float = 0.1) -> EngineInfo:
    return EngineInfo("fake", "fake", sample_rate_hz, min_segment_s=min_segment_s)


@pytest.mark.parametrize(("samples", "rate_hz", "message"), BAD)
def test_what_an_engine_must_not_see_is_refused(samples: Any, rate_hz: int, message: str) -> None:
    for function in (lambda: check(samples, rate_hz), lambda: prepare(samples, rate_hz, info())):
        with pytest.raises(DecodeError) as caught:
            function()
        assert str(caught.value) == message


def test_a_resampler_that_gives_nonsense_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(samples: object, from_hz: int, to_hz: int) -> Waveform:
        return np.full(800, np.nan, dtype=np.float32)

    monkeypatch.setattr(prepare_module, "resample", broken)
    with pytest.raises(DecodeError, match=r"^segment is not finite after resampling$"):
        prepare(np.ones(800, dtype=np.int16), 8000, info())


def test_audio_at_the_engines_rate_is_only_scaled() -> None:
    samples = np.arange(-2000, 2000, dtype=np.int16)
    waveform = prepare(samples, 8000, info())
    assert waveform.dtype == np.float32
    assert (waveform * 32768).astype(np.int16).tolist() == samples.tolist()


@given(
    length=st.integers(1, 3000),
    rate_hz=st.sampled_from((8000, 11025, 16000, 48000)),
    engine_rate_hz=st.sampled_from((8000, 16000)),
    min_segment_s=st.sampled_from((0.0, 0.1, 0.35)),
)
def test_whatever_comes_out_an_engine_can_take(
    length: int, rate_hz: int, engine_rate_hz: int, min_segment_s: float
) -> None:
    samples = np.full(length, 1000, dtype=np.int16)
    waveform = prepare(samples, rate_hz, info(engine_rate_hz, min_segment_s))
    assert waveform.dtype == np.float32
    assert waveform.ndim == 1
    assert waveform.flags.c_contiguous
    assert np.isfinite(waveform).all()
    real = length / rate_hz * engine_rate_hz
    shortest = max(0.1, min_segment_s) * engine_rate_hz
    assert abs(len(waveform) - max(real, shortest)) <= 2.0
    assert not waveform[int(real) + 2 :].any()


def test_padding_does_not_show_in_times() -> None:
    hypothesis = Hypothesis("да", ("д", "а"), (0.02, 0.09), (-0.1, -0.2))
    assert clip(hypothesis, 0.05) == Hypothesis("да", ("д", "а"), (0.02, 0.05), (-0.1, -0.2))


def test_padding_does_not_show_in_the_times_of_other_readings() -> None:
    other = Hypothesis("до", ("д", "о"), (0.02, 0.09))
    clipped = clip(Hypothesis("да", ("д", "а"), (0.02, 0.04), alternatives=(other,)), 0.05)
    assert clipped.alternatives == (Hypothesis("до", ("д", "о"), (0.02, 0.05)),)


ASKED = DecodeOptions(("да", "нет", "[unk]"), boost=3.0, alternatives=5)
CLOSED = replace(ASKED, closed=True)


@pytest.mark.parametrize(
    ("options", "can", "left"),
    [
        (PLAIN, {}, PLAIN),
        (ASKED, {}, PLAIN),
        (ASKED, {"closed_lists": True}, PLAIN),
        (ASKED, {"hotwords": True}, DecodeOptions(("да", "нет"), boost=3.0)),
        (ASKED, {"alternatives": 3}, DecodeOptions(alternatives=3)),
        (CLOSED, {"hotwords": True}, DecodeOptions(("да", "нет"), boost=3.0)),
        (CLOSED, {"closed_lists": True}, DecodeOptions(CLOSED.phrases, closed=True)),
        (CLOSED, {"closed_lists": True, "alternatives": 9}, replace(CLOSED, boost=PLAIN.boost)),
        (DecodeOptions(closed=True, alternatives=0), {"closed_lists": True}, PLAIN),
        (DecodeOptions(lm="none"), {"lms": True}, PLAIN),
        (DecodeOptions(lm="none"), {"lms": True, "lm": "calls"}, DecodeOptions(lm="none")),
        (DecodeOptions(lm="calls"), {"lms": True, "lm": "calls"}, PLAIN),
    ],
)
def test_an_engine_is_asked_only_what_it_can_do(
    options: DecodeOptions, can: dict[str, Any], left: DecodeOptions
) -> None:
    assert fit(options, replace(info(), **can)) == left


def test_times_inside_the_segment_stay() -> None:
    hypothesis = Hypothesis("да", ("д", "а"), (0.02, 0.09))
    assert clip(hypothesis, 0.09) is hypothesis
