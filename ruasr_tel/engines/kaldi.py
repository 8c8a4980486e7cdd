"""Engine `kaldi`: classic Kaldi models (vosk-model-ru-0.42, -small-ru-0.22, -ru-0.10) by `vosk`.

Runs in the engine's process only. Streams natively, and knows word confidences, alternatives and,
where the model's graph can be put together anew, closed lists. A recogniser of an empty grammar
ends the process (vosk 0.3.45, SIGSEGV on its first audio), so none is ever made. Kaldi dithers its
audio (feat/feature-window.h), so that the same segment may give a little different words twice.
"""

import contextlib
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from ruasr_tel.engines.base import PLAIN, DecodeOptions, EngineInfo, EngineSpec, Hypothesis, Piece
from ruasr_tel.errors import ConfigError, DecodeError, ModelLoadError
from ruasr_tel.types import Waveform

FAMILY = "kaldi"
UNKNOWN = "[unk]"
MOST_ALTERNATIVES = 10
"""vosk takes any number; more readings than this of one phrase help nobody."""
DEFAULT_RATE_HZ = 16000  # kaldi feat/mel-computations.h, samp_freq
_RATE_KEY = "--sample-frequency="
_SMALLEST = 1e-6  # log of a confidence of 0 would be -inf
T = TypeVar("T")


@dataclass(slots=True)
class KaldiStream:
    """One stream's recogniser, and what it has closed already.

    Attributes:
        recognizer: vosk's; None for a closed list of which the model knows no word.
        options: what its caller asked for.
        closed: answers to the utterances that vosk found an end of.
    """

    recognizer: Any
    options: DecodeOptions
    closed: list[Hypothesis] = field(default_factory=list)


class KaldiEngine:
    """A Kaldi model; every segment and every stream has a recogniser of its own.

    Args:
        model: vosk's.
        make: returns a recogniser of the model: `make(rate_hz)` or `make(rate_hz, grammar)`.
        info: what this engine is.
    """

    def __init__(self, model: Any, make: Callable[..., Any], info: EngineInfo) -> None:
        self._model = model
        self._make = make
        self.info = info

    def decode(
        self, segments: Sequence[Waveform], options: DecodeOptions = PLAIN
    ) -> list[Hypothesis]:
        """Return one hypothesis per segment, in order; see `Engine.decode`.

        With alternatives there are no confidences: vosk gives one or the other.

        Raises:
            DecodeError: vosk could not decode one of them.
        """
        return [
            self._advance(Piece(self.open_stream(options), segment, last=True), whole=True)
            for segment in segments
        ]

    def open_stream(self, options: DecodeOptions = PLAIN) -> KaldiStream:
        """Return a new stream.

        Raises:
            DecodeError: vosk cannot make a recogniser for these options.
        """
        try:
            return KaldiStream(self._recognizer(options), options)
        except Exception as exc:  # vosk raises Exception itself
            raise DecodeError(f"vosk cannot open a stream: {exc}") from exc

    def advance(self, pieces: Sequence[Piece]) -> list[Hypothesis]:
        """Hear new audio of several streams, one after the other; see `StreamingEngine.advance`.

        Raises:
            DecodeError: vosk could not decode one of them.
        """
        return [self._advance(piece) for piece in pieces]

    def _advance(self, piece: Piece, *, whole: bool = False) -> Hypothesis:
        stream = piece.stream
        assert isinstance(stream, KaldiStream)
        if stream.recognizer is None:  # it hears nothing of whatever is said: the list fits nothing
            return Hypothesis("", log_probs=(), match=0.0)
        try:
            return self._hear(stream, piece, whole=whole)
        except Exception as exc:  # vosk raises Exception itself
            seconds = len(piece.samples) / self.info.sample_rate_hz
            raise DecodeError(f"vosk could not decode {seconds:.2f} s: {exc}") from exc

    def _hear(self, stream: KaldiStream, piece: Piece, *, whole: bool) -> Hypothesis:
        recognizer = stream.recognizer
        ended = len(piece.samples) and recognizer.AcceptWaveform(_pcm(piece.samples))
        if piece.last:  # also says what an utterance was that has just ended
            said = parse_result(recognizer.FinalResult())
        elif ended:
            stream.closed.append(parse_result(recognizer.Result()))
            said = Hypothesis("", log_probs=())
        else:
            said = parse_result(recognizer.PartialResult())
        heard = said if whole else joined([*stream.closed, said])
        if not stream.options.closed:
            return heard
        return replace(heard, match=_match(heard))

    def _recognizer(self, options: DecodeOptions) -> Any:
        rate_hz = float(self.info.sample_rate_hz)
        if not (options.closed and self.info.closed_lists):
            recognizer = self._make(rate_hz)
        else:
            known = [phrase for phrase in options.phrases if self._knows(phrase)]
            if not known:
                return None
            recognizer = self._make(rate_hz, json.dumps(known, ensure_ascii=False))
        recognizer.SetWords(True)
        recognizer.SetPartialWords(True)
        if options.alternatives > 1:
            recognizer.SetMaxAlternatives(min(options.alternatives, MOST_ALTERNATIVES))
        return recognizer

    def _knows(self, phrase: str) -> bool:
        """Return whether every word of a phrase is in the model's vocabulary."""
        words = phrase.split()
        return bool(words) and all(self._model.vosk_model_find_word(word) >= 0 for word in words)


def parse_result(text: str) -> Hypothesis:
    """Return what one of vosk's answers says.

    Args:
        text: JSON with `result`, `partial_result` or `alternatives`, as vosk's recognizer.cc
            writes it; none of them where nothing was heard.
    """
    answer = json.loads(text)
    if "alternatives" not in answer:
        words = answer.get("result", answer.get("partial_result", []))
        return _reading(words, answer.get("text", answer.get("partial", "")))
    readings = [
        replace(_reading(each.get("result", []), each["text"]), score=float(each["confidence"]))
        for each in answer["alternatives"]
    ]
    return replace(readings[0], alternatives=tuple(readings[1:]))


