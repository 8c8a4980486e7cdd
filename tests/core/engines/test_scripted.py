from pathlib import Path

import numpy as np
import pytest

from ruasr_tel.engines import scripted
from ruasr_tel.engines.base import EngineInfo, EngineSpec, Hypothesis
from ruasr_tel.engines.scripted import create, peak
from ruasr_tel.errors import ConfigError, DecodeError, ModelLoadError
from ruasr_tel.types import Waveform

RATE_HZ = 8000


def spec(**options: str | int | float | bool) -> EngineSpec:
    return EngineSpec("scripted", "пробная", options=options)


def audio(seconds: float, loudest: int = 500) -> Waveform:
    waveform = np.zeros(int(seconds * RATE_HZ), dtype=np.float32)
    waveform[-1] = -loudest / 32768
    return waveform


def test_it_says_a_word_for_every_half_second() -> None:
    engine = create(spec())
    assert engine.decode([audio(0.2), audio(1.7)]) == [
        Hypothesis("слово", (" слово",), (0.0,)),
        Hypothesis("слово слово слово", (" слово",) * 3, (0.0, 0.5, 1.0)),
    ]


def test_it_hears_nothing_in_silence() -> None:
    assert create(spec()).decode([audio(1.0, loudest=scripted.QUIET - 1)]) == [Hypothesis("")]


def test_it_gives_probabilities_when_asked() -> None:
    [hypothesis] = create(spec(confidence=True)).decode([audio(1.0)])
    assert hypothesis.log_probs == (scripted.LOG_PROB, scripted.LOG_PROB)


def test_it_measures_when_asked() -> None:
    [hypothesis] = create(spec(answer="measure")).decode([audio(1.5, loudest=2345)])
    assert hypothesis.text == "отсчётов 12000 пик 2345"


def test_it_is_what_its_spec_says() -> None:
    asked = EngineSpec(
        "scripted",
        "пробная",
        min_segment_s=0.2,
        max_segment_s=9.0,
        options={"sample_rate_hz": 16000, "batch_size": 4, "confidence": True},
    )
    assert create(asked).info == EngineInfo("scripted", "пробная", 16000, 0.2, 9.0, 4, True)


def test_it_takes_as_long_as_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    create(spec(delay_s=0.5, delay_per_audio_s=0.25)).decode([audio(1.0), audio(3.0)])
    assert slept == [1.5]


@pytest.mark.parametrize(
    ("marker", "error"), [(scripted.RAISES, DecodeError), (scripted.CRASHES, RuntimeError)]
)
def test_it_raises_on_a_marker(marker: int, error: type[Exception]) -> None:
    with pytest.raises(error, match="marker"):
        create(spec()).decode([audio(1.0), audio(1.0, marker)])


def test_it_miscounts_on_a_marker() -> None:
    assert len(create(spec()).decode([audio(1.0), audio(1.0, scripted.MISCOUNTS)])) == 3


def test_it_hangs_and_dies_on_markers(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    engine = create(spec())
    monkeypatch.setattr("time.sleep", lambda seconds: seen.append(f"sleep {seconds:g}"))
    monkeypatch.setattr("os._exit", lambda code: seen.append(f"exit {code}"))
    engine.decode([audio(1.0, scripted.HANGS)])
    engine.decode([audio(1.0, scripted.DIES)])
    assert seen == ["sleep 0", "sleep 3600", "sleep 0", "exit 139"]


@pytest.mark.parametrize(
    ("how", "error"), [("model", ModelLoadError), ("config", ConfigError), ("crash", RuntimeError)]
)
def test_loading_goes_wrong_as_asked(how: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        create(spec(fail_load=how))


def test_loading_ends_or_hangs_as_asked(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    seen: list[str] = []
    monkeypatch.setattr("time.sleep", lambda seconds: seen.append(f"sleep {seconds:g}"))
    monkeypatch.setattr("os._exit", lambda code: seen.append(f"exit {code}"))
    create(spec(fail_load="exit"))
    create(spec(fail_load="hang"))
    assert seen == ["exit 255", "sleep 3600"]
    assert capfd.readouterr().err == "model.cc:42 tokens.txt has no blank\n"


def test_a_folder_must_exist(tmp_path: Path) -> None:
    assert create(EngineSpec("scripted", "пробная", model_dir=tmp_path)).info.model == "пробная"
    with pytest.raises(ModelLoadError, match=r"no/folder does not exist$"):
        create(EngineSpec("scripted", "пробная", model_dir=tmp_path / "no" / "folder"))


def test_every_int16_value_is_recognised_as_a_marker() -> None:
    for value in range(1, 32768, 97):
        assert peak(audio(0.1, value)) == value
