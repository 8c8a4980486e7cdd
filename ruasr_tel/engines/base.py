"""What every recognition engine offers, and what it is made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ruasr_tel.types import Waveform


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """An engine's answer to one segment; times count from the segment's first sample.

    Attributes:
        text: the whole text, words separated by single spaces; empty when nothing was heard.
        tokens: the model's tokens in order; a token that begins a word starts with a space or `▁`,
            or is preceded by a lone space token.
        starts_s: start of each token in seconds, same length as `tokens`.
        log_probs: natural log probability of each token, same length, or None if there are none.
    """

    text: str
    tokens: tuple[str, ...] = ()
    starts_s: tuple[float, ...] = ()
    log_probs: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What a loaded engine is and can do; the server uses only that.

    Attributes:
        engine: the engine's entry-point name.
        model: the model's name, as shown to people.
        sample_rate_hz: rate of the waveforms it takes.
        min_segment_s: shorter segments are padded with silence to this length before decoding.
        max_segment_s: the longest segment the model takes.
        batch_size: how many segments to hand over at once; 1 where batching does not gain.
        confidence: whether hypotheses carry log probabilities.
        provider: where it runs: `cpu` or `cuda`.
    """

    engine: str
    model: str
    sample_rate_hz: int
    min_segment_s: float = 0.1
    max_segment_s: float = 20.0
    batch_size: int = 1
    confidence: bool = False
    provider: str = "cpu"


class Engine(Protocol):
    """A loaded model. Thread-safe; shared by all calls; blocking."""

    @property
    def info(self) -> EngineInfo:
        """What this engine is and can do."""
        ...

    def decode(self, segments: Sequence[Waveform]) -> list[Hypothesis]:
        """Return one hypothesis per segment, in order.

        Args:
            segments: at least one; float32 in [-1, 1], shape (n,), at `info.sample_rate_hz`,
                finite, n > 0 (engines/prepare.py sees to that).

        Raises:
            DecodeError: the model could not decode these segments.
        """
        ...


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """Which engine to make in the child process, from what. Plain values: it travels as JSON.

    Attributes:
        engine: entry-point name in group `ruasr_tel.engines`.
        model: the model's name, as shown to people.
        model_dir: folder of the model's files, or None for an engine without files.
        family: `nemo_ctc`, `transducer` or `nemo_transducer` for sherpa; free for other engines.
        provider: `cpu` or `cuda`.
        threads: decodes at once; each has one intra-op thread.
        min_segment_s: the model's shortest segment.
        max_segment_s: the model's longest segment.
        options: anything else the engine understands.
    """

    engine: str
    model: str
    model_dir: Path | None = None
    family: str = ""
    provider: str = "cpu"
    threads: int = 1
    min_segment_s: float = 0.1
    max_segment_s: float = 20.0
    options: Mapping[str, str | int | float | bool] = field(default_factory=dict)


class EngineFactory(Protocol):
    """The object behind an entry point of group `ruasr_tel.engines`; called in the child."""

    def __call__(self, spec: EngineSpec) -> Engine:
        """Load the model.

        Raises:
            ModelLoadError: it cannot be used; the message names the file and the cure.
            ConfigError: the provider or a package it needs is missing.
        """
        ...
