"""What a model's own probabilities are worth: a monotone map from them to shares of right words.

Networks are surer than they are right. The map is fitted on recordings the model has not learnt
from and is kept with the model (`calibration` in the catalogue). It is applied here, in the engine
process, so that every user of a confidence sees the same.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from ruasr_tel.engines import words
from ruasr_tel.engines.base import (
    PLAIN,
    DecodeOptions,
    Engine,
    EngineInfo,
    EngineSpec,
    Hypothesis,
    Piece,
    StreamingEngine,
)
from ruasr_tel.errors import ConfigError
from ruasr_tel.types import Waveform

OPTION = "calibration"
"""Key of `EngineSpec.options`: knots as `raw:calibrated`, separated by spaces."""
LEAST = 1e-6
"""Smallest confidence, so that it has a logarithm."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """A line through knots; flat before the first and after the last.

    Attributes:
        knots: confidence as the model has it and share of right words, both 0..1 and both rising.
    """

    knots: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        """See that the line is one.

        Raises:
            ConfigError: it has no knots, or does not rise.
        """
        rising = all(a[0] < b[0] and a[1] <= b[1] for a, b in pairwise(self.knots))
        inside = all(0 <= value <= 1 for knot in self.knots for value in knot)
        if not (self.knots and rising and inside):
            raise ConfigError(f"calibration {self.knots} has no knots that rise from 0 to 1")

    def confidence(self, raw: float) -> float:
        """Return the share of words that are right where the model is this sure."""
        before = self.knots[0]
        for knot in self.knots:
            if raw <= knot[0]:
                part = 1.0 if knot is before else (raw - before[0]) / (knot[0] - before[0])
                return before[1] + part * (knot[1] - before[1])
            before = knot
        return before[1]

    def apply(self, hypothesis: Hypothesis) -> Hypothesis:
        """Return it with token probabilities whose mean per word is the calibrated one."""
        others = tuple(self.apply(one) for one in hypothesis.alternatives)
        if hypothesis.log_probs is None:
            return replace(hypothesis, alternatives=others)
        log_probs = list(hypothesis.log_probs)
        for span in words.spans(hypothesis.tokens):
            raw = math.exp(min(0.0, words.mean_log_prob(hypothesis, span)))
            level = math.log(max(self.confidence(raw), LEAST))
            for index in span:
                log_probs[index] = level
        return replace(hypothesis, log_probs=tuple(log_probs), alternatives=others)


def write(knots: Sequence[tuple[float, float]]) -> str:
    """Return knots as the value of OPTION."""
    return " ".join(f"{raw:g}:{share:g}" for raw, share in knots)


def read(spec: EngineSpec) -> Calibration | None:
    """Return the calibration in a spec's options, or None.

    Raises:
        ConfigError: it is none.
    """
    written = spec.options.get(OPTION)
    if not written:
        return None
    try:
        pairs = [knot.split(":") for knot in str(written).split()]
        return Calibration(tuple((float(raw), float(share)) for raw, share in pairs))
    except ValueError as exc:
        raise ConfigError(f"calibration {written!r} is not a list of raw:share") from exc


def calibrated(engine: Engine, spec: EngineSpec) -> Engine:
    """Return the engine with the confidences that its model's calibration gives, if it has one.

    Raises:
        ConfigError: the calibration in the spec is none.
    """
    calibration = read(spec)
    return engine if calibration is None else CalibratedEngine(engine, calibration)


class CalibratedEngine:
    """An engine whose confidences are shares of right words.

    Args:
        engine: any.
        calibration: of its model.
    """

    def __init__(self, engine: Engine, calibration: Calibration) -> None:
        self._engine = engine
        self._calibration = calibration

    @property
    def info(self) -> EngineInfo:
        """What the engine is and can do."""
        return self._engine.info

    def decode(
        self, segments: Sequence[Waveform], options: DecodeOptions = PLAIN
    ) -> list[Hypothesis]:
        """See `Engine.decode`."""
        return [self._calibration.apply(one) for one in self._engine.decode(segments, options)]

    def open_stream(self, options: DecodeOptions = PLAIN) -> object:
        """See `StreamingEngine.open_stream`; asked of streaming engines only."""
        return self._streaming().open_stream(options)

    def advance(self, pieces: Sequence[Piece]) -> list[Hypothesis]:
        """See `StreamingEngine.advance`; asked of streaming engines only."""
        return [self._calibration.apply(one) for one in self._streaming().advance(pieces)]

    def _streaming(self) -> StreamingEngine:
        assert self.info.streaming
        engine: StreamingEngine = self._engine  # type: ignore[assignment]  # info says that it is
        return engine
