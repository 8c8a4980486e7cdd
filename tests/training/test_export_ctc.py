from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

import onnx  # noqa: E402
import onnxruntime  # noqa: E402

from models.training import export_ctc  # noqa: E402
from models.training.batches import TOKENS  # noqa: E402
from models.training.checkpoint import Checkpoint  # noqa: E402
from models.training.network import Network, Size  # noqa: E402
from ruasr_tel.errors import ConfigError  # noqa: E402

ROOT = Path(__file__).parents[2]
SIZE = Size(d=32, heads=4, fine=1, middle=1, last=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    weights = Network(SIZE).state_dict()
    folder = tmp_path_factory.mktemp("ctc")
    export_ctc.export(Checkpoint(SIZE, weights, weights), folder)
    return folder


def test_files_and_metadata_are_those_of_the_published_model(folder: Path) -> None:
    published = ROOT / "models/ru-mini-ctc-8k"
    assert (folder / "tokens.txt").read_bytes() == (published / "tokens.txt").read_bytes()
    ours, theirs = (
        {one.key: one.value for one in onnx.load(each / export_ctc.SMALL).metadata_props}
        for each in (folder, published)
    )
    assert ours == theirs | {"features": "sherpa"}  # for a folder that no catalogue knows


def test_both_precisions_run_on_any_length(folder: Path) -> None:
    features = np.random.default_rng(0).normal(-6, 2, (2, 64, 83)).astype(np.float32)
    lengths = np.array([83, 40])
    for name in (export_ctc.FULL, export_ctc.SMALL):
        session = onnxruntime.InferenceSession(folder / name, providers=["CPUExecutionProvider"])
        (found,) = session.run(None, {"features": features, "feature_lengths": lengths})
        assert found.shape == (2, 21, len(TOKENS))


def test_a_graph_of_other_weights_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="does not agree with its network"):
        export_ctc._check(Network(SIZE).eval(), folder / "model.onnx")
