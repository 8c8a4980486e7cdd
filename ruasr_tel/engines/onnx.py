"""Engine `onnx`: GigaAM CTC and RNNT on onnxruntime with GigaAM's own front ends.

Takes the files as onnx-asr publishes them (`v3_ctc.int8.onnx`, `v3_vocab.txt`, `config.json`) and
as sherpa-onnx exports them (`model.int8.onnx`, `tokens.txt`, metadata): the same networks under
other names. Which front end a model needs (engines/features.py) comes from, in this order, the
option `features`, config.json, the metadata, and the files' names.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ruasr_tel.engines import features, runtime
from ruasr_tel.engines.base import PLAIN, DecodeOptions, Engine, EngineInfo, EngineSpec, Hypothesis
from ruasr_tel.engines.ctc import CtcDecoder, Posteriors, Vocabulary
from ruasr_tel.engines.ctc_beam import BeamCtc
from ruasr_tel.engines.features import Features, FrontEnd
from ruasr_tel.engines.rnnt import MAX_TOKENS_PER_FRAME, GreedyRnnt
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

Encoded = tuple[npt.NDArray[np.float32], int]
"""A network's output of one segment and how many of its frames are true."""


class Acoustics(Protocol):
    """A loaded network with its search."""

    def decode(self, segments: Sequence[Waveform], options: DecodeOptions) -> list[Hypothesis]:
        """Return one hypothesis per segment; all go through the network together."""
        ...


class OnnxEngine:
    """GigaAM on onnxruntime; sessions and front ends are shared by all threads.

    Args:
        acoustics: the network.
        info: what this engine is; segments go through the network `info.batch_size` at a time.
    """

    def __init__(self, acoustics: Acoustics, info: EngineInfo) -> None:
        self.acoustics = acoustics
        self._info = info

    @property
    def info(self) -> EngineInfo:
        """What this engine is and can do."""
        return self._info

    def decode(
        self, segments: Sequence[Waveform], options: DecodeOptions = PLAIN
    ) -> list[Hypothesis]:
        """Return one hypothesis per segment, in order; see `Engine.decode`.

        Raises:
            DecodeError: onnxruntime could not run one of them.
        """
        size = self._info.batch_size
        batches = [segments[begin : begin + size] for begin in range(0, len(segments), size)]
        return [one for batch in batches for one in self._decode(batch, options)]

    def _decode(self, batch: Sequence[Waveform], options: DecodeOptions) -> list[Hypothesis]:
        try:
            return self.acoustics.decode(batch, options)
        except Exception as exc:  # onnxruntime raises a dozen unrelated types
            seconds = max(map(len, batch)) / self._info.sample_rate_hz
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
    """

    def __init__(
        self, session: Any, front_end: FrontEnd, subsampling: int, decoder: CtcDecoder
    ) -> None:
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
        (log_probs,) = _run(self._session, heard)[:1]
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
    """

    def __init__(
        self, encoder: Any, front_end: FrontEnd, subsampling: int, search: GreedyRnnt
    ) -> None:
        self._encoder = encoder
        self._front_end = front_end
        self._frame_s = features.FRAME_S * subsampling
        self._search = search

    def decode(self, segments: Sequence[Waveform], options: DecodeOptions) -> list[Hypothesis]:
        """Return one hypothesis per segment, by greedy search."""
        encoded, lengths = _run(self._encoder, [self._front_end(each) for each in segments])[:2]
        return [
            self._search.decode(one[:, : int(length)], self._frame_s)
            for one, length in zip(encoded, lengths, strict=True)
        ]


def create(spec: EngineSpec) -> Engine:
    """Check the model of `spec`, then load it.

    `spec.family` is `nemo_ctc` or `nemo_transducer`. `spec.options` may hold for each role
    (`model`, or `encoder`, `decoder` and `joiner`, and `tokens`) the names or globs of its file
    below `spec.model_dir`, separated by `|`, best first; and `features`, see engines/features.py.

    Raises:
        ModelLoadError: the model cannot be used; the message names the file and the cure.
        ConfigError: an option is wrong, or a package, or CUDA where it was asked for, is missing.
    """
    if spec.family not in FAMILIES:
        known = ", ".join(FAMILIES)
        raise ConfigError(
            f"model {spec.model}: engine onnx has no family {spec.family!r}; known: {known}"
        )
    (acoustics, decoder), device, fallback = runtime.on_device(spec, lambda on: _load(spec, on))
    runtime.return_free_memory()
    info = EngineInfo(
        engine=spec.engine,
        model=spec.model,
        sample_rate_hz=features.RATE_HZ,
        min_segment_s=spec.min_segment_s,
        max_segment_s=spec.max_segment_s,
        confidence=True,
        provider=device.provider,
        fallback=fallback,
    )
    if decoder is not None:
        info = replace(
            info,
            hotwords=decoder.hotwords,
            closed_lists=decoder.closed_lists,
            alternatives=decoder.alternatives,
        )
    return OnnxEngine(acoustics, info)


def make_ctc_decoder(vocabulary: Vocabulary, spec: EngineSpec) -> CtcDecoder:
    """Return the decoder of a CTC model."""
    return BeamCtc(vocabulary)


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


def _load(spec: EngineSpec, device: Device) -> tuple[Acoustics, CtcDecoder | None]:
    model = _open(spec, device)
    front_end = features.front_end(features_of(model.files, model.graphs, model.config, spec))
    subsampling = model.number("subsampling_factor", SUBSAMPLING)
    if spec.family == NEMO_CTC:
        decoder = make_ctc_decoder(model.vocabulary(), spec)
        return CtcAcoustics(model.sessions["model"], front_end, subsampling, decoder), decoder
    search = GreedyRnnt(
        model.sessions["decoder"],
        model.sessions["joiner"],
        model.vocabulary(),
        model.number("max_tokens_per_step", MAX_TOKENS_PER_FRAME),
    )
    return RnntAcoustics(model.sessions["encoder"], front_end, subsampling, search), None


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

    Its version is `version` in config.json (onnx-asr), `comment` in the metadata (sherpa-onnx
    scripts/nemo/GigaAM/export-onnx-ctc-v3.py), or the `v3_` before a file's name (both).
    """
    if "features" in spec.options:
        return str(spec.options["features"])
    if "version" in config:
        return f"gigaam_{config['version']}"
    said = [graph.metadata.get("comment", "") for graph in graphs.values()]
    named = [path.name for path in files.values()]
    is_v3 = any(each.startswith("v3") for each in (*said, *named))
    return features.GIGAAM_V3 if is_v3 else features.GIGAAM_V2


def _run(session: Any, heard: Sequence[Features]) -> list[npt.NDArray[Any]]:
    """Run a network that takes features and their lengths; shorter ones are padded."""
    lengths = np.array([each.shape[1] for each in heard], dtype=np.int64)
    if not lengths.all():
        raise DecodeError("a segment is shorter than one frame of features")
    batch = np.zeros((len(heard), features.MEL_BINS, int(lengths.max())), dtype=np.float32)
    for row, each in zip(batch, heard, strict=True):
        row[:, : each.shape[1]] = each
    names = [port.name for port in session.get_inputs()]
    outputs: list[npt.NDArray[Any]] = session.run(
        None, dict(zip(names, (batch, lengths), strict=True))
    )
    return outputs


def _output_frames(heard: Features, subsampling: int) -> int:
    frames: int = heard.shape[1]
    return -(-frames // subsampling)
