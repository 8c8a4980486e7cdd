from pathlib import Path

import numpy as np
import pytest

from ruasr_tel.engines import onnx
from ruasr_tel.engines.base import EngineSpec
from ruasr_tel.engines.rnnt import PredictionNetwork
from ruasr_tel.engines.runtime import open_session
from tests.core.engines.prompts import spoken_prompts
from tests.layouts import onnx_asr_model, rnnt_onnx_asr, rnnt_sherpa
from tests.layouts_networks import NEMO_TRANSDUCER, PREDICTION_SIZE

PROMPTS = spoken_prompts()[:2]


@pytest.fixture(scope="module")
def wild(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A transducer whose every answer depends on all tokens before it, in both layouts."""
    root = tmp_path_factory.mktemp("wild")
    for name, write in (("plain", rnnt_onnx_asr), ("sherpa", rnnt_sherpa)):
        (root / name).mkdir()
        write("v2", wild=True)(root / name)
    return root


def test_the_search_is_that_of_onnx_asr(wild: Path) -> None:
    engine = onnx.create(EngineSpec("onnx", "wild", wild / "plain", NEMO_TRANSDUCER))
    theirs = onnx_asr_model("gigaam-v2-rnnt", wild / "plain")
    for prompt, heard in zip(PROMPTS, engine.decode([p.samples for p in PROMPTS]), strict=True):
        expected = theirs.recognize(prompt.samples)
        assert list(heard.tokens) == expected.tokens
        assert heard.starts_s == pytest.approx(expected.timestamps)
        assert heard.log_probs == pytest.approx(expected.logprobs, abs=1e-3)
        assert len(set(heard.tokens)) > 5


def test_both_layouts_give_the_same(wild: Path) -> None:
    plain, sherpa = (
        onnx.create(EngineSpec("onnx", "wild", wild / name, NEMO_TRANSDUCER))
        for name in ("plain", "sherpa")
    )
    samples = [prompt.samples for prompt in PROMPTS]
    assert plain.decode(samples) == sherpa.decode(samples)


@pytest.mark.parametrize(
    ("folder", "name"), [("plain", "v2_rnnt_decoder.int8.onnx"), ("sherpa", "decoder.onnx")]
)
def test_the_prediction_remembers(wild: Path, folder: str, name: str) -> None:
    network = PredictionNetwork(open_session(wild / folder / name))
    first, states = network.step(5, network.start())
    assert first.shape == (1, PREDICTION_SIZE, 1)
    again, _ = network.step(5, network.start())
    later, _ = network.step(5, states)
    assert np.array_equal(first, again)
    assert not np.allclose(first, later)
