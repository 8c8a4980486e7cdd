import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

from models.training import card_of  # noqa: E402
from models.training.checkpoint import Checkpoint, Origin, Spent  # noqa: E402
from models.training.network import Network, Size  # noqa: E402
from models.training.shards import Shard, Summary, Utterance, write_shard  # noqa: E402
from models.training.sources import PROMPTS  # noqa: E402
from ruasr_tel.errors import ConfigError  # noqa: E402

TINY = Size(d=8, heads=2, fine=1, middle=1, last=1)


@pytest.fixture
def shards(tmp_path: Path) -> list[Shard]:
    for name in ("one", "two"):
        said = [Utterance(np.ones(8000, np.int16), "да", "x")]
        write_shard(tmp_path / name, PROMPTS, said)
    return [Shard(tmp_path / name) for name in ("one", "two")]


def test_shards_of_a_source_are_added_up(shards: list[Shard]) -> None:
    assert card_of.by_source(shards) == [(PROMPTS, Summary(2, 2 / 3600))]


def test_a_card_comes_of_files(tmp_path: Path, shards: list[Shard]) -> None:
    weights = Network(TINY).state_dict()
    origin = Origin("somebody's", Spent(1, 600, 3600))
    last = Checkpoint(TINY, weights, weights, None, Spent(9, 1800, 7200), origin)
    last.save(tmp_path / "last.pt")
    model = tmp_path / "ru-mini"
    model.mkdir()
    (model / "encoder.onnx").write_bytes(b"x" * 200_000)
    rate = {"rate": 0.2, "low": 0.1, "high": 0.3}
    score = {"recordings": 3, "wer": rate, "cer": rate}
    figures = tmp_path / "ru-mini, prompts, greedy.json"
    figures.write_text(json.dumps({"conditions": {"clean": score}}), "utf-8")
    text = card_of.collect(model, tmp_path / "last.pt", shards, "transducer", [figures])
    assert "somebody's, two convolutions" in text
    assert "`encoder.onnx` (0.2 MB)" in text
    assert "40 minutes of ours; 3.0 hours" in text
    assert "| prompts, greedy | 3 |" in text
    with pytest.raises(ConfigError, match=r"figures .*no\.json cannot be read"):
        card_of.collect(model, tmp_path / "last.pt", [], "ctc", [tmp_path / "no.json"])
