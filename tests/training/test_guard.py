from pathlib import Path

import pytest

from models.training import guard
from models.training.guard import FESTVOX, PROMPTS, Guard
from models.training.russian import clean
from ruasr_tel.errors import ConfigError


def test_the_manifests_hold_clean_sentences() -> None:
    assert len(guard.rows([PROMPTS])) == 125
    assert len(guard.rows([FESTVOX])) == 93
    assert all(text == clean(text) for _, text in guard.rows(guard.MANIFESTS))


def test_the_sentences_of_the_unseen_voice_are_kept_out_too() -> None:
    assert len(set(guard.unseen())) == 120
    assert all(text == clean(text) for text in guard.unseen())
    assert set(guard.everything()) == {*guard.texts(), *guard.unseen()}


def test_recordings_are_named_once() -> None:
    assert len(guard.recordings(FESTVOX)) == 93
    assert {"ru_0064", "ru_0076"} <= guard.recordings(FESTVOX)


def test_a_held_out_sentence_is_forbidden() -> None:
    kept_out = Guard(["вчера", "на данный момент все линии заняты"])
    assert kept_out.forbids("вчера")
    assert kept_out.forbids("на данный момент все линии заняты")


def test_a_longer_one_is_forbidden_inside_others_too() -> None:
    kept_out = Guard(["вчера", "на данный момент все линии заняты"])
    assert kept_out.forbids("алло на данный момент все линии заняты увы")
    assert not kept_out.forbids("это было вчера вечером")
    assert not kept_out.forbids("на данный момент все линии заняты" + "ми")


@pytest.mark.parametrize("line", ["a.wav", "a.wav\t ", "a.wav без табуляции"])
def test_a_wrong_line_is_named(tmp_path: Path, line: str) -> None:
    manifest = tmp_path / "held.tsv"
    manifest.write_text(f"ok.wav\tда\n{line}\n", "utf-8")
    with pytest.raises(ConfigError) as caught:
        guard.texts([manifest])
    assert str(caught.value) == f"{manifest}, line 2: expected file, tab, transcript"


def test_a_missing_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"held-out manifest .*nothing\.tsv cannot be read"):
        guard.texts([tmp_path / "nothing.tsv"])
