"""Checks networks in GigaAM's layouts for an engine that runs them on onnxruntime itself.

Unlike sherpa-onnx's loader (graphs.py) it needs no metadata: onnx-asr's exports have none.
"""

from collections.abc import Mapping

from ruasr_tel.errors import ModelLoadError
from ruasr_tel.models.graphs import Graph, Port
from ruasr_tel.models.probe import NEMO_CTC
from ruasr_tel.models.tokens import TokenTable

MEL_BINS = 64
_FLOATS = ("tensor(float)",)
_INTEGERS = ("tensor(int32)", "tensor(int64)")


def check_gigaam(graphs: Mapping[str, Graph], family: str, table: TokenTable) -> None:
    """Check that these networks are a GigaAM of `family` with this vocabulary.

    Args:
        graphs: role -> network: `model`, or `encoder`, `decoder` and `joiner`.
        family: `nemo_ctc` or `nemo_transducer`.
        table: the model's symbols.

    Raises:
        ModelLoadError: one sentence with the file and the cure.
    """
    if family == NEMO_CTC:
        _check_acoustics(graphs["model"], "a GigaAM CTC model", outputs=1)
        _check_width(graphs["model"], table)
        return
    encoder, decoder, joiner = graphs["encoder"], graphs["decoder"], graphs["joiner"]
    _check_acoustics(encoder, "the encoder of a GigaAM transducer", outputs=2)
    _check_prediction(decoder)
    _check_ports(joiner, "the joiner of a GigaAM transducer", [_FLOATS, _FLOATS], outputs=1)
    _check_width(joiner, table)
    _check_same(encoder, encoder.outputs[0].length(1), joiner, joiner.inputs[0].length(1))


def _check_acoustics(graph: Graph, what: str, outputs: int) -> None:
    _check_ports(graph, what, [_FLOATS, ("tensor(int64)",)], outputs)
    bins = graph.inputs[0].length(1)
    if bins not in (None, MEL_BINS):
        raise ModelLoadError(
            f"{graph.path} takes {bins} mel bins, but GigaAM {MEL_BINS}: it is another kind of "
            "model; use engine sherpa for it"
        )


def _check_prediction(graph: Graph) -> None:
    integers = [port for port in graph.inputs if port.kind in _INTEGERS]
    states = [port for port in graph.inputs if port.kind in _FLOATS]
    ordered = [*integers, *states] == list(graph.inputs)
    if not (1 <= len(integers) <= 2 and len(states) == 2 and ordered and len(graph.outputs) >= 3):
        raise ModelLoadError(
            f"{graph.path} is not the decoder of a GigaAM transducer: it takes "
            f"{_listed(graph.inputs)}; check which family the model is of"
        )


def _check_ports(graph: Graph, what: str, kinds: list[tuple[str, ...]], outputs: int) -> None:
    fits = len(graph.inputs) == len(kinds) and all(
        port.kind in kind for port, kind in zip(graph.inputs, kinds, strict=True)
    )
    if not fits or len(graph.outputs) < outputs:
        raise ModelLoadError(
            f"{graph.path} is not {what}: it takes {_listed(graph.inputs)} and gives "
            f"{len(graph.outputs)} outputs; check which family the model is of"
        )


def _check_width(graph: Graph, table: TokenTable) -> None:
    width = graph.outputs[0].length(-1)
    if width not in (None, table.outputs):
        raise ModelLoadError(
            f"{graph.path} puts out {width} symbols, but its vocabulary lists {table.outputs}; "
            "fetch the model's own vocabulary"
        )


def _check_same(left: Graph, out: int | None, right: Graph, into: int | None) -> None:
    if out is not None and into is not None and out != into:
        raise ModelLoadError(
            f"{left.path} puts out {out} values, {right.path.name} takes {into}: "
            "files of different models; fetch the whole model again"
        )


def _listed(ports: tuple[Port, ...]) -> str:
    return ", ".join(f"{port.name} {port.kind}" for port in ports[:5]) or "nothing"
