"""Opens a model's ONNX files before sherpa-onnx does; in the engine's process only.

sherpa-onnx ends the process (`_Exit`) for a missing or wrong metadata value, divides by a
subsampling factor of 0, and reads past a joiner's output that is smaller than the vocabulary. The
rules here are those of its csrc/offline-nemo-enc-dec-ctc-model.cc, offline-transducer-model.cc and
offline-transducer-nemo-model.cc, and of what its decoders then take for granted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruasr_tel.errors import ModelLoadError
from ruasr_tel.models.probe import NEMO_CTC, NEMO_TRANSDUCER, TRANSDUCER
from ruasr_tel.models.tokens import TokenTable

_CURE = "take a model exported for sherpa-onnx (`ruasr-tel models list` names some)"
_GIGAAM_MEL_BINS = 64  # offline-recognizer-ctc-impl.h sets feature_dim to it for is_giga_am
_DEFAULT_MEL_BINS = 80  # sherpa-onnx's own default feature_dim


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of a graph.

    Attributes:
        name: its name.
        kind: its type as onnxruntime writes it, `tensor(float)`.
        shape: its dimensions; a string or None where the length is free.
    """

    name: str
    kind: str
    shape: tuple[int | str | None, ...]

    def length(self, axis: int) -> int | None:
        """Return the fixed length along `axis`, or None where it is free or absent."""
        size = self.shape[axis] if -len(self.shape) <= axis < len(self.shape) else None
        return size if isinstance(size, int) else None


@dataclass(frozen=True, slots=True)
class Graph:
    """What an ONNX file says of itself."""

    path: Path
    metadata: Mapping[str, str]
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    def number(self, key: str) -> int:
        """Return the positive integer that the loader reads from metadata `key`.

        Raises:
            ModelLoadError: absent, or not a positive integer.
        """
        value = self.metadata.get(key, "")
        if not value:
            raise ModelLoadError(f"{self.path} has no {key!r} in its metadata; {_CURE}")
        if not value.isdecimal() or int(value) == 0:
            raise ModelLoadError(f"{self.path} has {key!r} = {value!r} in its metadata; {_CURE}")
        return int(value)


