import pytest

from ruasr_tel.events import Word
from ruasr_tel.recordings.model import Segment
from ruasr_tel.recordings.words import spread, timed_words


def test_words_are_as_long_as_their_share_of_the_letters() -> None:
    assert spread("да хорошо", 1.0, 3.0) == (
        Word("да", 1.0, 1.5, None),
        Word("хорошо", 1.5, 3.0, None),
    )


@pytest.mark.parametrize("text", ["", "  "])
def test_no_text_has_no_words(text: str) -> None:
    assert spread(text, 1.0, 2.0) == ()


def test_the_engine_s_times_come_first() -> None:
    word = Word("да", 1.2, 1.4, 0.9)
    assert timed_words(Segment(0, 1.0, 2.0, "да", (word,))) == (word,)
    assert timed_words(Segment(0, 1.0, 2.0, "да")) == (Word("да", 1.0, 2.0, None),)
