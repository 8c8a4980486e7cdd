from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

from models.training import splices  # noqa: E402
from models.training.batches import BLANK, TOKENS, labels_of  # noqa: E402
from models.training.guard import Guard  # noqa: E402
from models.training.shards import Utterance  # noqa: E402
from models.training.splices import Aligned, align, piece, spliced  # noqa: E402

FRAME = 320
TEXT = "первый второй третий"


def scores_of(path: list[int], sure: float = 0.9) -> np.ndarray:
    scores = np.full((len(path), len(TOKENS)), (1 - sure) / (len(TOKENS) - 1), np.float32)
    scores[np.arange(len(path)), path] = sure
    return np.log(scores)


@given(st.lists(st.tuples(st.integers(0, 32), st.integers(1, 4), st.integers(0, 3)), min_size=1))
@settings(max_examples=60, deadline=None)
def test_labels_are_found_where_they_are(drawn: list[tuple[int, int, int]]) -> None:
    path = [BLANK]
    labels: list[int] = []
    middles: list[float] = []
    for label, frames, blanks in drawn:
        if labels and label == labels[-1] and path[-1] == label:
            path.append(BLANK)
        middles.append(len(path) + (frames - 1) / 2)
        path += [label] * frames + [BLANK] * blanks
        labels.append(label)
    found = align(scores_of(path), labels)
    assert found is not None
    np.testing.assert_allclose(found, middles)


def test_too_few_frames_have_no_alignment() -> None:
    assert align(scores_of([3, 3]), [3, 3]) is None
    assert align(scores_of([3, 5]), [3, 5, 7]) is None
    found = align(scores_of([3, BLANK, 3]), [3, 3])
    assert found is not None
    assert found.tolist() == [0, 2]


def recording(seed: int = 0, text: str = TEXT) -> Aligned:
    """Return a recording that says in its samples which letter it is at, quiet between words."""
    rng = np.random.default_rng(seed)
    sounds = []
    for number, letter in enumerate(text):
        loud = 0 if letter == " " else 1000
        sounds.append(rng.integers(0, 50, FRAME) + loud + number)
    samples = np.concatenate(sounds).astype(np.int16)
    at = np.arange(len(text)) * FRAME + FRAME // 2
    return Aligned(Utterance(samples, text, "one"), at)


@given(st.integers(0, 2**32))
@settings(max_examples=100, deadline=None)
def test_a_piece_is_what_its_text_says(seed: int) -> None:
    one = recording()
    sound, text = piece(one, np.random.default_rng(seed))
    assert text in TEXT
    assert text.strip() == text != ""
    begin = TEXT.index(text)
    first, last = begin * FRAME, (begin + len(text)) * FRAME
    start = next(
        at for at in range(len(one.utterance.samples))
        if np.array_equal(one.utterance.samples[at : at + len(sound)], sound)
    )  # fmt: skip
    assert first - FRAME <= start <= first + FRAME  # never beyond the neighbouring letters
    assert last - FRAME <= start + len(sound) <= last + FRAME


def test_words_are_cut_where_it_is_quiet() -> None:
    one = recording()
    space = TEXT.index(" ")
    for letter in (space, space + 1):
        assert space * FRAME <= splices._cut(one, letter) <= (space + 1) * FRAME


def test_utterances_follow_the_seed_and_keep_out_what_is_held_out() -> None:
    recordings = [recording(at) for at in range(3)]
    first = list(islice(spliced(recordings, Guard([]), 1), 20))
    again = list(islice(spliced(recordings, Guard([]), 1), 20))
    other = list(islice(spliced(recordings, Guard([]), 2), 20))
    assert [one.text for one in first] == [one.text for one in again]
    assert [one.text for one in first] != [one.text for one in other]
    held_out = Guard([one.text for one in first])
    kept = list(islice(spliced(recordings, held_out, 1), 20))
    assert not {one.text for one in kept} & {one.text for one in first}
    for one in first:
        assert 1.5 <= len(one.samples) / 8000 < 6 + 3
        assert one.samples.dtype == np.int16
        assert labels_of(one.text)
        assert one.voice == "one"
