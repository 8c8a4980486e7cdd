"""Front ends of models in GigaAM's layout: a waveform to log-mel features. Pure; no state.

`gigaam_v2` and `gigaam_v3` are what these models were trained on, as onnx-asr computes them.
`sherpa` is what sherpa-onnx computes for every model that calls itself GigaAM: of the options that
its recogniser sets (no pre-emphasis, a 400-point FFT) two do not arrive, so that kaldi's own
defaults stay (found by decoding with 32 combinations; only this one gave the same text).
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ruasr_tel.errors import ConfigError
from ruasr_tel.types import Waveform

Features: TypeAlias = npt.NDArray[np.float32]
"""Log-mel energies, float32, shape (64, frames), one frame every 10 ms."""
FrontEnd: TypeAlias = Callable[[Waveform], Features]
"""Takes a waveform at 16 kHz."""

GIGAAM_V2, GIGAAM_V3, SHERPA = "gigaam_v2", "gigaam_v3", "sherpa"
NAMES = (GIGAAM_V2, GIGAAM_V3, SHERPA)
RATE_HZ = 16000
MEL_BINS = 64
FRAME_S = 0.01

_HOP = 160
_WINDOW = 400  # 25 ms
_FFT = 512  # kaldi's round_to_power_of_two
_PRE_EMPHASIS = 0.97  # kaldi's preemph_coeff
_FLOOR = float(np.finfo(np.float32).eps)  # kaldi feature-fbank.cc, "Avoid log of zero"


def front_end(name: str) -> FrontEnd:
    """Return the front end called `name`.

    Raises:
        ConfigError: there is no such front end, or onnx-asr is missing.
    """
    if name == SHERPA:
        return _sherpa()
    if name not in NAMES:
        raise ConfigError(f"no features {name!r}; known: {', '.join(NAMES)}")
    try:
        from onnx_asr.preprocessors.numpy_preprocessor import GigaamPreprocessorNumpy
    except ImportError as exc:
        raise ConfigError(f"engine onnx needs its package: pip install onnx-asr ({exc})") from exc
    preprocess = GigaamPreprocessorNumpy(name)

    def compute(waveform: Waveform) -> Features:
        lengths = np.array([len(waveform)], dtype=np.int64)
        features, frames = preprocess(waveform[None], lengths)
        found: Features = features[0, :, : int(frames[0])].astype(np.float32, copy=False)
        return found

    return compute


def _sherpa() -> FrontEnd:
    """Return knf's online fbank as sherpa-onnx runs it for `is_giga_am` models.

    25 ms periodic Hann window, edges mirrored (snip_edges=false), 64 bins from 0 to 8000 Hz.
    """
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)).astype(np.float32)
    bank = _kaldi_mel_bank()
    before = (_WINDOW - _HOP) // 2  # the first window's centre lies in the middle of the first hop

    def compute(waveform: Waveform) -> Features:
        frames = (len(waveform) + _HOP // 2) // _HOP
        after = max(0, (frames - 1) * _HOP + _WINDOW - before - len(waveform))
        mirrored = np.pad(waveform, (before, after), mode="symmetric")
        cut = np.lib.stride_tricks.sliding_window_view(mirrored, _WINDOW)[::_HOP][:frames]
        emphasised = cut - _PRE_EMPHASIS * np.concatenate([cut[:, :1], cut[:, :-1]], axis=1)
        power = np.abs(np.fft.rfft(emphasised * window, n=_FFT)) ** 2
        energies: Features = power.astype(np.float32) @ bank
        features: Features = np.log(np.maximum(energies, _FLOOR)).T
        return features

    return compute


def _kaldi_mel_bank() -> npt.NDArray[np.float32]:
    """Return kaldi's triangles over the mel scale, shape (257, 64) (kaldi mel-computations.cc)."""
    hz = np.arange(_FFT // 2 + 1) * (RATE_HZ / _FFT)
    mel = 1127.0 * np.log(1.0 + hz / 700.0)
    edges = np.linspace(0.0, 1127.0 * np.log(1.0 + RATE_HZ / 2 / 700.0), MEL_BINS + 2)
    rising = (mel[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - mel[:, None]) / (edges[2:] - edges[1:-1])
    bank: npt.NDArray[np.float32] = np.clip(np.minimum(rising, falling), 0, None).astype(np.float32)
    bank[-1] = 0  # kaldi leaves out the Nyquist bin
    return bank
