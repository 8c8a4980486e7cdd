from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ruasr_tel.errors import ModelLoadError
from ruasr_tel.models.graphs import Graph, Port, open_graph
from ruasr_tel.models.online_graphs import (
    OnlineShape,
    ToneShape,
    check_online_transducer,
    check_tone,
)
from ruasr_tel.models.tokens import TokenTable, read_tokens
from tests.layouts_online import (
    CHUNK_FRAMES,
    MEL_BINS,
    TONE_STATE,
    WINDOW_FRAMES,
    write_toy_tone,
    write_toy_zipformer,
)

Graphs = Mapping[str, Graph]


@dataclass(frozen=True)
class Opened:
    """A model's networks and symbols."""

    graphs: Graphs
    table: TokenTable


@pytest.fixture(scope="module")
def zipformer(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    folder = write_toy_zipformer(tmp_path_factory.mktemp("zipformer"))
    roles = ("encoder", "decoder", "joiner")
    graphs = {role: open_graph(folder / f"{role}.onnx") for role in roles}
    return Opened(graphs, read_tokens(folder / "tokens.txt"))


@pytest.fixture(scope="module")
def tone(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    folder = write_toy_tone(tmp_path_factory.mktemp("tone"))
    return Opened({"model": open_graph(folder / "model.onnx")}, read_tokens(folder / "tokens.txt"))


def test_the_published_layouts_pass(zipformer: Opened, tone: Opened) -> None:
    shape = check_online_transducer(zipformer.graphs, zipformer.table)
    assert shape == OnlineShape(MEL_BINS, CHUNK_FRAMES, WINDOW_FRAMES)
    assert check_tone(tone.graphs["model"], tone.table) == ToneShape(
        2400, TONE_STATE, ("signal", "state"), ("logprobs", "state_next")
    )


def with_metadata(key: str, value: str | None) -> Callable[[Graph], Graph]:
    """Set metadata `key`, or take it away."""

    def change(graph: Graph) -> Graph:
        kept = {each: text for each, text in graph.metadata.items() if each != key}
        return replace(graph, metadata=kept if value is None else {**kept, key: value})

    return change


def with_input(index: int, port: Port) -> Callable[[Graph], Graph]:
    def change(graph: Graph) -> Graph:
        ports = list(graph.inputs)
        ports[index] = port
        return replace(graph, inputs=tuple(ports))

    return change


def with_output(port: Port) -> Callable[[Graph], Graph]:
    return lambda graph: replace(graph, outputs=(port, *graph.outputs[1:]))


def without_last_input(graph: Graph) -> Graph:
    return replace(graph, inputs=graph.inputs[:-1])


_F = "tensor(float)"
ZIPFORMER_FAULTS: list[tuple[str, Callable[[Graph], Graph], str]] = [
    ("encoder", with_metadata("model_type", None), "calls itself nothing, expected model_type zip"),
    ("encoder", with_metadata("model_type", "lstm"), "calls itself lstm, expected model_type zip"),
    ("encoder", with_metadata("decode_chunk_len", None), "is not streaming"),
    ("encoder", with_metadata("decode_chunk_len", "0"), "has 'decode_chunk_len' = '0'"),
    ("encoder", with_metadata("T", None), "has no 'T' in its metadata"),
    ("encoder", with_metadata("T", "31"), "looks at T = 31 frames to advance by"),
    ("encoder", with_metadata("num_heads", None), "has 'num_heads' = ''"),
    ("encoder", with_metadata("num_heads", "4,x"), "has 'num_heads' = '4,x'"),
    ("encoder", with_metadata("num_heads", "4,4"), "different numbers of stacks"),
    ("encoder", with_metadata("num_encoder_layers", "2"), "has 9 inputs"),
    ("encoder", without_last_input, "has 8 inputs"),
    ("encoder", with_metadata("left_context_len", "5"), "cached_key_0 is tensor(float) (4, N, 80)"),
    ("encoder", with_metadata("cnn_module_kernels", "9"), "expected tensor(float) (?, 80, 4)"),
    ("encoder", with_input(0, Port("x", _F, ("N", 40, 80))), "expected tensor(float) (?, 45, 80)"),
    ("encoder", with_input(8, Port("processed_lens", _F, ("N",))), "expected tensor(int64) (?)"),
    (
        "encoder",
        with_output(Port("out", _F, ("N", 8, 16))),
        "puts out 16 values, joiner.onnx takes",
    ),
    ("decoder", with_metadata("vocab_size", None), "has no 'vocab_size'"),
    ("decoder", with_metadata("vocab_size", "99"), "expected tensor(float) (?, 99)"),
    ("decoder", with_metadata("context_size", "3"), "expected tensor(int64) (?, 3)"),
    ("decoder", with_input(0, Port("y", "tensor(int32)", ("N", 2))), "y is tensor(int32) (N, 2)"),
    ("joiner", without_last_input, "is not the joiner of a transducer: it has 1 inputs"),
    ("joiner", with_output(Port("logit", _F, ("N", 9))), "logit is tensor(float) (N, 9)"),
]


@pytest.mark.parametrize(("role", "damage", "says"), ZIPFORMER_FAULTS)
def test_a_fault_of_a_zipformer_ends_in_a_sentence(
    zipformer: Opened, role: str, damage: Callable[[Graph], Graph], says: str
) -> None:
    graphs = {**zipformer.graphs, role: damage(zipformer.graphs[role])}
    with pytest.raises(ModelLoadError) as caught:
        check_online_transducer(graphs, zipformer.table)
    assert says in str(caught.value)
    assert ".onnx" in str(caught.value)


_F16 = "tensor(float16)"
TONE_FAULTS: list[tuple[Callable[[Graph], Graph], str]] = [
    (without_last_input, "is not a T-one model: it has 1 inputs (signal) and 2 outputs"),
    (with_input(0, Port("signal", "tensor(int32)", ("b", "n", 1))), "are not fixed"),
    (with_input(0, Port("signal", _F, ("b", 2400, 1))), "signal is tensor(float) (b, 2400, 1)"),
    (with_input(0, Port("signal", "tensor(int32)", ("b", 2400))), "expected tensor(int32) (?, 24"),
    (with_input(1, Port("state", _F, ("b", TONE_STATE))), "state is tensor(float)"),
    (with_input(1, Port("state", _F16, ("b", 12))), "state_next is tensor(float16)"),
    (with_output(Port("logprobs", "tensor(int64)", ("b", 10, 35))), "expected log probabilities"),
    (with_output(Port("logprobs", _F, ("b", 10, 34))), "puts out 34 symbols, but its token list"),
]


@pytest.mark.parametrize(("damage", "says"), TONE_FAULTS)
def test_a_fault_of_a_t_one_ends_in_a_sentence(
    tone: Opened, damage: Callable[[Graph], Graph], says: str
) -> None:
    with pytest.raises(ModelLoadError) as caught:
        check_tone(damage(tone.graphs["model"]), tone.table)
    assert says in str(caught.value)
    assert "model.onnx" in str(caught.value)


def test_symbols_of_another_model_are_refused(zipformer: Opened) -> None:
    with pytest.raises(ModelLoadError, match="puts out 22 symbols, but its token list has 2"):
        check_online_transducer(zipformer.graphs, TokenTable(("<blk>", "а")))


def test_lengths_that_a_network_leaves_free_are_not_checked(
    tone: Opened, zipformer: Opened
) -> None:
    free = with_output(Port("logprobs", _F16, ("b", "t", "v")))
    assert check_tone(free(tone.graphs["model"]), tone.table).chunk_samples == 2400
    encoder = with_output(Port("encoder_out", _F, ("N", 8, "d")))(zipformer.graphs["encoder"])
    shape = check_online_transducer({**zipformer.graphs, "encoder": encoder}, zipformer.table)
    assert shape.chunk_frames == CHUNK_FRAMES


def test_a_ctc_model_is_no_t_one(tone: Opened) -> None:
    path = Path(__file__).parents[3] / "models/ru-mini-ctc-8k/model.int8.onnx"
    with pytest.raises(ModelLoadError, match="is not a T-one model: it has 2 inputs"):
        check_tone(open_graph(path), tone.table)
