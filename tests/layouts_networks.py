"""The networks of GigaAM's published layouts, each with the embedded ru-mini-ctc-8k inside.

Of the transducers only the encoder is it (its first channels are the CTC network's posteriors
without repeats, the next one the parity of the tokens before the frame); the prediction network is
a random LSTM of the real size that also keeps that parity, by which the joiner knows that a
frame's token was said. `wild` joiners add the prediction to the scores: they answer nonsense that
depends on every token so far.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from ruasr_tel.models.catalog import Catalog

MODELS_DIR = Path(__file__).parents[1] / "models"
NEMO_CTC, NEMO_TRANSDUCER = "nemo_ctc", "nemo_transducer"
ENCODER_SIZE, PREDICTION_SIZE = 768, 320
E2E_SYMBOLS = {NEMO_CTC: 257, NEMO_TRANSDUCER: 1025}
"""GigaAM v3's e2e models: 256 and 1024 pieces of text, and the blank."""
_OPSET = [helper.make_opsetid("", 17)]
_FLOAT, _INT32, _INT64 = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64
_Port = tuple[str, int, Sequence[int | str]]


def embedded() -> Path:
    return Catalog.load(MODELS_DIR).resolve("ru-mini-ctc-8k").folder


def acoustics() -> onnx.ModelProto:
    return onnx.load(embedded() / "model.int8.onnx")


def vocabulary() -> list[str]:
    """Return the embedded model's symbols, the blank last."""
    lines = (embedded() / "v2_vocab.txt").read_text("utf-8").splitlines()
    return [line.split(" ")[0].replace("▁", " ") for line in lines]


def widen(model: onnx.ModelProto, symbols: Sequence[str], width: int) -> list[str]:
    """Give a CTC network `width` outputs, the new ones as good as impossible; return its symbols.

    The blank stays last; the new ones are what pieces of text look like.
    """
    extra = [f"▁слог{index}" for index in range(width - len(symbols) - 2)] + [",", "."]
    places = [*range(len(symbols) - 1), *[len(symbols)] * len(extra), len(symbols) - 1]
    _rename_output(model, "log_probs", "narrow")
    model.graph.initializer.extend(
        [
            _constant("wide_places", np.array(places, dtype=np.int64)),
            _constant("wide_pads", np.array([0, 0, 0, 0, 0, 1], dtype=np.int64)),
            _constant("wide_level", np.array(-40, dtype=np.float32)),
        ]
    )
    model.graph.node.extend(
        [
            helper.make_node("Pad", ["narrow", "wide_pads", "wide_level"], ["padded"]),
            helper.make_node("Gather", ["padded", "wide_places"], ["log_probs"], axis=2),
        ]
    )
    _set_outputs(model, [("log_probs", _FLOAT, ["B", "To", width])])
    return [*symbols[:-1], *extra, symbols[-1]]


def encoder(e2e: str | None) -> tuple[onnx.ModelProto, list[str]]:
    """Return an encoder and the symbols whose scores are its first channels."""
    model, symbols = acoustics(), vocabulary()
    if e2e is not None:
        symbols = widen(model, symbols, E2E_SYMBOLS[e2e])
    for old, new in (("features", "audio_signal"), ("feature_lengths", "length")):
        _rename_input(model, old, new)
    channels = max(ENCODER_SIZE, len(symbols) + 1)
    model.graph.initializer.extend(
        _constant(name, value) for name, value in _encoder_constants(len(symbols), channels).items()
    )
    steps: list[tuple[str, list[str], str, dict[str, Any]]] = [
        ("ArgMax", ["log_probs"], "best", {"axis": 2, "keepdims": 0}),
        ("Pad", ["best", "shift", "no_symbol"], "later", {}),
        ("Slice", ["later", "begin", "end", "time"], "before", {}),
        ("Equal", ["best", "before"], "repeats", {}),
        ("Unsqueeze", ["repeats", "last"], "repeated", {}),
        ("Where", ["repeated", "only_blank", "log_probs"], "frames", {}),
        ("Equal", ["best", "blank"], "silent", {}),
        ("Or", ["silent", "repeats"], "wordless", {}),
        ("Where", ["wordless", "no", "yes"], "tokens", {}),
        ("CumSum", ["tokens", "one"], "counts", {"exclusive": 1}),
        ("Mod", ["counts", "two"], "parities", {"fmod": 1}),
        ("Unsqueeze", ["parities", "last"], "parity", {}),
        ("Concat", ["frames", "parity"], "told", {"axis": 2}),
        ("Pad", ["told", "rest", "no"], "wide", {}),
        ("Add", ["length", "three"], "rounded", {}),
        ("Div", ["rounded", "four"], "lengths", {}),
        ("Cast", ["lengths"], "encoded_len", {"to": _INT32}),
    ]
    nodes = [helper.make_node(op, takes, [gives], **more) for op, takes, gives, more in steps]
    nodes.append(helper.make_node("Transpose", ["wide"], ["encoded"], perm=[0, 2, 1]))
    model.graph.node.extend(nodes)
    ports: list[_Port] = [
        ("encoded", _FLOAT, ["B", channels, "To"]),
        ("encoded_len", _INT32, ["B"]),
    ]
    _set_outputs(model, ports)
    return model, symbols


