from pathlib import Path

import numpy as np
import pytest

from ruasr_tel.engines import scripted
from ruasr_tel.engines.base import DecodeOptions, EngineInfo, EngineSpec, Hypothesis
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


def test_it_prefers_phrases_where_it_is_told_that_it_can() -> None:
    options = DecodeOptions(("два слова", "да"))
    [heard] = create(spec(hotwords=True)).decode([audio(1.5)], options)
    assert (heard.text, heard.match) == ("два слова да слово", None)
    [heard] = create(spec()).decode([audio(1.5)], options)
    assert heard.text == "слово слово слово"


@pytest.mark.parametrize(
    ("seconds", "phrases", "text", "match"),
    [
        (0.5, ("да", "нет да", "[unk]"), "да", 1.0),
        (1.0, ("да", "нет да", "[unk]"), "нет да", 1.0),
        (1.5, ("да", "нет да", "[unk]"), "[unk]", 0.0),
        (1.5, ("да", "нет да"), "нет да", 0.0),
    ],
)
def test_it_chooses_from_a_closed_list(
    seconds: float, phrases: tuple[str, ...], text: str, match: float
) -> None:
    engine = create(spec(closed_lists=True))
    [heard] = engine.decode([audio(seconds)], DecodeOptions(phrases, closed=True))
    assert (heard.text, heard.match) == (text, match)


def test_it_has_other_readings_as_many_as_it_can() -> None:
    [heard] = create(spec(alternatives=3)).decode([audio(1.0)], DecodeOptions(alternatives=9))
    assert (heard.text, heard.score) == ("слово слово", 0.0)
    assert [(other.text, other.score) for other in heard.alternatives] == [
        ("слово вариант 2", -1.0),
        ("слово вариант 3", -2.0),
    ]
    [quiet] = create(spec(alternatives=3)).decode([audio(1.0, 1)], DecodeOptions(alternatives=9))
    assert quiet == Hypothesis("")


def test_it_is_what_its_spec_says() -> None:
    asked = EngineSpec(
        "scripted",
        "пробная",
        min_segment_s=0.2,
        max_segment_s=9.0,
        options={
            "sample_rate_hz": 16000,
            "batch_size": 4,
            "confidence": True,
            "hotwords": True,
            "closed_lists": True,
            "alternatives": 5,
        },
    )
    assert create(asked).info == EngineInfo(
        *("scripted", "пробная", 16000, 0.2, 9.0, 4, True),
        hotwords=True,
        closed_lists=True,
        alternatives=5,
    )


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
