"""Engine `sherpa_online`: streaming zipformer transducers by sherpa-onnx.

Runs in the engine's process only; what sherpa-onnx does not survive is checked before it is called
(models/probe.py, models/online_graphs.py).

sherpa-onnx decodes a chunk once the window it looks at is there and one frame more
(csrc/online-recognizer-transducer-impl.h, `IsReady`), so a stream's end is followed by enough
silence for the frames that came last.
"""

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ruasr_tel.engines.base import (
    PLAIN,
    DecodeOptions,
    EngineInfo,
    EngineSpec,
    Hypothesis,
    Piece,
    StreamingEngine,
)
from ruasr_tel.engines.nearest import keep_to_list
from ruasr_tel.engines.sherpa_hotwords import Hotwords, hotwords_for
from ruasr_tel.engines.streaming import decode_whole, stream_of
from ruasr_tel.errors import ConfigError, DecodeError, ModelLoadError
from ruasr_tel.models.graphs import open_graph
from ruasr_tel.models.online_graphs import FRAME_S, OnlineShape, check_online_transducer
from ruasr_tel.models.probe import LAYOUTS, ONLINE_TRANSDUCER, check_files, find_files
from ruasr_tel.models.tokens import read_tokens
from ruasr_tel.types import Waveform

RATE_HZ = 16000
DEFAULT_BATCH = 16
GREEDY, SEARCH = "greedy_search", "modified_beam_search"
EMISSION_S = 0.3
"""How much later than its sound a transducer may put a symbol out; with the window of the usual
chunk of 32 frames it makes the 0.66 s and more of silence that sherpa-onnx's own clients add
(python-api-examples/online-decode-files.py, `tail_paddings`)."""


@dataclass(slots=True)
class OnlineStream:
    """One stream of this engine.

    Attributes:
        native: sherpa-onnx's stream.
        recognizer: sherpa-onnx's recogniser that made it.
        options: what its caller asks for.
        heard_samples: how much audio it got, without the silence after it.
        ended: whether it had its last piece.
    """

    native: Any
    recognizer: Any
    options: DecodeOptions
    heard_samples: int = 0
    ended: bool = False


class SherpaOnlineEngine:
    """One recogniser shared by all streams; its decoding takes no lock and releases the GIL.

    Phrases need another search, and so a recogniser of their own; it is loaded when they are first
    asked for.

    Args:
        load: returns a recogniser of sherpa-onnx for a decoding method.
        info: what this engine is; `info.batch_size` streams are decoded together.
        tail_s: silence that brings the last frames of a stream out.
        hotwords: how phrases are written for it, or None: it cannot prefer any.
    """

    def __init__(
        self,
        load: Callable[[str], Any],
        info: EngineInfo,
        tail_s: float,
        hotwords: Hotwords | None = None,
    ) -> None:
        self._load = load
        self._recognizers = {GREEDY: load(GREEDY)}
        self._loading = threading.Lock()
        self._hotwords = hotwords
        self.info = info
        self._tail = np.zeros(math.ceil(tail_s * info.sample_rate_hz), dtype=np.float32)

    def decode(
        self, segments: Sequence[Waveform], options: DecodeOptions = PLAIN
    ) -> list[Hypothesis]:
        """Return one hypothesis per segment, in order; see `Engine.decode`.

        Raises:
            DecodeError: sherpa-onnx could not decode one of them.
        """
        return decode_whole(self, segments, options)

    def open_stream(self, options: DecodeOptions = PLAIN) -> OnlineStream:
        """Return a new stream; see `StreamingEngine.open_stream`.

        Raises:
            ModelLoadError: the model cannot be loaded a second time, for phrases.
        """
        written = self._hotwords.write(options.phrases, options.boost) if self._hotwords else ""
        recognizer = self._searching() if written else self._recognizers[GREEDY]
        native = recognizer.create_stream(**({"hotwords": written} if written else {}))
        return OnlineStream(native, recognizer, options)

    def advance(self, pieces: Sequence[Piece]) -> list[Hypothesis]:
        """Hear the new audio of several streams together; see `StreamingEngine.advance`.

        Raises:
            DecodeError: sherpa-onnx could not decode them, or a stream had ended.
        """
        streams = [stream_of(piece, OnlineStream, "sherpa_online") for piece in pieces]
        try:
            for stream, piece in zip(streams, pieces, strict=True):
                self._push(stream, piece)
            for recognizer in self._recognizers.values():
                self._decode_ready(
                    recognizer,
                    [stream.native for stream in streams if stream.recognizer is recognizer],
                )
            return [self._hypothesis(stream) for stream in streams]
        except Exception as exc:  # the binding raises what C++ threw
            reason = " ".join(str(exc).split())[:200]
            raise DecodeError(
                f"sherpa-onnx could not decode {len(streams)} stream(s): {reason}"
            ) from exc

    def _push(self, stream: OnlineStream, piece: Piece) -> None:
        if len(piece.samples):
            stream.native.accept_waveform(self.info.sample_rate_hz, piece.samples)
        stream.heard_samples += len(piece.samples)
        if piece.last:
            stream.ended = True
            stream.native.accept_waveform(self.info.sample_rate_hz, self._tail)
            stream.native.input_finished()

    def _decode_ready(self, recognizer: Any, natives: Sequence[Any]) -> None:
        """Decode every whole chunk; never an empty batch, which is a SIGSEGV (our measurement)."""
        size = self.info.batch_size
        while ready := [native for native in natives if recognizer.is_ready(native)]:
            for begin in range(0, len(ready), size):
                recognizer.decode_streams(ready[begin : begin + size])

    def _searching(self) -> Any:
        """Return the recogniser that searches along several paths; load it if need be."""
        with self._loading:
            if SEARCH not in self._recognizers:
                # a new dict: `advance` may be going through the old one
                self._recognizers = {**self._recognizers, SEARCH: self._load(SEARCH)}
            return self._recognizers[SEARCH]

    def _hypothesis(self, stream: OnlineStream) -> Hypothesis:
        result = stream.recognizer.get_result_all(stream.native)
        heard_s = stream.heard_samples / self.info.sample_rate_hz
        tokens = tuple(result.tokens)
        log_probs = tuple(float(value) for value in result.ys_probs)
        usable = len(log_probs) == len(tokens) and all(map(math.isfinite, log_probs))
        heard = Hypothesis(
            text=" ".join(result.text.split()),
            tokens=tokens,
            starts_s=tuple(min(round(float(at), 3), heard_s) for at in result.timestamps),
            log_probs=log_probs if usable else None,
        )
        listed = stream.options.closed and stream.options.phrases and self.info.closed_lists
        return keep_to_list(heard, stream.options) if listed and stream.ended else heard