def _encoder_constants(symbols: int, channels: int) -> dict[str, npt.NDArray[Any]]:
    only_blank = np.full((1, 1, symbols), -40, dtype=np.float32)
    only_blank[..., -1] = 0
    return {
        "only_blank": only_blank,
        "rest": np.array([0, 0, 0, 0, 0, channels - symbols - 1], dtype=np.int64),
        "shift": np.array([0, 1, 0, 0], dtype=np.int64),
        **{name: np.array(value, dtype=np.float32) for name, value in _FLOATS.items()},
        **{name: np.array(value, dtype=np.int64) for name, value in _INTEGERS.items()},
        "blank": np.array(symbols - 1, dtype=np.int64),
    }


_FLOATS = {"no": 0, "yes": 1, "two": 2}
_INTEGERS: dict[str, int | list[int]] = {
    "no_symbol": -1,
    "begin": [0],
    "end": [-1],
    "time": [1],
    "last": [2],
    "one": 1,
    "three": 3,
    "four": 4,
}


def decoder(symbols: int, *, sherpa: bool) -> onnx.ModelProto:
    """Return a prediction network: an embedding and an LSTM of the real size, random weights."""
    size, gates = PREDICTION_SIZE, 4 * PREDICTION_SIZE
    random = np.random.default_rng(0)
    embedding = random.normal(0, 1, (symbols, size)).astype(np.float32)
    embedding[-1] = 0  # nn.Embedding(padding_idx=blank)
    constants: dict[str, npt.NDArray[Any]] = {
        "embedding": embedding,
        "input_weights": random.normal(0, 0.1, (1, gates, size)).astype(np.float32),
        "state_weights": random.normal(0, 0.1, (1, gates, size)).astype(np.float32),
        "direction": np.array([1], dtype=np.int64),
        "blank": np.array([[[symbols - 1]]], dtype=np.int64),
        "first": np.array([0], dtype=np.int64),
        "second": np.array([1], dtype=np.int64),
        "last": np.array([size], dtype=np.int64),
        "axis": np.array([2], dtype=np.int64),
        "yes": np.array(1, dtype=np.float32),
        "one": np.array([1], dtype=np.int32),
    }
    steps: list[tuple[str, list[str], list[str], dict[str, Any]]] = [
        ("Gather", ["embedding", "x"], ["embedded"], {}),
        (
            "LSTM",
            ["embedded", "input_weights", "state_weights", "", "", "h.1", "c.1"],
            ["all", "hidden", "c"],
            {"hidden_size": size},
        ),
        ("Slice", ["h.1", "first", "second", "axis"], ["parity"], {}),
        ("Sub", ["yes", "parity"], ["flipped"], {}),
        ("Cast", ["x"], ["token"], {"to": _INT64}),
        ("Equal", ["token", "blank"], ["starts"], {}),
        ("Where", ["starts", "parity", "flipped"], ["counted"], {}),
        ("Slice", ["hidden", "second", "last", "axis"], ["memory"], {}),
        ("Concat", ["counted", "memory"], ["h"], {"axis": 2}),
        ("Transpose", ["h"], ["dec"], {"perm": [0, 2, 1] if sherpa else [0, 1, 2]}),
    ]
    nodes = [helper.make_node(op, takes, gives, **more) for op, takes, gives, more in steps]
    state: list[_Port] = [(name, _FLOAT, [1, 1, size]) for name in ("h.1", "c.1")]
    after: list[_Port] = [(name[0], _FLOAT, [1, 1, size]) for name in ("h.1", "c.1")]
    if sherpa:
        nodes.append(helper.make_node("Add", ["unused_x_len.1", "one"], ["unused_x_len"]))
        length: list[_Port] = [("unused_x_len.1", _INT32, [1])]
        counted: list[_Port] = [("unused_x_len", _INT32, [1])]
        return _network(
            nodes,
            constants,
            [("x", _INT32, [1, 1]), *length, *state],
            [("dec", _FLOAT, [1, size, 1]), *counted, *after],
        )
    return _network(
        nodes, constants, [("x", _INT64, [1, 1]), *state], [("dec", _FLOAT, [1, 1, size]), *after]
    )


