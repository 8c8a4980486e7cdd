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
        score: natural log probability of the whole text as the decoder ranks it, or None; only
            comparable between the readings of one segment.
        alternatives: other readings of the segment, best first, each without alternatives of its
            own; empty unless they were asked for and the engine has them.
        match: 0..1, how well a closed list fits what was heard, 1 where nothing was; None without
            such a list.
    """

    text: str
    tokens: tuple[str, ...] = ()
    starts_s: tuple[float, ...] = ()
    log_probs: tuple[float, ...] | None = None
    score: float | None = None
    alternatives: tuple["Hypothesis", ...] = ()
    match: float | None = None


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """What one caller asks of a decode; an engine that cannot do it leaves it out (`EngineInfo`).

    Attributes:
        phrases: to prefer, or with `closed` the only ones possible; lower case, words separated by
            single spaces.
        closed: nothing but `phrases` may come out; `[unk]` among them allows anything else, which
            then reads `[unk]`.
        boost: natural log added per token of a preferred phrase; ignored with `closed`.
        alternatives: how many readings at most, the best one included.
        patient: nobody waits for it: the decode may yield the processor to everything else.
        lm: language models, as `language/choice.py` has them; empty: those of the server. Only such
            as `EngineSpec.options` named when the engine was made.
    """

    phrases: tuple[str, ...] = ()
    closed: bool = False
    boost: float = 1.5
    alternatives: int = 1
    patient: bool = False
    lm: str = ""


PLAIN = DecodeOptions()
"""Asks for nothing special."""


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
        streaming: whether it is a `StreamingEngine`.
        chunk_s: a streaming engine advances by so much audio; 0 where it takes any length.
        hotwords: whether it can prefer phrases.
        closed_lists: whether it can decode to a closed list of phrases.
        alternatives: the most readings it gives of one segment.
        slots: how many decodes at once it gains from; 0: as many as there are threads.
        fallback: why it does not run where it should, for the log; empty if it does.
        lm: the language models that it decodes with unless asked for others; empty without.
        lms: whether it takes language models.
    """

    engine: str
    model: str
    sample_rate_hz: int
    min_segment_s: float = 0.1
    max_segment_s: float = 20.0
    batch_size: int = 1
    confidence: bool = False
    provider: str = "cpu"
    streaming: bool = False
    chunk_s: float = 0.0
    hotwords: bool = False
    closed_lists: bool = False
    alternatives: int = 1
    slots: int = 0
    fallback: str = ""
    lm: str = ""
    lms: bool = False


class Engine(Protocol):
    """A loaded model. Thread-safe; shared by all calls; blocking."""

    @property
    def info(self) -> EngineInfo:
        """What this engine is and can do."""
        ...

    def decode(
        self, segments: Sequence[Waveform], options: DecodeOptions = PLAIN
    ) -> list[Hypothesis]:
        """Return one hypothesis per segment, in order.

        Args:
            segments: at least one; float32 in [-1, 1], shape (n,), at `info.sample_rate_hz`,
                finite, n > 0 (engines/prepare.py sees to that).
            options: what the caller of all these segments asks for.

        Raises:
            DecodeError: the model could not decode these segments.
        """
        ...


@dataclass(frozen=True, slots=True)
class Piece:
    """New audio of one stream.

    Attributes:
        stream: from `StreamingEngine.open_stream`.
        samples: float32 in [-1, 1], shape (n,), n >= 0, at `info.sample_rate_hz`, finite.
        last: whether the stream ends with it.
    """

    stream: object
    samples: Waveform
    last: bool = False


class StreamingEngine(Engine, Protocol):
    """A loaded model that hears audio as it comes; `decode` runs whole segments through it, too."""

    def open_stream(self, options: DecodeOptions = PLAIN) -> object:
        """Return a new stream; it is forgotten after its last piece, or when nobody holds it."""
        ...

    def advance(self, pieces: Sequence[Piece]) -> list[Hypothesis]:
        """Hear the new audio of several streams together.

        Args:
            pieces: at least one, each of another stream.

        Returns:
            What each stream has heard so far, in order; times count from its first sample. After
            the last piece nothing is held back.

        Raises:
            DecodeError: the model could not decode them; the streams are lost.
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
        provider: `cpu`, `cuda`, or `auto`: CUDA where it works, else the CPU.
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