def create(spec: EngineSpec) -> StreamingEngine:
    """Check the model of `spec`, then load it.

    `spec.options` may hold for each role (`encoder`, `decoder`, `joiner`, `tokens`) the names or
    globs of its file below `spec.model_dir`, separated by `|`, best first; and `batch_size`: how
    many streams are decoded together, 16 unless given.

    Raises:
        ModelLoadError: the model cannot be used; the message names the file and the cure.
        ConfigError: another family or provider than this engine has, or no sherpa-onnx.
    """
    if spec.family != ONLINE_TRANSDUCER:
        raise ConfigError(
            f"model {spec.model}: engine sherpa_online runs family {ONLINE_TRANSDUCER}, "
            f"not {spec.family!r}"
        )
    if spec.provider not in ("auto", "cpu"):
        raise ConfigError(
            f"engine sherpa_online runs on the CPU only, not on {spec.provider!r}: "
            "set the provider to cpu"
        )
    files = _files_of(spec)
    check_files(files, spec.family)
    graphs = {role: open_graph(path) for role, path in files.items() if role != "tokens"}
    table = read_tokens(files["tokens"])
    shape = check_online_transducer(graphs, table)
    hotwords = hotwords_for(table.symbols, files["tokens"].parent)
    info = EngineInfo(
        engine=spec.engine,
        model=spec.model,
        sample_rate_hz=RATE_HZ,
        min_segment_s=spec.min_segment_s,
        max_segment_s=spec.max_segment_s,
        batch_size=max(1, int(spec.options.get("batch_size", DEFAULT_BATCH))),
        confidence=True,
        streaming=True,
        chunk_s=shape.chunk_frames * FRAME_S,
        hotwords=hotwords is not None,
        closed_lists=hotwords is not None,
    )
    tail_s = (shape.window_frames + 2) * FRAME_S + EMISSION_S  # IsReady wants one frame too many

    def load(method: str) -> Any:
        return _load(spec, files, shape, method, hotwords)

    return SherpaOnlineEngine(load, info, tail_s, hotwords)


def _files_of(spec: EngineSpec) -> dict[str, Path]:
    """Return role -> file, from the options or by the family's usual names."""
    folder = spec.model_dir
    if folder is None or not folder.is_dir():
        raise ModelLoadError(f"model {spec.model}: {folder} is not a folder")
    patterns = {
        role: str(spec.options[role]).split("|") if role in spec.options else names
        for role, names in LAYOUTS[spec.family].items()
    }
    return find_files(folder, patterns)


def _load(
    spec: EngineSpec,
    files: Mapping[str, Path],
    shape: OnlineShape,
    method: str,
    hotwords: Hotwords | None,
) -> Any:
    try:
        from sherpa_onnx import OnlineRecognizer
    except ImportError as exc:
        raise ConfigError(
            "engine sherpa_online needs its package: pip install sherpa-onnx"
        ) from exc
    try:
        with ExitStack() as stack:
            spelling: dict[str, str] = {}
            if hotwords is not None and method == SEARCH:
                spelling = stack.enter_context(hotwords.spelling())
            return OnlineRecognizer.from_transducer(
                **{role: str(path) for role, path in files.items()},
                **spelling,
                num_threads=1,  # its default is 2; see design, "threads"
                sample_rate=RATE_HZ,
                feature_dim=shape.mel_bins,
                enable_endpoint_detection=False,
                decoding_method=method,
                temperature_scale=1.0,  # its default of 2 flattens the log probabilities it reports
                model_type="zipformer2",
                provider="cpu",
            )
    except Exception as exc:  # the binding raises what C++ threw
        reason = " ".join(str(exc).split())[:200]
        raise ModelLoadError(
            f"sherpa-onnx cannot load {spec.model} from {spec.model_dir}: {reason}"
        ) from exc
