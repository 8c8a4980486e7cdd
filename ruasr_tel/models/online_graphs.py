"""Checks the networks of streaming models before anybody runs them; in the engine's process only.

The rules are those of sherpa-onnx's csrc/online-zipformer2-transducer-model.cc, which ends the
process for a missing metadata value and takes the number and shapes of its states for granted, and
of voicekit-team/T-one's tone/onnx_wrapper.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ruasr_tel.errors import ModelLoadError
from ruasr_tel.models.graphs import Graph, Port
from ruasr_tel.models.tokens import TokenTable

FRAME_S = 0.01
"""Seconds between feature frames of every model sherpa-onnx runs (csrc/features.h)."""

_CURE = "take a streaming model exported for sherpa-onnx"
_PER_STACK = (  # SHERPA_ONNX_READ_META_DATA_VEC in online-zipformer2-transducer-model.cc
    "encoder_dims",
    "query_head_dims",
    "value_head_dims",
    "num_heads",
    "num_encoder_layers",
    "cnn_module_kernels",
    "left_context_len",
)
_STATES_PER_LAYER = 6
_STATES_BESIDE = 2  # embed_states and processed_lens
_MEL_BINS = 80


@dataclass(frozen=True, slots=True)
class OnlineShape:
    """What a streaming zipformer transducer takes.

    Attributes:
        mel_bins: bins of a feature frame.
        chunk_frames: how many feature frames it advances by.
        window_frames: how many it looks at to do so.
    """

    mel_bins: int
    chunk_frames: int
    window_frames: int


@dataclass(frozen=True, slots=True)
class ToneShape:
    """What a T-one network takes.

    Attributes:
        chunk_samples: how many samples it advances by.
        state: numbers in a stream's state.
        inputs: names of signal and state.
        outputs: names of log probabilities and next state.
    """

    chunk_samples: int
    state: int
    inputs: tuple[str, str]
    outputs: tuple[str, str]


def check_online_transducer(graphs: Mapping[str, Graph], table: TokenTable) -> OnlineShape:
    """Check that sherpa-onnx can run these networks as a streaming zipformer2 transducer.

    Args:
        graphs: `encoder`, `decoder` and `joiner`.
        table: the model's symbols.

    Raises:
        ModelLoadError: one sentence with the file and the cure.
    """
    encoder, decoder, joiner = graphs["encoder"], graphs["decoder"], graphs["joiner"]
    _check_kind(encoder)
    shape = _check_encoder(encoder)
    _expect_ports(decoder, "the decoder of a transducer", 1, 1)
    _expect_ports(joiner, "the joiner of a transducer", 2, 1)
    width, context = decoder.number("vocab_size"), decoder.number("context_size")
    # online-transducer-model.cc, BuildDecoderInput: CreateTensor<int64_t>
    _expect(decoder, decoder.inputs[0], "tensor(int64)", (None, context))
    _expect(joiner, joiner.outputs[0], "tensor(float)", (None, width))
    _expect_symbols(joiner, table, width)
    for graph, axis, port in ((encoder, 2, 0), (decoder, -1, 1)):
        _expect_same(graph, graph.outputs[0].length(axis), joiner, joiner.inputs[port].length(1))
    return shape


def check_tone(graph: Graph, table: TokenTable) -> ToneShape:
    """Check that a network is a T-one: signal and state in, log probabilities and state out.

    Args:
        graph: the network.
        table: its symbols.

    Raises:
        ModelLoadError: one sentence with the file and the cure.
    """
    _expect_ports(graph, "a T-one model", 2, 2)
    signal, state = graph.inputs
    posteriors, following = graph.outputs
    chunk, size = signal.length(1), state.length(1)
    if chunk is None or size is None:
        raise ModelLoadError(
            f"{graph.path} is not a T-one model: the lengths of {signal.name} and {state.name} "
            "are not fixed; check which family the model is of"
        )
    _expect(graph, signal, "tensor(int32)", (None, chunk, 1))
    _expect(graph, state, "tensor(float16)", (None, size))
    _expect(graph, following, "tensor(float16)", (None, size))
    if posteriors.kind not in ("tensor(float)", "tensor(float16)"):
        raise ModelLoadError(
            f"{graph.path}: {posteriors.name} is {posteriors.kind}, expected log probabilities; "
            "check which family the model is of"
        )
    _expect_symbols(graph, table, posteriors.length(-1) or table.outputs)
    return ToneShape(chunk, size, (signal.name, state.name), (posteriors.name, following.name))


def _check_kind(encoder: Graph) -> None:
    kind = encoder.metadata.get("model_type", "")
    if kind != "zipformer2":  # sherpa-onnx runs others, too; no Russian one is published
        raise ModelLoadError(
            f"{encoder.path} calls itself {kind or 'nothing'}, expected model_type zipformer2 in "
            f"its metadata; {_CURE}"
        )
    if "decode_chunk_len" not in encoder.metadata:
        raise ModelLoadError(
            f"{encoder.path} is not streaming: its metadata has no decode_chunk_len; "
            "use family transducer, or take the streaming model of that name"
        )


def _check_encoder(encoder: Graph) -> OnlineShape:
    window, chunk = encoder.number("T"), encoder.number("decode_chunk_len")
    if window < chunk:
        raise ModelLoadError(
            f"{encoder.path} looks at T = {window} frames to advance by decode_chunk_len = "
            f"{chunk}: frames would be lost; {_CURE}"
        )
    stacks = {key: _numbers(encoder, key) for key in _PER_STACK}
    if len({len(values) for values in stacks.values()}) != 1:
        lengths = ", ".join(f"{key} {len(values)}" for key, values in stacks.items())
        raise ModelLoadError(
            f"{encoder.path}: the metadata speak of different numbers of stacks ({lengths}); "
            f"{_CURE}"
        )
    states = _STATES_PER_LAYER * sum(stacks["num_encoder_layers"]) + _STATES_BESIDE
    _expect_ports(encoder, "the encoder of this streaming transducer", 1 + states, 1 + states)
    bins = encoder.inputs[0].length(2) or _MEL_BINS
    _expect(encoder, encoder.inputs[0], "tensor(float)", (None, window, bins))
    for port, lengths_of in zip(encoder.inputs[1:], _state_lengths(stacks, bins), strict=True):
        _expect(encoder, port, "tensor(float)", lengths_of)
    return OnlineShape(bins, chunk, window)


def _state_lengths(
    stacks: Mapping[str, tuple[int, ...]], bins: int
) -> list[tuple[int | None, ...] | None]:
    """Return the shapes of the states as GetEncoderInitStates makes them; None: any, integers."""
    shapes: list[tuple[int | None, ...] | None] = []
    for dim, query, value, heads, layers, kernel, left in zip(*stacks.values(), strict=True):
        values = (left, None, value * heads)
        convolution = (None, dim, kernel // 2)
        of_one_layer: list[tuple[int | None, ...] | None] = [
            (left, None, query * heads),
            (1, None, left, 3 * dim // 4),
            values,
            values,
            convolution,
            convolution,
        ]
        shapes += of_one_layer * layers
    return [*shapes, (None, 128, 3, ((bins - 1) // 2 - 1) // 2), None]


def _numbers(graph: Graph, key: str) -> tuple[int, ...]:
    value = graph.metadata.get(key, "")
    parts = value.split(",")
    if not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise ModelLoadError(
            f"{graph.path} has {key!r} = {value!r} in its metadata, expected positive numbers "
            f"with commas between them; {_CURE}"
        )
    return tuple(map(int, parts))


def _expect_ports(graph: Graph, what: str, inputs: int, outputs: int) -> None:
    if (len(graph.inputs), len(graph.outputs)) == (inputs, outputs):
        return
    named = ", ".join(port.name for port in graph.inputs[:4])
    raise ModelLoadError(
        f"{graph.path} is not {what}: it has {len(graph.inputs)} inputs ({named}) and "
        f"{len(graph.outputs)} outputs, expected {inputs} and {outputs}; "
        "check which family the model is of"
    )


def _expect(graph: Graph, port: Port, kind: str, lengths: tuple[int | None, ...] | None) -> None:
    """Check type and shape of a port; None in `lengths` is any length, None for it any shape."""
    if lengths is None:
        lengths, kind = (None,) * len(port.shape), "tensor(int64)"
    fits = len(port.shape) == len(lengths) and all(
        found is None or wanted is None or found == wanted
        for found, wanted in zip(map(port.length, range(len(lengths))), lengths, strict=True)
    )
    if fits and port.kind == kind:
        return
    shown = ", ".join("?" if length is None else str(length) for length in lengths)
    found_shape = ", ".join(str(length) for length in port.shape)
    raise ModelLoadError(
        f"{graph.path}: {port.name} is {port.kind} ({found_shape}), expected {kind} ({shown}); "
        "check which family the model is of, or fetch it again"
    )


def _expect_symbols(graph: Graph, table: TokenTable, width: int) -> None:
    if table.outputs != width:
        raise ModelLoadError(
            f"{graph.path} puts out {width} symbols, but its token list has {table.outputs}; "
            "fetch the model's own tokens"
        )


def _expect_same(left: Graph, out: int | None, right: Graph, into: int | None) -> None:
    if out is not None and into is not None and out != into:
        raise ModelLoadError(
            f"{left.path} puts out {out} values, {right.path.name} takes {into}: "
            "files of different models; fetch the whole model again"
        )
