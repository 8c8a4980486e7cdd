import gzip
import shutil
from pathlib import Path

import pytest

from models.training import guard, prompts
from ruasr_tel.errors import ConfigError

DATA = Path(__file__).parents[1] / "data/wav"
LINES = """; Core Asterisk Sounds in Russian

activated: Активировано
agent-pass: Введите  пароль и нажмите решётку.
digits/8: 8
letters/a: А
spy-agent: Агент
conf-extended: [тон] Конференция расширена
beep: [бип]
is: это
weird: (смех)
english: Enter
day: 1 октрября
"""


def test_transcripts_are_clean_and_literal() -> None:
    assert list(prompts.transcripts(LINES.splitlines())) == [
        ("activated", "активировано"),
        ("agent-pass", "введите пароль и нажмите решетку"),
        ("digits/8", "восемь"),
        ("day", "один октября"),
    ]


def test_what_sounds_like_a_held_out_prompt_is_held_out() -> None:
    held = ["введите пароль и нажмите решетку", "да"]
    assert prompts.resembles("да", held)
    assert prompts.resembles("введите код и нажмите решетку", held)
    assert not prompts.resembles("дай", held)
    assert not prompts.resembles("на данный момент все линии заняты", held)


@pytest.fixture
def package(tmp_path: Path) -> tuple[Path, Path]:
    """A package of three prompts: one held out, one to learn from, one without its recording."""
    for name in ("added.wav", "welcome.wav"):
        shutil.copy(DATA / "digits_8.wav", tmp_path / name)
    texts = tmp_path / "sounds.txt.gz"
    lines = "added: Добавлено\nwelcome: Добро пожаловать\ngone: Пропал\n"
    texts.write_bytes(gzip.compress(lines.encode()))
    return tmp_path, texts


def test_held_out_prompts_do_not_come(package: tuple[Path, Path]) -> None:
    found = list(prompts.utterances(*package))
    assert [(one.text, one.voice) for one in found] == [("добро пожаловать", "prompts")]
    assert "добавлено" in guard.texts([guard.PROMPTS])


def test_a_missing_package_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="install Debian's asterisk-core-sounds-ru and"):
        list(prompts.utterances(tmp_path, tmp_path / "no.gz"))


@pytest.mark.skipif(not prompts.TRANSCRIPTS.is_file(), reason="asterisk-core-sounds-ru missing")
@pytest.mark.skipif(not prompts.SOUNDS.is_dir(), reason="asterisk-core-sounds-ru-wav missing")
def test_the_real_package_is_split_without_overlap() -> None:
    texts = [one.text for one in prompts.utterances()]
    held = guard.texts([guard.PROMPTS])
    assert len(texts) == 396
    assert not set(texts) & set(held)