def joined(parts: Sequence[Hypothesis]) -> Hypothesis:
    """Return the answers to a stream's utterances as one; alternatives only of a single one."""
    spoken = [part for part in parts if part.text]
    if len(spoken) == 1:
        return spoken[0]
    probabilities = [part.log_probs for part in spoken]
    known = [each for each in probabilities if each is not None]
    return Hypothesis(
        text=" ".join(part.text for part in spoken),
        tokens=tuple(token for part in spoken for token in part.tokens),
        starts_s=tuple(start for part in spoken for start in part.starts_s),
        log_probs=sum(known, ()) if len(known) == len(probabilities) else None,
    )


def create(spec: EngineSpec) -> KaldiEngine:
    """Load the Kaldi model of `spec` and make one recogniser of it.

    It takes audio at the rate in its conf/mfcc.conf.

    Raises:
        ModelLoadError: the model cannot be used; the message says why, and the cure.
        ConfigError: the package `vosk` is missing, or CUDA was asked for.
    """
    if spec.provider not in ("auto", "cpu"):
        raise ConfigError(
            f"engine kaldi runs on the CPU only, not on {spec.provider!r}: set the provider to cpu"
        )
    try:
        import vosk
    except ImportError as exc:
        raise ConfigError("engine kaldi needs its package: pip install 'ruasr-tel[vosk]'") from exc
    folder = spec.model_dir
    if folder is None or not folder.is_dir():
        raise ModelLoadError(f"model {spec.model}: {folder} is not a folder")
    rate_hz = rate_of(folder)
    model = _saying_why(spec, lambda: vosk.Model(str(folder)))

    def make(*args: Any) -> Any:
        return vosk.KaldiRecognizer(model, *args)

    _saying_why(spec, lambda: make(float(rate_hz)))  # a bad graph is found only now
    vosk.SetLogLevel(-1)  # a line for every recogniser, and for every word a grammar lacks
    info = EngineInfo(
        engine=spec.engine,
        model=spec.model,
        sample_rate_hz=rate_hz,
        min_segment_s=spec.min_segment_s,
        max_segment_s=spec.max_segment_s,
        confidence=True,
        streaming=True,
        closed_lists=has_runtime_graph(folder),
        alternatives=MOST_ALTERNATIVES,
    )
    return KaldiEngine(model, make, info)


def rate_of(folder: Path) -> int:
    """Return the rate in Hz that the model in `folder` was trained at."""
    for path in (folder / "conf" / "mfcc.conf", folder / "mfcc.conf"):
        if path.is_file():
            lines = path.read_text("utf-8", errors="replace").splitlines()
            rates = [line.removeprefix(_RATE_KEY) for line in lines if line.startswith(_RATE_KEY)]
            with contextlib.suppress(ValueError):
                return int(float(rates[-1])) if rates else DEFAULT_RATE_HZ
    return DEFAULT_RATE_HZ


def has_runtime_graph(folder: Path) -> bool:
    """Return whether the model's graph can be put together with another grammar.

    Large models have a static HCLG.fst instead; vosk then ignores a grammar with a warning
    (vosk-api src/recognizer.cc, "Runtime graphs are not supported by this model").
    """
    places = (folder / "graph", folder)
    return any((p / "HCLr.fst").is_file() and (p / "Gr.fst").is_file() for p in places)


def _reading(words: Sequence[dict[str, Any]], text: str) -> Hypothesis:
    confidences = [word.get("conf", math.nan) for word in words]
    usable = all(map(math.isfinite, confidences))
    return Hypothesis(
        text=" ".join(text.split()),
        tokens=tuple(f" {word['word']}" for word in words),
        starts_s=tuple(float(word["start"]) for word in words),
        log_probs=tuple(math.log(min(1.0, max(_SMALLEST, conf))) for conf in confidences)
        if usable
        else None,
    )


def _match(heard: Hypothesis) -> float:
    """Return the mean confidence of what was heard of a closed list; `[unk]` counts as 0.

    Nothing heard is nothing that the list does not fit: 1, as everywhere.
    """
    if not heard.text:
        return 1.0
    if not heard.tokens or heard.log_probs is None:
        return float(set(heard.text.split()) != {UNKNOWN})
    pairs = zip(heard.tokens, heard.log_probs, strict=True)
    values = [0.0 if token.strip() == UNKNOWN else math.exp(level) for token, level in pairs]
    return sum(values) / len(values)


def _pcm(samples: Waveform) -> bytes:
    """Return float samples as the s16 that vosk's Python binding takes."""
    levels = np.clip(np.rint(samples * 32768.0), -32768, 32767)
    return bytes(levels.astype("<i2").data)


def _saying_why(spec: EngineSpec, load: Callable[[], T]) -> T:
    """Return what `load` returns; vosk says only on stderr why it cannot."""
    said: list[str] = []
    try:
        with _stderr(said):
            return load()
    except Exception as exc:  # vosk raises Exception itself
        errors = [line.split(") ", 1)[-1] for line in said if "ERROR" in line] or [str(exc)]
        raise ModelLoadError(
            f"vosk cannot load {spec.model} from {spec.model_dir}: {errors[0][:300]}; "
            "fetch the whole model again"
        ) from exc


@contextlib.contextmanager
def _stderr(lines: list[str]) -> Iterator[None]:
    """Collect what C++ prints to stderr; the process loads one model and does nothing else."""
    kept = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            said.seek(0)
            lines.extend(said.read().decode("utf-8", "replace").splitlines())
