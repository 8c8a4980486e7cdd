"""Engine `tone`: T-one, a streaming CTC model for 8 kHz telephone speech, by onnxruntime.

The network takes 300 ms of each stream and its state, and gives ten frames (voicekit-team/T-one,
tone/onnx_wrapper.py). Streams are advanced together: 16 of them cost half as much each as one alone
(our measurement). sherpa-onnx, which runs the same file, answers 300 ms later and does not batch
streams of different callers.

Like upstream's pipeline (tone/pipeline.py) a stream begins and ends with 300 ms of silence: "Model
was trained with left/right padding so it's necessary to add it". What the network makes of the
first one is the same for every stream, so it is computed once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ruasr_tel.engines import runtime
from ruasr_tel.engines.base import (
    PLAIN,
    DecodeOptions,
    EngineInfo,
    EngineSpec,
    Hypothesis,
    Piece,
    StreamingEngine,
)
from ruasr_tel.engines.ctc import CtcDecoder, LogProbs, Posteriors, Vocabulary
from ruasr_tel.engines.ctc_path import GreedyPath
from ruasr_tel.engines.onnx import make_ctc_decoder
from ruasr_tel.engines.runtime import Device
from ruasr_tel.engines.streaming import decode_whole, stream_of
from ruasr_tel.errors import ConfigError, DecodeError, ModelLoadError
from ruasr_tel.models.graphs import describe
from ruasr_tel.models.online_graphs import ToneShape, check_tone
from ruasr_tel.models.probe import LAYOUTS, T_ONE, check_files, find_files
from ruasr_tel.models.tokens import TokenTable, read_tokens
from ruasr_tel.types import Waveform

RATE_HZ = 8000  # tone/onnx_wrapper.py, SAMPLE_RATE
TIME_BIAS_S = 0.33  # tone/onnx_wrapper.py, MEAN_TIME_BIAS: a symbol comes so much after its sound
DEFAULT_BATCH = 16  # upstream's Triton configuration, max_batch_size

_States = npt.NDArray[np.float16]
_Signals = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class ToneNetwork:
    """The loaded network.

    Attributes:
        session: onnxruntime's session.
        shape: what it takes and gives.
    """

    session: Any
    shape: ToneShape

    def run(self, signals: _Signals, states: _States) -> tuple[LogProbs, _States]:
        """Return log probabilities (b, frames, symbols) and next states of one chunk each.

        Args:
            signals: int16 values, shape (b, chunk_samples).
            states: shape (b, state).
        """
        feed = dict(zip(self.shape.inputs, (signals[:, :, np.newaxis], states), strict=True))
        log_probs, following = self.session.run(list(self.shape.outputs), feed)
        return np.asarray(log_probs, dtype=np.float32), following


class ToneStream:
    """One stream: audio that the network has not heard yet, its state, and what it said.

    Attributes:
        state: the network's, shape (state,).
        log_probs: of all frames so far, the padding's first; kept for options that need them.

    Args:
        chunk_samples: what the network takes at once.
        path: an empty one.
        options: what its caller asks for.
        keeps: whether `log_probs` will be needed.
    """

    def __init__(
        self, chunk_samples: int, path: GreedyPath, options: DecodeOptions, *, keeps: bool
    ) -> None:
        self.options = options
        self._keeps = keeps
        self.path = path
        self.state: _States = np.empty(0, dtype=np.float16)
        self.log_probs: list[LogProbs] = []
        self.heard_samples = 0
        self.ended = False
        self._chunk = chunk_samples
        self._waiting: list[Waveform] = []
        self._waiting_samples = 0

    def push(self, samples: Waveform, *, last: bool) -> None:
        """Add audio; after the last of it also the silence that brings the last frames out."""
        self.heard_samples += len(samples)
        self._wait(samples)
        self.ended = last
        if last:
            filling = -self._waiting_samples % self._chunk
            self._wait(np.zeros(filling + self._chunk, dtype=np.float32))

    @property
    def ready(self) -> bool:
        """Whether a whole chunk waits."""
        return self._waiting_samples >= self._chunk

    def take(self) -> _Signals:
        """Return the next chunk as the network takes it: int16 values, shape (chunk_samples,)."""
        waiting = np.concatenate(self._waiting)
        self._waiting = [waiting[self._chunk :]]
        self._waiting_samples -= self._chunk
        # The inverse of our scaling of int16 by 1/32768, so that the network gets the very samples.
        values = np.rint(waiting[: self._chunk] * np.float32(32768.0))
        return np.asarray(np.clip(values, -32768.0, 32767.0), dtype=np.int32)

    def hear(self, log_probs: LogProbs, state: _States) -> None:
        """Take the network's answer to the chunk that was taken last."""
        self.state = state
        self.path.push(log_probs)
        if self._keeps:
            self.log_probs.append(log_probs)

    def _wait(self, samples: Waveform) -> None:
        self._waiting.append(samples)
        self._waiting_samples += len(samples)


