from pathlib import Path

import pytest

from ruasr_tel.errors import ModelLoadError
from ruasr_tel.vad import VadConfig, create_vad
from ruasr_tel.vad.energy import EnergyVad
from ruasr_tel.vad.silero import SileroVad

MODEL = Path(__file__).parents[3] / "models/silero-vad/silero_vad_op18_ifless.onnx"


def test_silero_is_made_from_the_default_model(tmp_path: Path) -> None:
    assert isinstance(create_vad(VadConfig(), MODEL), SileroVad)


def test_a_configured_model_goes_before_the_default_one(tmp_path: Path) -> None:
    mine = tmp_path / "mine.onnx"

    with pytest.raises(ModelLoadError, match=f"VAD model {mine} is missing"):
        create_vad(VadConfig(model=mine), MODEL)


def test_energy_needs_no_model(tmp_path: Path) -> None:
    vad = create_vad(VadConfig(engine="energy"), tmp_path / "nothing.onnx")

    assert isinstance(vad, EnergyVad)
