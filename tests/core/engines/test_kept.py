from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ruasr_tel.engines.base import DecodeOptions
from ruasr_tel.engines.kept import KeptLists


def words(count: int, first: str = "а") -> DecodeOptions:
    return DecodeOptions(phrases=(first, *map(str, range(count - 1))))


def test_a_list_is_made_once_however_many_readings_are_wanted() -> None:
    made: list[DecodeOptions] = []
    lists = KeptLists(made.append)
    for options in (words(2), replace(words(2), alternatives=4, patient=True), words(2)):
        lists.get(options)
    assert made == [words(2)]
    others = [replace(words(2), closed=True), replace(words(2), boost=3.0)]
    others.append(replace(words(2), lm="none"))
    for options in others * 2:
        lists.get(options)
    assert made == [words(2), *others]


def test_old_lists_make_room_for_new_ones() -> None:
    made: list[str] = []
    lists = KeptLists(lambda options: made.append(options.phrases[0]), most=4)
    for first in "ааабабввввба":
        lists.get(words(2, first))
    assert "".join(made) == "абвба"
    lists.get(words(9, "г"))  # alone it is more than may be kept, but it is wanted
    lists.get(words(9, "г"))
    lists.get(words(1, "д"))
    assert "".join(made) == "абвбагд"


def test_lists_without_phrases_take_room_too() -> None:
    made: list[float] = []
    lists = KeptLists(lambda options: made.append(options.boost), most=2)
    for boost in (1.0, 2.0, 1.0, 3.0, 1.0):
        lists.get(DecodeOptions(boost=boost))
    assert made == [1.0, 2.0, 3.0, 1.0]


@given(st.lists(st.tuples(st.sampled_from("абвгд"), st.integers(1, 6)), max_size=30))
def test_no_more_phrases_are_kept_than_may_be(asked: list[tuple[str, int]]) -> None:
    lists = KeptLists(Made, most=10)
    Made.alive = 0
    for first, count in asked:
        lists.get(words(count, first))
        assert Made.alive <= 10


class Made:
    """Counts the phrases of those that somebody still holds."""

    alive = 0

    def __init__(self, options: DecodeOptions) -> None:
        self.phrases = len(options.phrases)
        Made.alive += self.phrases

    def __del__(self) -> None:
        Made.alive -= self.phrases
