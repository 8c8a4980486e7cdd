"""An engine without a model, for tests of everything around engines.

It says `слово` for every half second of audio and misbehaves when the loudest sample of a segment
has one of the marker values below (put a marker into quiet audio, at the engine's own rate: a
resampler would change it). Options of its spec:

    sample_rate_hz       rate it takes, default 8000, so that telephone audio is not resampled
    batch_size           as in EngineInfo, default 1
    confidence           whether it gives log probabilities, default false
    delay_s              seconds per decode, default 0
    delay_per_audio_s    seconds per second of audio on top, default 0
    answer               `words` (default) or `measure`: the text is `отсчётов <n> пик <peak>`, so
                         that a test can tell segments apart
    hotwords, closed_lists, alternatives, lm
                         as in EngineInfo, default none: the first words become the preferred
                         phrases, in order; of a closed list the phrase is heard whose number is the
                         count of words, with match 1, or with match 0 `[unk]` if it is listed, else
                         the last phrase; other readings end with `вариант 2`, `вариант 3`, …
    streaming            whether it takes streams, default false; it says after each piece what it
                         would say to all audio so far
    chunk_s              as in EngineInfo, default 0
    fail_load            `model`, `config`, `crash`, `exit`, `hang`: how loading goes wrong

Its `model_dir` may be None; a folder that does not exist is a ModelLoadError.
"""

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ruasr_tel.engines.base import PLAIN, DecodeOptions, EngineInfo, EngineSpec, Hypothesis, Piece
from ruasr_tel.engines.prepare import UNKNOWN
from ruasr_tel.errors import ConfigError, DecodeError, ModelLoadError
from ruasr_tel.types import Waveform

QUIET = 100
"""Audio whose loudest int16 sample is below this is silence: the answer is empty."""

RAISES = 1001
"""Marker: the decode raises DecodeError."""

HANGS = 1002
"""Marker: the decode does not come back."""

DIES = 1003
"""Marker: the process ends at once with code 139, as after a segmentation fault."""

MISCOUNTS = 1004
"""Marker: the answer has one hypothesis too many."""

CRASHES = 1005
"""Marker: the decode raises something else than DecodeError."""

WORD = "слово"
WORD_S = 0.5
LOG_PROB = -0.25
_FOR_EVER_S = 3600.0


class ScriptedStream:
    """All audio of one stream so far."""

    def __init__(self, options: DecodeOptions) -> None:
        self.options = options
        self.audio: Waveform = np.zeros(0, dtype=np.float32)


