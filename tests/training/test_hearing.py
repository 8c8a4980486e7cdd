import wave
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

from models.training import hearing  # noqa: E402
from models.training.network import Network, Size  # noqa: E402

TINY = Size(d=8, heads=2, fine=1, middle=1, last=1)


def test_recordings_of_a_manifest_are_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(np.random.default_rng(0).normal(0, 999, 8000).astype("<i2").tobytes())
    manifest = tmp_path / "held.tsv"
    manifest.write_text(f"{path}\tда нет\n{path}\tда\n", "utf-8")
    monkeypatch.setattr(hearing, "hear", lambda _network, _samples: "да")
    assert hearing.rates(Network(TINY), manifest) == (33.3, 50.0)


def test_a_network_hears_something_or_nothing() -> None:
    noise = np.random.default_rng(0).normal(0, 3000, 8000).astype(np.int16)
    assert isinstance(hearing.hear(Network(TINY).eval(), noise), str)
