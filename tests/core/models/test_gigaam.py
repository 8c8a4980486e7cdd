from collections.abc import Callable
from pathlib import Path

import pytest

from ruasr_tel.errors import ModelLoadError
from ruasr_tel.models.gigaam import check_gigaam
from ruasr_tel.models.graphs import Graph, Port
from ruasr_tel.models.probe import NEMO_CTC, NEMO_TRANSDUCER
from ruasr_tel.models.tokens import TokenTable

F, I32, I64 = "tensor(float)", "tensor(int32)", "tensor(int64)"
TABLE = TokenTable((" ", "а", "<blk>"))


def graph(name: str, takes: list[Port], gives: list[Port]) -> Graph:
    return Graph(Path(f"/m/{name}.onnx"), {}, tuple(takes), tuple(gives))


def ctc(bins: int = 64, width: int | None = 3, lengths: str = I64) -> dict[str, Graph]:
    takes = [Port("features", F, ("B", bins, "T")), Port("feature_lengths", lengths, ("B",))]
    return {"model": graph("model", takes, [Port("log_probs", F, ("B", "T", width))])}


def rnnt(
    size: int = 8, decoder: tuple[str, ...] = (I64, F, F), joiner: tuple[str, ...] = (F, F)
) -> dict[str, Graph]:
    heard = [Port("audio_signal", F, ("B", 64, "T")), Port("length", I64, ("B",))]
    encoded = [Port("encoded", F, ("B", size, "T")), Port("encoded_len", I32, ("B",))]
    states = [Port(f"in{i}", kind, (1, 1)) for i, kind in enumerate(decoder)]
    predicted = [Port(name, F, (1, 1, 4)) for name in ("dec", "h", "c")]
    frames = [Port(f"in{i}", kind, (1, 8, 1)) for i, kind in enumerate(joiner)]
    return {
        "encoder": graph("encoder", heard, encoded),
        "decoder": graph("decoder", states, predicted),
        "joiner": graph("joiner", frames, [Port("joint", F, (1, 1, 1, 3))]),
    }


@pytest.mark.parametrize(
    ("family", "graphs"),
    [
        (NEMO_CTC, ctc()),
        (NEMO_CTC, ctc(width=None)),
        (NEMO_TRANSDUCER, rnnt()),
        (NEMO_TRANSDUCER, rnnt(decoder=(I32, I32, F, F))),
    ],
)
def test_gigaam_passes(family: str, graphs: dict[str, Graph]) -> None:
    check_gigaam(graphs, family, TABLE)


@pytest.mark.parametrize(
    ("family", "make", "says"),
    [
        (NEMO_CTC, lambda: ctc(bins=80), "model.onnx takes 80 mel bins, but GigaAM 64"),
        (NEMO_CTC, lambda: ctc(width=4), "puts out 4 symbols, but its vocabulary lists 3"),
        (NEMO_CTC, lambda: ctc(lengths=F), "model.onnx is not a GigaAM CTC model: it takes "),
        (NEMO_CTC, lambda: {"model": graph("model", [], [])}, "it takes nothing and gives 0"),
        (NEMO_TRANSDUCER, lambda: rnnt(size=9), "encoder.onnx puts out 9 values, joiner.onnx"),
        (NEMO_TRANSDUCER, lambda: rnnt(decoder=(F, F)), "decoder.onnx is not the decoder of a G"),
        (NEMO_TRANSDUCER, lambda: rnnt(decoder=(F, I64, F)), "decoder.onnx is not the decoder"),
        (NEMO_TRANSDUCER, lambda: rnnt(joiner=(F,)), "joiner.onnx is not the joiner of a GigaAM"),
    ],
)
def test_what_is_not_gigaam_ends_in_a_sentence(
    family: str, make: Callable[[], dict[str, Graph]], says: str
) -> None:
    with pytest.raises(ModelLoadError) as caught:
        check_gigaam(make(), family, TABLE)
    assert says in str(caught.value)
