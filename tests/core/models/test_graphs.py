from pathlib import Path

import pytest

from ruasr_tel.errors import ModelLoadError
from ruasr_tel.models.graphs import Graph, Port, check_graphs, open_graph
from ruasr_tel.models.probe import LAYOUTS, find_files
from ruasr_tel.models.tokens import TokenTable, read_tokens
from tests.core.broken_models import CTC, NEMO, TRANSDUCER, good_model
from tests.core.model_faults import GRAPH_FAULTS, Fault


def checked(folder: Path, family: str) -> int:
    files = find_files(folder, LAYOUTS[family])
    return check_graphs(files, family, read_tokens(files["tokens"]))


@pytest.mark.parametrize(("family", "mel_bins"), [(CTC, 64), (TRANSDUCER, 80), (NEMO, 64)])
def test_a_good_model_passes_and_tells_its_mel_bins(
    tmp_path: Path, family: str, mel_bins: int
) -> None:
    assert checked(good_model(tmp_path / "model", family), family) == mel_bins


@pytest.mark.parametrize("fault", GRAPH_FAULTS, ids=lambda fault: fault.name)
def test_a_fault_of_the_networks_ends_in_a_sentence(tmp_path: Path, fault: Fault) -> None:
    folder = good_model(tmp_path / "model", fault.family)
    fault.damage(folder)
    with pytest.raises(ModelLoadError) as caught:
        checked(folder, fault.family)
    for words in (str(folder), *fault.says):
        assert words in str(caught.value)


def test_a_graph_tells_its_ports_and_metadata(tmp_path: Path) -> None:
    graph = open_graph(good_model(tmp_path / "model", TRANSDUCER) / "decoder.onnx")
    assert graph.metadata == {"context_size": "2", "vocab_size": "34"}
    assert graph.inputs == (Port("y", "tensor(int64)", ("N", 2)),)
    assert graph.outputs[0].length(-1) == 34
    assert graph.inputs[0].length(0) is None
    assert graph.inputs[0].length(2) is None


def test_disambiguation_symbols_do_not_count(tmp_path: Path) -> None:
    folder = good_model(tmp_path / "model", TRANSDUCER)
    with (folder / "tokens.txt").open("a", encoding="utf-8") as stream:
        stream.write("#0 34\n#1 35\n")
    assert checked(folder, TRANSDUCER) == 80


@pytest.mark.parametrize("declared", ["34", "33"])  # with the blank (GigaAM), without it (NeMo)
def test_a_free_output_width_leaves_the_declared_one(
    monkeypatch: pytest.MonkeyPatch, declared: str
) -> None:
    graph = Graph(
        Path("model.onnx"),
        {"vocab_size": declared, "subsampling_factor": "8", "normalize_type": "per_feature"},
        (Port("x", "tensor(float)", ("B", "D", "T")), Port("n", "tensor(int64)", ("B",))),
        (Port("y", "tensor(float)", ("B", "T", None)),),
    )
    monkeypatch.setattr("ruasr_tel.models.graphs.open_graph", lambda path: graph)
    symbols = TokenTable((*(str(index) for index in range(33)), "<blk>"))
    files = {"model": Path("model.onnx"), "tokens": Path("tokens.txt")}
    assert check_graphs(files, CTC, symbols) == 80
    with pytest.raises(ModelLoadError, match=f"puts out {declared} symbols, but .* lists 30"):
        check_graphs(files, CTC, TokenTable((*symbols.symbols[:29], "<blk>")))
