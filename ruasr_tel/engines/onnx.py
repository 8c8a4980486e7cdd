"""Engine `onnx`: GigaAM CTC and RNNT on onnxruntime with GigaAM's own front ends.

Takes the files as onnx-asr publishes them (`v3_ctc.int8.onnx`, `v3_vocab.txt`, `config.json`) and
as sherpa-onnx exports them (`model.int8.onnx`, `tokens.txt`, metadata): the same networks under
other names. Which front end a model needs (engines/features.py) comes from, in this order, the
option `features`, config.json, the metadata, and the files' names.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from ruasr_tel.engines import features, language, runtime
from ruasr_tel.engines.base import PLAIN, DecodeOptions, Engine, EngineInfo, EngineSpec, Hypothesis
from ruasr_tel.engines.batches import BatchLimit, bucket, masks_padding, plan, run
from ruasr_tel.engines.ctc import CtcDecoder, Posteriors, Vocabulary
from ruasr_tel.engines.ctc_beam import BeamCtc
from ruasr_tel.engines.ctc_search import LED_WIDTH
from ruasr_tel.engines.features import Features, FrontEnd
from ruasr_tel.engines.rnnt import MAX_TOKENS_PER_FRAME, Networks
from ruasr_tel.engines.rnnt_beam import BeamRnnt
from ruasr_tel.engines.runtime import Device
from ruasr_tel.errors import ConfigError, DecodeError, ModelLoadError
from ruasr_tel.models.gigaam import check_gigaam
from ruasr_tel.models.graphs import Graph, describe
from ruasr_tel.models.probe import LAYOUTS, NEMO_CTC, NEMO_TRANSDUCER, check_files, find_files
from ruasr_tel.models.tokens import TokenTable, read_tokens
from ruasr_tel.types import Waveform

FAMILIES = (NEMO_CTC, NEMO_TRANSDUCER)
CONFIG_NAME = "config.json"
SUBSAMPLING = 4
"""Feature frames per output frame of every published GigaAM (its `subsampling_factor`)."""

DEFAULT_BATCH = 16
"""Segments in one run on a GPU."""
DEFAULT_GOAL_S = 0.2
"""How long a run on a GPU may take: as long as a listener takes for no delay."""


class Acoustics(Protocol):
    """A loaded network with its search."""

    def decode(self, segments: Sequence[Waveform], options: DecodeOptions) -> list[Hypothesis]:
        """Return one hypothesis per segment; all go through the network together."""
        ...


class OnnxEngine:
    """GigaAM on onnxruntime; sessions and front ends are shared by all threads.

    Args:
        acoustics: the network.
        info: what this engine is; at most `info.batch_size` segments go through the network
            together.
        goal_s: how long a batch may take.
    """

    def __init__(
        self, acoustics: Acoustics, info: EngineInfo, goal_s: float = DEFAULT_GOAL_S
    ) -> None:
        self.acoustics = acoustics
        self.info = info
        self._limit = BatchLimit(goal_s)

    def decode(
        self, segments: Sequence[Waveform], options: DecodeOptions = PLAIN
    ) -> list[Hypothesis]:
        """Return one hypothesis per segment, in order; see `Engine.decode`.

        Raises:
            DecodeError: onnxruntime could not run one of them.
        """
        hop = round(features.FRAME_S * self.info.sample_rate_hz)
        lengths = [len(segment) // hop + 1 for segment in segments]
        answers = [Hypothesis("")] * len(segments)
        for group in plan(lengths, self.info.batch_size, self._limit.most_frames):
            began_s = time.monotonic()
            heard = self._decode([segments[index] for index in group], options)
            longest = bucket(max(lengths[index] for index in group))
            self._limit.ran(len(group) * longest, time.monotonic() - began_s)
            for index, hypothesis in zip(group, heard, strict=True):
                answers[index] = hypothesis
        return answers

    def _decode(self, batch: Sequence[Waveform], options: DecodeOptions) -> list[Hypothesis]:
        try:
            return self.acoustics.decode(batch, options)
        except Exception as exc:  # onnxruntime raises a dozen unrelated types
            seconds = max(map(len, batch)) / self.info.sample_rate_hz
            reason = " ".join(str(exc).split())[:200]
            raise DecodeError(
                f"onnxruntime could not decode {len(batch)} segment(s) of up to {seconds:.2f} s: "
                f"{reason}"
            ) from exc


class CtcAcoustics:
    """A CTC network and a decoder of its posteriors.

    Args:
        session: takes features (batch, 64, frames) and their lengths (batch,), gives log
            probabilities (batch, frames / subsampling, symbols).
        front_end: of the network.
        subsampling: feature frames per output frame.
        decoder: what makes text of the posteriors.
        bucketed: whether segments are padded to one of a few lengths.
    """

    def __init__(
        self,
        session: Any,
        front_end: FrontEnd,
        subsampling: int,
        decoder: CtcDecoder,
        *,
        bucketed: bool = False,
    ) -> None:
        self._bucketed = bucketed
        self._session = session
        self._front_end = front_end
        self._subsampling = subsampling
        self._decoder = decoder

    def posteriors(self, segments: Sequence[Waveform]) -> list[Posteriors]:
        """Return what the network heard in each segment, in order.

        Args:
            segments: at least one; as for `Engine.decode`.
        """
        heard = [self._front_end(segment) for segment in segments]
        (log_probs,) = run(self._session, heard, bucketed=self._bucketed)[:1]
        frames = [_output_frames(each, self._subsampling) for each in heard]
        frame_s = features.FRAME_S * self._subsampling
        return [
            Posteriors(one[:count], frame_s) for one, count in zip(log_probs, frames, strict=True)
        ]

    def decode(self, segments: Sequence[Waveform], options: DecodeOptions) -> list[Hypothesis]:
        """Return one hypothesis per segment, by the decoder."""
        return [self._decoder.decode(each, options) for each in self.posteriors(segments)]


class RnntAcoustics:
    """A transducer: an encoder, and the search through its output.

    Args:
        encoder: takes features (batch, 64, frames) and their lengths (batch,), gives encoded
            frames (batch, size, frames / subsampling) and their lengths.
        front_end: of the network.
        subsampling: feature frames per output frame.
        search: the other two networks.
        bucketed: whether segments are padded to one of a few lengths.
    """

    def __init__(
        self,
        encoder: Any,
        front_end: FrontEnd,
        subsampling: int,
        search: BeamRnnt,
        *,
        bucketed: bool = False,
    ) -> None:
        self._bucketed = bucketed
        self._encoder = encoder
        self._front_end = front_end
        self._frame_s = features.FRAME_S * subsampling
        self._search = search

    def decode(self, segments: Sequence[Waveform], options: DecodeOptions) -> list[Hypothesis]:
        """Return one hypothesis per segment, by the search."""
        heard = [self._front_end(segment) for segment in segments]
        encoded, lengths = run(self._encoder, heard, bucketed=self._bucketed)[:2]
        return [
            self._search.decode(one[:, : int(length)], self._frame_s, options)
            for one, length in zip(encoded, lengths, strict=True)
        ]


def create(spec: EngineSpec) -> Engine:
    """Check the model of `spec`, then load it.

    `spec.family` is `nemo_ctc` or `nemo_transducer`. `spec.options` may hold for each role
    (`model`, or `encoder`, `decoder` and `joiner`, and `tokens`) the names or globs of its file
    below `spec.model_dir`, separated by `|`, best first; `features`, see engines/features.py; and
    for CUDA what `runtime.on_device` takes, and `gpu_batch_size` and `gpu_goal_ms`, see
    engines/batches.py.

    Raises:
        ModelLoadError: the model cannot be used; the message names the file and the cure.
        ConfigError: an option is wrong, or a package, or CUDA where it was asked for, is missing.
    """
    if spec.family not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise ConfigError(
            f"model {spec.model}: engine onnx has no family {spec.family!r}; known: {known}"
        )
    loaded, device, fallback = runtime.on_device(spec, lambda on: _load(spec, on))
    runtime.return_free_memory()
    info = EngineInfo(
        engine=spec.engine,
        model=spec.model,
        sample_rate_hz=features.RATE_HZ,
        min_segment_s=spec.min_segment_s,
        max_segment_s=spec.max_segment_s,
        confidence=True,
        provider=device.provider,
        fallback=fallback or loaded.complaint,
    )
    if device.provider == "cuda":  # one thread owns the GPU; what waits for it goes together
        size = int(spec.options.get("gpu_batch_size", DEFAULT_BATCH)) if loaded.batches else 1
        info = replace(info, slots=1, batch_size=size)
    info = replace(
        info,
        hotwords=loaded.decoder.hotwords,
        closed_lists=loaded.decoder.closed_lists,
        alternatives=loaded.decoder.alternatives,
    )
    if not isinstance(loaded.decoder, BeamRnnt):
        info = replace(info, lm=loaded.decoder.lm, lms=True)
    goal_s = float(spec.options.get("gpu_goal_ms", 1000 * DEFAULT_GOAL_S)) / 1000
    return OnnxEngine(loaded.acoustics, info, goal_s)


def make_ctc_decoder(vocabulary: Vocabulary, spec: EngineSpec) -> CtcDecoder:
    """Return the decoder of a CTC model, with the language models that `spec.options` name.

    Raises:
        ModelLoadError: a language model cannot be used; names the file and the cure.
    """
    symbols = [one for i, one in enumerate(vocabulary.symbols) if i != vocabulary.blank]
    languages = language.load_all(spec, symbols)
    lm = str(spec.options.get(language.OPTION, ""))
    width = int(spec.options.get(language.WIDTH_OPTION, LED_WIDTH))
    return BeamCtc(vocabulary, languages, lm, width)


@dataclass(frozen=True, slots=True)
class _Model:
    """Opened files of a model."""

    files: Mapping[str, Path]
    sessions: Mapping[str, Any]
    graphs: Mapping[str, Graph]
    table: TokenTable
    config: Mapping[str, Any]

    def vocabulary(self) -> Vocabulary:
        assert self.table.blank is not None
        return Vocabulary.of(self.table.symbols, self.table.blank)

    def number(self, key: str, otherwise: int) -> int:
        """Return a positive number from config.json or the metadata of the first network."""
        main = next(iter(self.graphs.values()))
        value = self.config.get(key, main.metadata.get(key, otherwise))
        if not str(value).isdecimal() or int(value) == 0:
            raise ModelLoadError(f"{main.path}: {key} is {value!r}, expected a positive number")
        return int(value)


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A model that is ready.

    Attributes:
        acoustics: the network with its search.
        decoder: what makes text of it.
        batches: whether segments may go through it together.
        complaint: why it is slower than it could be.
    """

    acoustics: Acoustics
    decoder: CtcDecoder | BeamRnnt
    batches: bool
    complaint: str


