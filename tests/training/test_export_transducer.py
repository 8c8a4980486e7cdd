from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

import onnxruntime  # noqa: E402

from models.training import export_transducer  # noqa: E402
from models.training.batches import BLANK, TOKENS  # noqa: E402
from models.training.checkpoint import Checkpoint  # noqa: E402
from models.training.export_transducer import Encoder, mel_mapping  # noqa: E402
from models.training.network import Network, Size, greedy  # noqa: E402

ROOT = Path(__file__).parents[2]
SIZE = Size(d=16, heads=2, fine=1, middle=1, last=1)


def test_the_mapping_interpolates() -> None:
    mapping = mel_mapping()
    assert mapping.shape == (80, 64)
    np.testing.assert_allclose(mapping.sum(0), 1, atol=1e-5)
    assert ((mapping > 0).sum(0) <= 2).all()


def test_greedy_transducer_search_gives_what_greedy_ctc_gives() -> None:
    torch.manual_seed(3)
    network = Network(SIZE).eval()
    x, lengths = torch.randn(1, 400, 80) * 3 - 6, torch.tensor([400])
    with torch.no_grad():
        scores, frames = Encoder(network)(x, lengths)
        expected = network((x @ torch.from_numpy(mel_mapping())).transpose(1, 2), lengths)
    assert frames.tolist() == [100]
    said = [TOKENS[one - 1] for one in scores[0].argmax(-1).tolist() if one]  # a symbol a frame
    assert "".join(said).strip() == greedy(expected, [100])[0]
    assert TOKENS[BLANK] not in said


def test_the_files_fit_together(tmp_path: Path) -> None:
    weights = Network(SIZE).state_dict()
    export_transducer.export(Checkpoint(SIZE, weights, weights), tmp_path)
    published = ROOT / "models/ru-mini-transducer-8k/tokens.txt"
    assert (tmp_path / "tokens.txt").read_bytes() == published.read_bytes()

    def run(name: str, **inputs: np.ndarray) -> list[np.ndarray]:
        path = tmp_path / f"{name}.onnx"
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return list(session.run(None, inputs))

    x = np.zeros((2, 40, 80), np.float32) - 6
    for precision in ("encoder", "encoder.int8"):
        scores, frames = run(precision, x=x, x_lens=np.array([40, 20]))
        assert (scores.shape, frames.tolist()) == ((2, 10, 34), [10, 5])
    (zero,) = run("decoder", y=np.array([[3, 4], [0, 0]]))
    (logit,) = run("joiner", encoder_out=scores[:, 0], decoder_out=zero)
    np.testing.assert_allclose(logit, scores[:, 0])