def joiner(symbols: int, *, wild: bool) -> onnx.ModelProto:
    """Return a joiner that hears the encoder, and the prediction only if it is `wild`."""
    channels = max(ENCODER_SIZE, symbols + 1)
    spread = 0.5 if wild else 0.0
    weights = np.random.default_rng(1).normal(0, 1, (PREDICTION_SIZE, symbols)) * spread
    weights[0] = 0  # the parity
    said = np.full((1, 1, symbols), -100, dtype=np.float32)
    said[..., -1] = 0
    constants: dict[str, npt.NDArray[Any]] = {
        "weights": weights.astype(np.float32),
        "said_already": said,
        "first": np.array([0], dtype=np.int64),
        "second": np.array([1], dtype=np.int64),
        "symbols": np.array([symbols], dtype=np.int64),
        "beyond": np.array([symbols + 1], dtype=np.int64),
        "axis": np.array([2], dtype=np.int64),
    }
    steps: list[tuple[str, list[str], str, dict[str, Any]]] = [
        ("Transpose", ["enc"], "frame", {"perm": [0, 2, 1]}),
        ("Transpose", ["dec"], "prediction", {"perm": [0, 2, 1]}),
        ("Slice", ["frame", "first", "symbols", "axis"], "heard", {}),
        ("Slice", ["frame", "symbols", "beyond", "axis"], "before", {}),
        ("Slice", ["prediction", "first", "second", "axis"], "so_far", {}),
        ("Sub", ["before", "so_far"], "difference", {}),
        ("Abs", ["difference"], "is_said", {}),
        ("Mul", ["is_said", "said_already"], "silence", {}),
        ("MatMul", ["prediction", "weights"], "expected", {}),
        ("Sum", ["heard", "silence", "expected"], "scores", {}),
        ("Unsqueeze", ["scores", "axis"], "square", {}),
        ("LogSoftmax", ["square"], "joint", {"axis": -1}),
    ]
    nodes = [helper.make_node(op, given, [made], **more) for op, given, made, more in steps]
    takes: list[_Port] = [
        ("enc", _FLOAT, [1, channels, 1]),
        ("dec", _FLOAT, [1, PREDICTION_SIZE, 1]),
    ]
    return _network(nodes, constants, takes, [("joint", _FLOAT, [1, 1, 1, symbols])])


def _network(
    nodes: Sequence[onnx.NodeProto],
    constants: Mapping[str, npt.NDArray[Any]],
    takes: Sequence[_Port],
    gives: Sequence[_Port],
) -> onnx.ModelProto:
    graph = helper.make_graph(
        list(nodes),
        "network",
        [helper.make_tensor_value_info(*port) for port in takes],
        [helper.make_tensor_value_info(*port) for port in gives],
        [_constant(name, value) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=_OPSET, ir_version=8)


def _constant(name: str, value: npt.NDArray[Any]) -> onnx.TensorProto:
    return numpy_helper.from_array(value, name)


def _rename_input(model: onnx.ModelProto, old: str, new: str) -> None:
    for port in model.graph.input:
        port.name = new if port.name == old else port.name
    for node in model.graph.node:
        node.input[:] = [new if name == old else name for name in node.input]


def _rename_output(model: onnx.ModelProto, old: str, new: str) -> None:
    for node in model.graph.node:
        node.output[:] = [new if name == old else name for name in node.output]
        node.input[:] = [new if name == old else name for name in node.input]


def _set_outputs(model: onnx.ModelProto, ports: Sequence[_Port]) -> None:
    del model.graph.output[:]
    model.graph.output.extend(helper.make_tensor_value_info(*port) for port in ports)