def _load(spec: EngineSpec, device: Device) -> _Loaded:
    model = _open(spec, device)
    front_end = features.front_end(features_of(model.files, model.graphs, model.config, spec))
    subsampling = model.number("subsampling_factor", SUBSAMPLING)
    main = model.sessions["model" if spec.family == NEMO_CTC else "encoder"]
    batches = device.provider == "cuda" and masks_padding(main)
    complaint = _complaint(model, batches=batches) if device.provider == "cuda" else ""
    if spec.family == NEMO_CTC:
        decoder = make_ctc_decoder(model.vocabulary(), spec)
        ctc = CtcAcoustics(main, front_end, subsampling, decoder, bucketed=batches)
        return _Loaded(ctc, decoder, batches, complaint)
    vocabulary = model.vocabulary()
    search = BeamRnnt(
        Networks(model.sessions["decoder"], model.sessions["joiner"], vocabulary.blank),
        vocabulary,
        model.number("max_tokens_per_step", MAX_TOKENS_PER_FRAME),
    )
    rnnt = RnntAcoustics(main, front_end, subsampling, search, bucketed=batches)
    return _Loaded(rnnt, search, batches, complaint)


def _complaint(model: _Model, *, batches: bool) -> str:
    """Return what keeps a model from using a GPU well."""
    main = next(iter(model.graphs.values())).path
    if "int8" in main.name:
        return (
            f"{main.name} is quantised, and its operators have no CUDA kernels: most of it runs on "
            "the CPU; bring the model in full precision"
        )
    return "" if batches else f"{main.name} has lost its masks: segments go through it one by one"