class ScriptedEngine:
    """Answers by rule; see the module's text."""

    def __init__(self, spec: EngineSpec) -> None:
        options = spec.options
        self._delay_s = float(options.get("delay_s", 0.0))
        self._delay_per_audio_s = float(options.get("delay_per_audio_s", 0.0))
        self._measure = options.get("answer", "words") == "measure"
        self.info = EngineInfo(
            engine=spec.engine,
            model=spec.model,
            sample_rate_hz=int(options.get("sample_rate_hz", 8000)),
            min_segment_s=spec.min_segment_s,
            max_segment_s=spec.max_segment_s,
            batch_size=int(options.get("batch_size", 1)),
            confidence=bool(options.get("confidence", False)),
            provider=spec.provider,
            hotwords=bool(options.get("hotwords", False)),
            closed_lists=bool(options.get("closed_lists", False)),
            alternatives=int(options.get("alternatives", 1)),
            lm=str(options.get("lm", "")),
            lms="lm" in options,
            streaming=bool(options.get("streaming", False)),
            chunk_s=float(options.get("chunk_s", 0.0)),
        )

    def decode(
        self, segments: Sequence[Waveform], options: DecodeOptions = PLAIN
    ) -> list[Hypothesis]:
        """Return one hypothesis per segment, or what a marker asks for.

        Raises:
            DecodeError: a segment holds the marker RAISES.
            RuntimeError: a segment holds the marker CRASHES.
        """
        audio_s = sum(len(segment) for segment in segments) / self.info.sample_rate_hz
        time.sleep(self._delay_s + self._delay_per_audio_s * audio_s)
        peaks = [peak(segment) for segment in segments]
        _misbehave(peaks)
        answers = [self._answer(*pair, options) for pair in zip(segments, peaks, strict=True)]
        return answers + answers[:1] if MISCOUNTS in peaks else answers

    def open_stream(self, options: DecodeOptions = PLAIN) -> "ScriptedStream":
        """Return a new stream."""
        return ScriptedStream(options)

    def advance(self, pieces: Sequence[Piece]) -> list[Hypothesis]:
        """Return what each stream would be as a segment, or what a marker in a piece asks for.

        Raises:
            DecodeError: a piece holds the marker RAISES.
            RuntimeError: a piece holds the marker CRASHES.
        """
        audio_s = sum(len(piece.samples) for piece in pieces) / self.info.sample_rate_hz
        time.sleep(self._delay_s + self._delay_per_audio_s * audio_s)
        peaks = [peak(piece.samples) for piece in pieces]
        _misbehave(peaks)
        answers = [self._hear(piece) for piece in pieces]
        return answers + answers[:1] if MISCOUNTS in peaks else answers

    def _hear(self, piece: Piece) -> Hypothesis:
        stream = piece.stream
        assert isinstance(stream, ScriptedStream)
        stream.audio = np.concatenate([stream.audio, piece.samples])
        return self._answer(stream.audio, peak(stream.audio), stream.options)

    def _answer(self, segment: Waveform, loudest: int, options: DecodeOptions) -> Hypothesis:
        words, match = self._words(segment, loudest), None
        if options.closed and self.info.closed_lists:
            words, match = _choose(len(words), options.phrases)
        elif words and self.info.hotwords:
            preferred = " ".join(options.phrases[: len(words)]).split()
            words = preferred + words[len(options.phrases) :]
        readings = min(options.alternatives, self.info.alternatives) if words else 1
        others = [
            self._hypothesis([*words[:-1], "вариант", str(number)], score=1.0 - number)
            for number in range(2, readings + 1)
        ]
        best = self._hypothesis(words, score=0.0 if others else None)
        return replace(best, alternatives=tuple(others), match=match)

    def _words(self, segment: Waveform, loudest: int) -> list[str]:
        if loudest < QUIET:
            return []
        if self._measure:
            return ["отсчётов", str(len(segment)), "пик", str(loudest)]
        return [WORD] * max(1, int(len(segment) / (WORD_S * self.info.sample_rate_hz)))

    def _hypothesis(self, words: Sequence[str], score: float | None) -> Hypothesis:
        return Hypothesis(
            text=" ".join(words),
            tokens=tuple(f" {word}" for word in words),
            starts_s=tuple(index * WORD_S for index in range(len(words))),
            log_probs=(LOG_PROB,) * len(words) if self.info.confidence else None,
            score=score,
        )


def _choose(count: int, phrases: Sequence[str]) -> tuple[list[str], float]:
    """Return the phrase of a closed list that `count` words are, and how well it fits."""
    if not count:
        return [], 1.0
    known = [phrase for phrase in phrases if phrase != UNKNOWN]
    if count <= len(known):
        return known[count - 1].split(), 1.0
    return ([UNKNOWN] if UNKNOWN in phrases else known[-1].split()), 0.0


def peak(segment: Waveform) -> int:
    """Return the loudest sample of float32 audio as the int16 value it came from."""
    return round(float(np.abs(segment).max(initial=0.0)) * 32768)


def create(spec: EngineSpec) -> ScriptedEngine:
    """Return the engine, or fail as option `fail_load` says.

    Raises:
        ModelLoadError: `fail_load: model`, or the folder does not exist.
        ConfigError: `fail_load: config`.
        RuntimeError: `fail_load: crash`.
    """
    match spec.options.get("fail_load"):
        case "model":
            raise ModelLoadError(f"{spec.model_dir}/model.onnx is empty; fetch it again")
        case "config":
            raise ConfigError(f"engine.provider: {spec.provider} is not available here")
        case "crash":
            raise RuntimeError("no such tensor")
        case "exit":
            print("model.cc:42 tokens.txt has no blank", file=sys.stderr, flush=True)  # noqa: T201 - as sherpa-onnx does
            os._exit(255)
        case "hang":
            time.sleep(_FOR_EVER_S)
    if spec.model_dir is not None and not spec.model_dir.is_dir():
        raise ModelLoadError(f"{spec.model_dir} does not exist")
    return ScriptedEngine(spec)


def _misbehave(peaks: Sequence[int]) -> None:
    if RAISES in peaks:
        raise DecodeError("the segment holds the marker RAISES")
    if CRASHES in peaks:
        raise RuntimeError("the segment holds the marker CRASHES")
    if HANGS in peaks:
        time.sleep(_FOR_EVER_S)
    if DIES in peaks:
        os._exit(139)
