from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.training import festvox, guard
from models.training.festvox import Cut, Phone, find_cuts, phrases, read_labels
from ruasr_tel.errors import ConfigError

LABELS = """#
0.20000 125 pau
0.30000 125 d
0.50000 125 aa
0.60000 125 pau
0.80000 125 pau
0.90000 125 nn
1.00000 125 ee
1.25000 125 t
1.50000 125 pau
"""


@pytest.fixture
def phones(tmp_path: Path) -> list[Phone]:
    path = tmp_path / "a.lab"
    path.write_text(LABELS, "utf-8")
    return read_labels(path)


def test_labels_have_starts_and_ends(phones: list[Phone]) -> None:
    assert phones[0] == Phone(0.0, 0.2, "pau")
    assert phones[1] == Phone(0.2, 0.3, "d")
    assert phones[-1] == Phone(1.25, 1.5, "pau")


def test_a_pause_between_words_is_a_cut_in_its_middle(phones: list[Phone]) -> None:
    assert find_cuts("да нет", phones, 12000) == [Cut(0, 0), Cut(3, 5200), Cut(7, 12000)]


def test_a_pause_inside_a_word_is_none(phones: list[Phone]) -> None:
    assert find_cuts("данет", phones, 12000) == [Cut(0, 0), Cut(6, 12000)]


def test_a_text_that_does_not_fit_is_not_cut(phones: list[Phone]) -> None:
    assert find_cuts("шш жжжжж", phones, 12000) == [Cut(0, 0), Cut(9, 12000)]


@given(st.lists(st.integers(2000, 40000), min_size=1, max_size=7))
@settings(deadline=None)
def test_phrases_are_stretches_with_their_words(lengths: list[int]) -> None:
    words = [f"{'абвгдежз'[at]}" for at in range(len(lengths))]
    text, ends = " ".join(words), np.cumsum(lengths)
    cuts = [Cut(0, 0), *(Cut(2 * (at + 1), int(end)) for at, end in enumerate(ends))]
    audio = np.repeat(np.arange(len(lengths), dtype=np.int16), lengths)
    found = list(phrases(audio, text, cuts))
    stretches = [(one.text, len(one.samples)) for one in found]
    assert len(set(stretches)) == len(stretches)
    for one in found:
        first, last = int(one.samples[0]), int(one.samples[-1])
        assert one.text == " ".join(words[first : last + 1])
        assert len(one.samples) == sum(lengths[first : last + 1])
        assert 0.5 < len(one.samples) / 8000 < 12


def test_a_missing_voice_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="install Debian's festvox-ru"):
        festvox.sentences(tmp_path)


@pytest.mark.skipif(not festvox.VOICE.is_dir(), reason="festvox-ru missing")
def test_held_out_sentences_are_those_of_their_recordings() -> None:
    listed = festvox.sentences()
    for audio, text in guard.rows([guard.FESTVOX]):
        assert listed[Path(audio).stem] == text
    rest = {text for name, text in listed.items() if name not in guard.recordings(guard.FESTVOX)}
    assert not rest & set(guard.texts([guard.FESTVOX]))