class ToneEngine:
    """One session shared by all streams; thread-safe, as long as each stream is in one call only.

    Args:
        network: the loaded network.
        vocabulary: its symbols.
        decoder: makes the text of a stream with options, once the stream has ended; before that,
            and for streams without, the best symbol of each frame is taken.
        info: what the engine is; `info.batch_size` streams go through the network together.
    """

    def __init__(
        self, network: ToneNetwork, vocabulary: Vocabulary, decoder: CtcDecoder, info: EngineInfo
    ) -> None:
        self._network = network
        self._vocabulary = vocabulary
        self._decoder = decoder
        self.info = info
        self._chunk = network.shape.chunk_samples
        silence = np.zeros((1, self._chunk), dtype=np.int32)
        nothing = np.zeros((1, network.shape.state), dtype=np.float16)
        log_probs, states = network.run(silence, nothing)
        self._padding_heard: LogProbs = log_probs[0]
        self._state_after_padding: _States = states[0]
        self._frame_s = self._chunk / RATE_HZ / len(self._padding_heard)

    def decode(
        self, segments: Sequence[Waveform], options: DecodeOptions = PLAIN
    ) -> list[Hypothesis]:
        """Return one hypothesis per segment, in order; see `Engine.decode`.

        Raises:
            DecodeError: onnxruntime could not run one of them.
        """
        return decode_whole(self, segments, options)

    def open_stream(self, options: DecodeOptions = PLAIN) -> ToneStream:
        """Return a new stream; see `StreamingEngine.open_stream`."""
        keeps = not self._decoder.is_plain(options)
        stream = ToneStream(self._chunk, GreedyPath(self._vocabulary), options, keeps=keeps)
        stream.hear(self._padding_heard, self._state_after_padding)
        return stream

    def advance(self, pieces: Sequence[Piece]) -> list[Hypothesis]:
        """Hear the new audio of several streams together; see `StreamingEngine.advance`.

        Raises:
            DecodeError: onnxruntime could not run them, or a stream had ended.
        """
        streams = [stream_of(piece, ToneStream, "tone") for piece in pieces]
        for stream, piece in zip(streams, pieces, strict=True):
            stream.push(piece.samples, last=piece.last)
        size = self.info.batch_size
        while ready := [stream for stream in streams if stream.ready]:
            for begin in range(0, len(ready), size):
                self._step(ready[begin : begin + size])
        return [self._hypothesis(stream) for stream in streams]

    def _step(self, streams: Sequence[ToneStream]) -> None:
        """Advance each of these streams by one chunk, together."""
        signals = np.stack([stream.take() for stream in streams])
        try:
            log_probs, states = self._network.run(
                signals, np.stack([stream.state for stream in streams])
            )
        except Exception as exc:  # onnxruntime raises a dozen unrelated types
            reason = " ".join(str(exc).split())[:200]
            raise DecodeError(f"onnxruntime could not run {self.info.model}: {reason}") from exc
        for index, stream in enumerate(streams):
            # a view would keep the answers to the whole batch alive
            stream.hear(log_probs[index].copy(), states[index].copy())

    def _hypothesis(self, stream: ToneStream) -> Hypothesis:
        if stream.ended and stream.log_probs:
            posteriors = Posteriors(np.concatenate(stream.log_probs), self._frame_s)
            found = self._decoder.decode(posteriors, stream.options)
        else:
            found = stream.path.hypothesis(self._frame_s)
        return _in_stream_time(
            found, TIME_BIAS_S + self._chunk / RATE_HZ, stream.heard_samples / RATE_HZ
        )