def open_graph(path: Path) -> Graph:
    """Return what the ONNX file at `path` says of itself; optimises and runs nothing.

    Raises:
        ModelLoadError: it is no ONNX file, or a damaged one.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.add_session_config_entry("session.disable_prepacking", "1")
    options.log_severity_level = 4  # fatal: the exception says it all
    try:
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as exc:  # onnxruntime raises a dozen unrelated types
        raise damaged(path, exc) from exc
    return describe(path, session)


def damaged(path: Path, error: Exception) -> ModelLoadError:
    """Return the error for a file that onnxruntime does not open."""
    reason = " ".join(str(error).split())[:200]
    return ModelLoadError(
        f"{path} is damaged or no ONNX model ({path.stat().st_size} bytes; onnxruntime says: "
        f"{reason}); fetch it again"
    )


def describe(path: Path, session: Any) -> Graph:
    """Return what the network of an open onnxruntime session says of itself."""
    return Graph(
        path,
        dict(session.get_modelmeta().custom_metadata_map),
        tuple(Port(p.name, p.type, tuple(p.shape)) for p in session.get_inputs()),
        tuple(Port(p.name, p.type, tuple(p.shape)) for p in session.get_outputs()),
    )


def check_graphs(files: Mapping[str, Path], family: str, table: TokenTable) -> int:
    """Check that sherpa-onnx can load these files as `family`; return the mel bins they take.

    Args:
        files: role -> ONNX file (`tokens` is ignored).
        family: `nemo_ctc`, `transducer` or `nemo_transducer`.
        table: the model's symbols.

    Raises:
        ModelLoadError: one sentence with the file and the cure.
    """
    graphs = {role: open_graph(path) for role, path in files.items() if role != "tokens"}
    rules = {
        NEMO_CTC: _check_nemo_ctc,
        TRANSDUCER: _check_transducer,
        NEMO_TRANSDUCER: _check_nemo_transducer,
    }
    return rules[family](graphs, table)


def _check_nemo_ctc(graphs: Mapping[str, Graph], table: TokenTable) -> int:
    model = graphs["model"]
    _expect_ports(model, "a NeMo CTC model", inputs=2, outputs=None)
    _expect_kind(model, NEMO_CTC, is_nemo=True)
    declared = model.number("vocab_size")
    model.number("subsampling_factor")
    _check_normalize_type(model)
    # GigaAM's exports count the blank in vocab_size, NeMo's own do not: the output itself decides.
    width = model.outputs[0].length(-1)
    if width is None:
        width = declared if table.outputs <= declared else declared + 1
    _expect_symbols(model, table, width)
    bins = model.inputs[0].length(1)
    if model.metadata.get("is_giga_am", "0") not in ("", "0"):
        model.number("is_giga_am")
        if bins not in (None, _GIGAAM_MEL_BINS):
            raise ModelLoadError(
                f"{model.path} calls itself GigaAM but takes {bins} mel bins, not "
                f"{_GIGAAM_MEL_BINS}; {_CURE}"
            )
    return bins or _DEFAULT_MEL_BINS


def _check_transducer(graphs: Mapping[str, Graph], table: TokenTable) -> int:
    encoder, decoder, joiner = graphs["encoder"], graphs["decoder"], graphs["joiner"]
    _expect_ports(encoder, "the encoder of an offline transducer", inputs=2, outputs=2)
    _expect_ports(decoder, "the decoder of a transducer", inputs=1, outputs=None)
    _expect_ports(joiner, "the joiner of a transducer", inputs=2, outputs=None)
    _expect_kind(encoder, TRANSDUCER, is_nemo=False)
    for graph, port in ((encoder, 1), (decoder, 0)):
        _expect_integers(graph, graph.inputs[port])
    _expect_integers(encoder, encoder.outputs[1])
    width = decoder.number("vocab_size")
    context = decoder.number("context_size")
    if decoder.inputs[0].length(1) not in (None, context):
        raise ModelLoadError(
            f"{decoder.path} takes {decoder.inputs[0].length(1)} tokens, but its metadata says "
            f"context_size {context}; {_CURE}"
        )
    _expect_width(joiner, width)
    _expect_symbols(joiner, table, width)
    _expect_same(encoder, encoder.outputs[0].length(2), joiner, joiner.inputs[0].length(1))
    _expect_same(decoder, decoder.outputs[0].length(-1), joiner, joiner.inputs[1].length(1))
    return encoder.inputs[0].length(2) or _DEFAULT_MEL_BINS


def _check_nemo_transducer(graphs: Mapping[str, Graph], table: TokenTable) -> int:
    encoder, decoder, joiner = graphs["encoder"], graphs["decoder"], graphs["joiner"]
    _expect_ports(encoder, "the encoder of a NeMo transducer", inputs=2, outputs=2)
    _expect_ports(decoder, "the decoder of a NeMo transducer", inputs=4, outputs=4)
    _expect_ports(joiner, "the joiner of a NeMo transducer", inputs=2, outputs=None)
    _expect_kind(encoder, NEMO_TRANSDUCER, is_nemo=True)
    width = encoder.number("vocab_size") + 1  # "the blank token is not included"
    for key in ("subsampling_factor", "pred_rnn_layers", "pred_hidden"):
        encoder.number(key)
    _check_normalize_type(encoder)
    is_tdt = "tdt" in encoder.metadata.get("url", "")  # then durations follow the vocabulary
    if not is_tdt:
        _expect_width(joiner, width)
    _expect_symbols(encoder, table, width)
    if len(table.symbols) != width:
        raise ModelLoadError(
            f"{encoder.path} has {width} symbols, its tokens.txt {len(table.symbols)}; "
            "fetch the model's own tokens.txt"
        )
    _expect_same(encoder, encoder.outputs[0].length(1), joiner, joiner.inputs[0].length(1))
    _expect_same(decoder, decoder.outputs[0].length(1), joiner, joiner.inputs[1].length(1))
    return encoder.inputs[0].length(1) or _DEFAULT_MEL_BINS


def _expect_ports(graph: Graph, what: str, inputs: int, outputs: int | None) -> None:
    """Check the number of inputs and outputs; `outputs` None means at least one."""
    found_in, found_out = len(graph.inputs), len(graph.outputs)
    if found_in == inputs and (found_out == outputs if outputs else found_out > 0):
        return
    named = ", ".join(port.name for port in graph.inputs[:4])
    raise ModelLoadError(
        f"{graph.path} is not {what}: it has {found_in} inputs ({named}) and {found_out} outputs, "
        f"expected {inputs} and {outputs or 1}; check which family the model is of"
    )


def _expect_kind(graph: Graph, family: str, *, is_nemo: bool) -> None:
    """Check the `model_type`, if there is one: NeMo's are its class names, `EncDecCTCModel`."""
    kind = graph.metadata.get("model_type", "")
    if kind and kind.startswith("EncDec") != is_nemo:
        raise ModelLoadError(
            f"{graph.path} calls itself {kind!r}, which is not of family {family}; "
            "check which family the model is of"
        )


def _expect_integers(graph: Graph, port: Port) -> None:
    # offline-transducer-model.cc, ValidateIntTensorType
    if port.kind not in ("tensor(int32)", "tensor(int64)"):
        raise ModelLoadError(
            f"{graph.path}: {port.name} is {port.kind}, expected integers; {_CURE}"
        )


def _expect_width(graph: Graph, width: int) -> None:
    found = graph.outputs[0].length(-1)
    if found not in (None, width):
        raise ModelLoadError(
            f"{graph.path} puts out {found} symbols, but the model's metadata says {width}; {_CURE}"
        )


def _expect_symbols(graph: Graph, table: TokenTable, width: int) -> None:
    if table.outputs != width:
        raise ModelLoadError(
            f"{graph.path} puts out {width} symbols, but its tokens.txt lists {table.outputs}; "
            "fetch the model's own tokens.txt"
        )


def _expect_same(left: Graph, out: int | None, right: Graph, into: int | None) -> None:
    if out is not None and into is not None and out != into:
        raise ModelLoadError(
            f"{left.path} puts out {out} values, {right.path.name} takes {into}: "
            "files of different models; fetch the whole model again"
        )


def _check_normalize_type(graph: Graph) -> None:
    # offline-stream.cc, NemoNormalizeFeatures: "Only normalize_type=per_feature is implemented"
    value = graph.metadata.get("normalize_type", "")
    if value not in ("", "NA", "per_feature"):
        raise ModelLoadError(f"{graph.path} asks for normalize_type {value!r}; {_CURE}")
