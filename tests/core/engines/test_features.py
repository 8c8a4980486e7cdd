import sys

import numpy as np
import pytest
from onnx_asr.preprocessors.preprocessor import OnnxPreprocessor

from ruasr_tel.engines.features import GIGAAM_V2, GIGAAM_V3, NAMES, SHERPA, front_end
from ruasr_tel.errors import ConfigError
from ruasr_tel.types import Waveform


def noise(samples: int) -> Waveform:
    return np.random.default_rng(0).normal(0, 0.1, samples).astype(np.float32)


@pytest.mark.parametrize(
    ("name", "samples", "frames"),
    [
        (GIGAAM_V2, 1600, 11),  # centred windows: one more than hops
        (GIGAAM_V3, 1600, 9),  # whole windows of 20 ms
        (SHERPA, 1600, 10),  # one window per hop
        (GIGAAM_V2, 16079, 101),
        (GIGAAM_V3, 16079, 99),
        (SHERPA, 16079, 100),
        (SHERPA, 16080, 101),
    ],
)
def test_how_many_frames_a_waveform_makes(name: str, samples: int, frames: int) -> None:
    features = front_end(name)(noise(samples))
    assert features.shape == (64, frames)
    assert features.dtype == np.float32
    assert np.isfinite(features).all()


@pytest.mark.parametrize("name", [GIGAAM_V2, GIGAAM_V3])
def test_gigaams_features_are_those_of_onnx_asrs_graphs(name: str) -> None:
    waveform = noise(20011)
    graph = OnnxPreprocessor(name, {"providers": ["CPUExecutionProvider"]})
    expected, _ = graph(waveform[None], np.array([len(waveform)], dtype=np.int64))
    apart = np.abs(front_end(name)(waveform) - expected[0])
    assert apart.mean() < 1e-4
    assert apart.max() < 0.05  # where there is next to no energy


@pytest.mark.parametrize("name", NAMES)
def test_silence_and_full_scale_are_finite(name: str) -> None:
    compute = front_end(name)
    for level in (0.0, 1.0):
        assert np.isfinite(compute(np.full(16000, level, dtype=np.float32))).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_higher_tone_falls_into_a_higher_bin(name: str) -> None:
    compute = front_end(name)
    time_s = np.arange(16000) / 16000
    loudest = [
        int(compute(np.sin(2 * np.pi * hz * time_s).astype(np.float32))[:, 50].argmax())
        for hz in (300, 1000, 3000, 7000)
    ]
    assert loudest == sorted(set(loudest))


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(ConfigError, match="no features 'mfcc'; known: gigaam_v2, gigaam_v3, sher"):
        front_end("mfcc")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx_asr.preprocessors.numpy_preprocessor", None)
    with pytest.raises(ConfigError, match="pip install onnx-asr"):
        front_end(GIGAAM_V3)
