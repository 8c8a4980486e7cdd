import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

import numpy as np
import pytest

from models.training import sources, voices
from models.training.voices import Engine, espeak, festival, ru_tts, utterances
from ruasr_tel.errors import ConfigError
from ruasr_tel.types import Samples


def tone(seconds: float) -> Samples:
    at = np.arange(int(8000 * seconds))
    return (9000 * np.sin(2 * np.pi * 300 * at / 8000)).astype(np.int16)


def fake(lengths: Sequence[float]) -> Engine:
    def speak(sentences: Sequence[str], rng: Random) -> Iterator[tuple[str, str, Samples]]:
        for sentence, seconds in zip(sentences, lengths, strict=True):
            yield sentence, f"voice {rng.randint(0, 9)}", tone(seconds)

    return Engine(sources.ESPEAK, speak)


def test_what_is_too_short_or_too_long_stays_out() -> None:
    found = list(utterances(fake([1.0, 0.1, 20.0, 2.0]), ["раз", "два", "три", "пять"], 0))
    assert [one.text for one in found] == ["раз", "пять"]


def test_the_same_seed_gives_the_same_voices() -> None:
    def voices_of(seed: int) -> list[str]:
        return [one.voice for one in utterances(fake([1.0] * 9), ["раз"] * 9, seed)]

    assert voices_of(1) == voices_of(1) != voices_of(2)


@pytest.mark.parametrize(
    ("engine", "package"), [(espeak(), "espeak-ng"), (festival(Path("copy")), "festival")]
)
def test_a_missing_program_is_named(
    engine: Engine, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(ConfigError, match=f"install Debian's {package}"):
        list(utterances(engine, ["раз"], 0))


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "retro_ru_tts", None)
    with pytest.raises(ConfigError, match="CFLAGS=-DPY_SSIZE_T_CLEAN pip install"):
        list(utterances(ru_tts(), ["раз"], 0))


def test_festival_needs_the_cleaned_voice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    with pytest.raises(ConfigError, match="run the step `voice` first"):
        list(utterances(festival(tmp_path), ["раз"], 0))


def test_festival_is_told_every_sentence(tmp_path: Path) -> None:
    script = voices._script(tmp_path, ["да", "нет"], Path("out"))
    assert f'(load "{tmp_path}/festvox/msu_ru_nsh_clunits.scm")' in script
    assert '(SynthText "нет") "out/1.wav"' in script


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng missing")
def test_espeak_speaks() -> None:
    (said,) = utterances(espeak(), ["добрый день"], 3)
    assert said.voice.startswith("espeak+")
    assert 0.5 < len(said.samples) / 8000 < 3


def test_ru_tts_speaks() -> None:
    pytest.importorskip("retro_ru_tts")
    voices._load_ru_tts()
    (said,) = utterances(ru_tts(), ["добрый день"], 3)
    assert 0.5 < len(said.samples) / 8000 < 3