def create(spec: EngineSpec) -> StreamingEngine:
    """Check the model of `spec`, then load it.

    `spec.options` may hold `model` and `tokens`: names or globs of these files below
    `spec.model_dir`, separated by `|`, best first; `batch_size`: how many streams go through the
    network at once, 16 unless given; on a GPU that is `gpu_batch_size`; `gpu` and
    `gpu_memory_mb`, see `runtime.on_device`. Tokens are sherpa-onnx's tokens.txt or upstream's
    vocab.json.

    Raises:
        ModelLoadError: the model cannot be used; the message names the file and the cure.
        ConfigError: another family than this engine has; or a provider that is not there.
    """
    if spec.family != T_ONE:
        raise ConfigError(
            f"model {spec.model}: engine tone runs family {T_ONE}, not {spec.family!r}"
        )
    files = _files_of(spec)
    check_files(files, T_ONE)
    table = read_tokens(files["tokens"])
    network, device, fallback = runtime.on_device(
        spec, lambda on: _load_network(files["model"], table, on)
    )
    assert table.blank is not None  # read_tokens has seen to that
    vocabulary = Vocabulary.of(table.symbols, table.blank)
    decoder = make_ctc_decoder(vocabulary, spec)
    on_gpu = device.provider == "cuda"
    batch = int(spec.options.get("gpu_batch_size" if on_gpu else "batch_size", DEFAULT_BATCH))
    info = EngineInfo(
        engine=spec.engine,
        model=spec.model,
        sample_rate_hz=RATE_HZ,
        min_segment_s=spec.min_segment_s,
        max_segment_s=spec.max_segment_s,
        batch_size=max(1, batch),
        slots=1 if on_gpu else 0,  # beside the thread of the streams; see engines/onnx.py
        confidence=True,
        provider=device.provider,
        fallback=fallback,
        streaming=True,
        chunk_s=network.shape.chunk_samples / RATE_HZ,
        hotwords=decoder.hotwords,
        closed_lists=decoder.closed_lists,
        alternatives=decoder.alternatives,
        lm=decoder.lm,
        lms=True,
    )
    engine = ToneEngine(network, vocabulary, decoder, info)
    runtime.return_free_memory()
    return engine


def _load_network(path: Path, table: TokenTable, device: Device) -> ToneNetwork:
    session = runtime.open_session(path, device)
    return ToneNetwork(session, check_tone(describe(path, session), table))


def _in_stream_time(found: Hypothesis, delay_s: float, heard_s: float) -> Hypothesis:
    """Return a hypothesis whose times count from the padding's begin in its stream's own time.

    Args:
        found: times count from the first frame.
        delay_s: from a sound, padding before it not counted, to its frame.
        heard_s: how much audio the stream had; nothing starts later.
    """
    return replace(
        found,
        starts_s=tuple(
            min(max(round(start - delay_s, 3), 0.0), heard_s) for start in found.starts_s
        ),
        alternatives=tuple(_in_stream_time(each, delay_s, heard_s) for each in found.alternatives),
    )


def _files_of(spec: EngineSpec) -> dict[str, Path]:
    """Return role -> file, from the options or by the usual names."""
    folder = spec.model_dir
    if folder is None or not folder.is_dir():
        raise ModelLoadError(f"model {spec.model}: {folder} is not a folder")
    patterns = {
        role: str(spec.options[role]).split("|") if role in spec.options else names
        for role, names in LAYOUTS[T_ONE].items()
    }
    return find_files(folder, patterns)