def _open(spec: EngineSpec, device: Device) -> _Model:
    """Find, check and open the files of `spec`."""
    files = _files_of(spec, device)
    check_files(files, spec.family)
    table = read_tokens(files["tokens"])
    networks = {role: path for role, path in files.items() if role != "tokens"}
    sessions = {role: runtime.open_session(path, device) for role, path in networks.items()}
    graphs = {role: describe(path, sessions[role]) for role, path in networks.items()}
    check_gigaam(graphs, spec.family, table)
    config = _read_config(next(iter(networks.values())).parent / CONFIG_NAME)
    return _Model(files, sessions, graphs, table, config)


def _files_of(spec: EngineSpec, device: Device) -> dict[str, Path]:
    """Return role -> file, from the options or by the family's usual names."""
    folder = spec.model_dir
    if folder is None or not folder.is_dir():
        raise ModelLoadError(f"model {spec.model}: {folder} is not a folder")
    patterns = {
        role: str(spec.options[role]).split("|") if role in spec.options else names
        for role, names in LAYOUTS[spec.family].items()
    }
    return find_files(folder, patterns, full_precision=device.provider == "cuda")


def _read_config(path: Path) -> Mapping[str, Any]:
    """Return onnx-asr's config.json, empty where there is none."""
    if not path.is_file():
        return {}
    try:
        content = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as exc:
        raise ModelLoadError(f"{path} is not JSON ({exc}); fetch it again") from exc
    if not isinstance(content, dict):
        raise ModelLoadError(f"{path} holds no JSON object; fetch it again")
    return content


def features_of(
    files: Mapping[str, Path],
    graphs: Mapping[str, Graph],
    config: Mapping[str, Any],
    spec: EngineSpec,
) -> str:
    """Return the name of the front end that a model needs.

    Ours name it in the metadata (`features`). Else its version is `version` in config.json
    (onnx-asr), `comment` in the metadata (sherpa-onnx scripts/nemo/GigaAM/export-onnx-ctc-v3.py),
    or the `v3_` before a file's name (both).
    """
    if "features" in spec.options:
        return str(spec.options["features"])
    for graph in graphs.values():
        if (own := graph.metadata.get("features")) in features.NAMES:
            return own
    if "version" in config:
        return f"gigaam_{config['version']}"
    said = [graph.metadata.get("comment", "") for graph in graphs.values()]
    named = [path.name for path in files.values()]
    is_v3 = any(each.startswith("v3") for each in (*said, *named))
    return features.GIGAAM_V3 if is_v3 else features.GIGAAM_V2


def _output_frames(heard: Features, subsampling: int) -> int:
    frames: int = heard.shape[1]
    return -(-frames // subsampling)
