"""Small models of exactly the published GigaAM layouts: files, names, metadata, ports, opset.

Each network is the embedded ru-mini-ctc-8k with the layout's names around it, so all of these
models give real text (layouts_networks.py).

Sources: sherpa-onnx scripts/nemo/GigaAM/export-onnx-*.py (metadata, ports), gigaam's onnx_utils.py
and decoder.py (ports), onnx-asr models/gigaam.py (file names, types).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx_asr
import onnxruntime
from onnx import helper
from onnx_asr.adapters import TimestampedResultsAsrAdapter

from ruasr_tel.engines.base import EngineSpec
from tests.layouts_networks import (
    E2E_SYMBOLS,
    NEMO_CTC,
    NEMO_TRANSDUCER,
    PREDICTION_SIZE,
    acoustics,
    decoder,
    encoder,
    joiner,
    vocabulary,
    widen,
)


@dataclass(frozen=True)
class Layout:
    """One way in which a model is published.

    Attributes:
        name: for people.
        family: as in the catalogue.
        engines: the engines that take it.
        features: the front end that the engine `onnx` must find out for it.
        write: puts its files into a folder.
    """

    name: str
    family: str
    engines: tuple[str, ...]
    features: str
    write: Callable[[Path], None]

    def spec(self, folder: Path, engine: str, threads: int = 1) -> EngineSpec:
        """Put the model into `folder`, unless something is there, and return what loads it."""
        if not folder.exists():
            folder.mkdir(parents=True)
            self.write(folder)
        return EngineSpec(engine, self.name, folder, self.family, threads=threads)


def ctc_onnx_asr(version: str, *, e2e: bool = False) -> Callable[[Path], None]:
    """GigaAM CTC as onnx-asr publishes it: no metadata, the vocabulary without bare spaces."""
    stem = f"{version}_e2e" if e2e else version

    def write(folder: Path) -> None:
        model = acoustics()
        symbols = vocabulary()
        if e2e:
            symbols = widen(model, symbols, E2E_SYMBOLS[NEMO_CTC])
        _save(model, folder / f"{stem}_ctc.int8.onnx", {})
        _write_symbols(folder / f"{f'{stem}_ctc' if e2e else stem}_vocab.txt", symbols, "▁")
        _write_config(folder, version)

    return write


def ctc_sherpa(version: str) -> Callable[[Path], None]:
    """GigaAM CTC as sherpa-onnx exports it."""

    def write(folder: Path) -> None:
        comment = {"comment": "v3"} if version == "v3" else {}
        metadata = {"vocab_size": "34", "model_type": "EncDecCTCModel", "version": "1"}
        _save(acoustics(), folder / "model.int8.onnx", {**_GIGAAM, **metadata, **comment})
        _write_symbols(folder / "tokens.txt", vocabulary(), " ")

    return write


def rnnt_onnx_asr(version: str, *, e2e: bool = False, wild: bool = False) -> Callable[[Path], None]:
    """GigaAM RNNT as onnx-asr publishes it."""
    stem = f"{version}_e2e_rnnt" if e2e else f"{version}_rnnt"

    def write(folder: Path) -> None:
        model, symbols = encoder(NEMO_TRANSDUCER if e2e else None)
        _save(model, folder / f"{stem}_encoder.int8.onnx", {})
        _save(decoder(len(symbols), sherpa=False), folder / f"{stem}_decoder.int8.onnx", {})
        _save(joiner(len(symbols), wild=wild), folder / f"{stem}_joint.int8.onnx", {})
        _write_symbols(folder / f"{stem if e2e else version}_vocab.txt", symbols, "▁")
        _write_config(folder, version)

    return write


def rnnt_sherpa(version: str, *, wild: bool = False) -> Callable[[Path], None]:
    """GigaAM RNNT as sherpa-onnx exports it."""

    def write(folder: Path) -> None:
        model, symbols = encoder(None)
        comment = {"comment": "v3"} if version == "v3" else {}
        metadata = {
            "vocab_size": str(len(symbols) - 1),
            "pred_rnn_layers": "1",
            "pred_hidden": str(PREDICTION_SIZE),
            "model_type": "EncDecRNNTBPEModel",
            "version": version[1:],
        }
        _save(model, folder / "encoder.int8.onnx", {**_GIGAAM, **metadata, **comment})
        _save(decoder(len(symbols), sherpa=True), folder / "decoder.onnx", {})
        _save(joiner(len(symbols), wild=wild), folder / "joiner.onnx", {})
        _write_symbols(folder / "tokens.txt", symbols, " ")

    return write


_BOTH, _ONNX = ("sherpa", "onnx"), ("onnx",)
GIGAAM = (
    Layout("gigaam-v2-ctc", NEMO_CTC, _ONNX, "gigaam_v2", ctc_onnx_asr("v2")),
    Layout("gigaam-v3-ctc", NEMO_CTC, _ONNX, "gigaam_v3", ctc_onnx_asr("v3")),
    Layout("gigaam-v3-e2e-ctc", NEMO_CTC, _ONNX, "gigaam_v3", ctc_onnx_asr("v3", e2e=True)),
    Layout("gigaam-v2-ctc-sherpa", NEMO_CTC, _BOTH, "gigaam_v2", ctc_sherpa("v2")),
    Layout("gigaam-v3-ctc-sherpa", NEMO_CTC, _BOTH, "gigaam_v3", ctc_sherpa("v3")),
    Layout("gigaam-v2-rnnt", NEMO_TRANSDUCER, _ONNX, "gigaam_v2", rnnt_onnx_asr("v2")),
    Layout("gigaam-v3-rnnt", NEMO_TRANSDUCER, _ONNX, "gigaam_v3", rnnt_onnx_asr("v3")),
    Layout(
        "gigaam-v3-e2e-rnnt", NEMO_TRANSDUCER, _ONNX, "gigaam_v3", rnnt_onnx_asr("v3", e2e=True)
    ),
    Layout("gigaam-v2-rnnt-sherpa", NEMO_TRANSDUCER, _BOTH, "gigaam_v2", rnnt_sherpa("v2")),
    Layout("gigaam-v3-rnnt-sherpa", NEMO_TRANSDUCER, _BOTH, "gigaam_v3", rnnt_sherpa("v3")),
)
"""Every published GigaAM layout; all of these give real text."""

_GIGAAM = {
    "normalize_type": "",
    "subsampling_factor": "4",
    "model_author": "https://github.com/salute-developers/GigaAM",
    "license": "https://github.com/salute-developers/GigaAM/blob/main/LICENSE",
    "language": "Russian",
    "is_giga_am": "1",
}


def onnx_asr_model(name: str, folder: Path) -> TimestampedResultsAsrAdapter:
    """Load an int8 model by the library onnx-asr itself, on one thread as our engine does."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    return onnx_asr.load_model(
        name,
        folder,
        quantization="int8",
        sess_options=options,
        providers=["CPUExecutionProvider"],
    ).with_timestamps()


def _write_symbols(path: Path, symbols: Sequence[str], space: str) -> None:
    named = [symbol.replace(" ", space) for symbol in symbols]
    path.write_text("".join(f"{each} {index}\n" for index, each in enumerate(named)), "utf-8")


def _write_config(folder: Path, version: str) -> None:
    """Only v3 has one: v2 is what onnx-asr takes without."""
    if version != "v2":
        config = {"model_type": "gigaam", "features_size": 64, "subsampling_factor": 4}
        (folder / "config.json").write_text(json.dumps({**config, "version": version}), "utf-8")


def _save(model: onnx.ModelProto, path: Path, metadata: Mapping[str, str]) -> None:
    helper.set_model_props(model, dict(metadata))
    onnx.save(model, path)
