"""From a segment as a call has it to the waveform an engine can take, and back to its time.

Engines end the whole process on input that a caller may well have (sherpa-onnx 2.0.1, our
measurement: rate 0 is a SIGFPE, an empty batch a SIGSEGV, under 10 ms an exception), so nothing
reaches them but what passed here.
"""

from dataclasses import replace

import numpy as np

from ruasr_tel.audio.resample import resample
from ruasr_tel.engines.base import PLAIN, DecodeOptions, EngineInfo, Hypothesis
from ruasr_tel.errors import DecodeError
from ruasr_tel.language.choice import NONE
from ruasr_tel.types import Samples, Waveform

SHORTEST_S = 0.1
"""Nothing shorter goes to an engine: below about 100 ms front ends fail or answer nonsense
(sherpa-onnx 2.0.1, our measurement)."""


UNKNOWN = "[unk]"
"""The phrase of a closed list that stands for anything else (vosk-api's name for it)."""


def check(samples: Samples, sample_rate_hz: int) -> None:
    """See that a segment is one that can be decoded.

    Args:
        samples: should be int16, shape (n,), n > 0.
        sample_rate_hz: should be positive.

    Raises:
        DecodeError: it is not; says in what.
    """
    if samples.dtype != np.int16:
        raise DecodeError(f"segment holds {samples.dtype} samples, expected int16")
    if samples.ndim != 1:
        raise DecodeError(f"segment has shape {samples.shape}, expected one dimension (mono)")
    if not len(samples):
        raise DecodeError("segment holds no samples")
    if sample_rate_hz <= 0:
        raise DecodeError(f"segment has a rate of {sample_rate_hz} Hz")


def prepare(samples: Samples, sample_rate_hz: int, info: EngineInfo) -> Waveform:
    """Return a segment at the engine's rate, with silence after it up to the engine's minimum.

    Args:
        samples: int16, shape (n,), n > 0, at `sample_rate_hz`.
        sample_rate_hz: positive.
        info: the engine that will take it.

    Returns:
        float32, shape (m,), contiguous, finite, at `info.sample_rate_hz`, at least
        max(SHORTEST_S, info.min_segment_s) long.

    Raises:
        DecodeError: see `check`.
    """
    check(samples, sample_rate_hz)
    waveform = resample(samples, sample_rate_hz, info.sample_rate_hz)
    if not np.isfinite(waveform).all():
        raise DecodeError("segment is not finite after resampling")
    shortest = int(np.ceil(max(SHORTEST_S, info.min_segment_s) * info.sample_rate_hz))
    if len(waveform) >= shortest:
        return np.ascontiguousarray(waveform, dtype=np.float32)
    padded = np.zeros(shortest, dtype=np.float32)
    padded[: len(waveform)] = waveform
    return padded


def clip(hypothesis: Hypothesis, duration_s: float) -> Hypothesis:
    """Return the hypothesis with no token later than the segment's real end.

    Args:
        hypothesis: of a padded waveform.
        duration_s: how long the segment was without the padding.
    """
    if hypothesis.alternatives:
        others = tuple(clip(other, duration_s) for other in hypothesis.alternatives)
        hypothesis = replace(hypothesis, alternatives=others)
    if all(start <= duration_s for start in hypothesis.starts_s):
        return hypothesis
    starts_s = tuple(min(start, duration_s) for start in hypothesis.starts_s)
    return replace(hypothesis, starts_s=starts_s)


def fit(options: DecodeOptions, info: EngineInfo) -> DecodeOptions:
    """Return what an engine can do of what a caller asks.

    A closed list becomes phrases to prefer where the engine can do only that, and nothing where it
    cannot do that either: to hear freely is nearer to the wish than to hear nothing.

    Args:
        options: what is asked.
        info: the engine.
    """
    if options == PLAIN:
        return PLAIN
    phrases, closed = options.phrases, options.closed and info.closed_lists
    if not closed:
        phrases = tuple(phrase for phrase in phrases if phrase != UNKNOWN) if info.hotwords else ()
    closed = closed and bool(phrases)
    boost = options.boost if phrases and not closed else PLAIN.boost
    alternatives = max(1, min(options.alternatives, info.alternatives))
    own = info.lm or NONE  # asking for what it does anyway keeps nobody out of a batch
    lm = options.lm if info.lms and options.lm != own else PLAIN.lm
    return DecodeOptions(phrases, closed, boost, alternatives, options.patient, lm)
