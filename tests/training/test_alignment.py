import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.training.alignment import WORST, align


def test_letters_end_with_their_phones() -> None:
    found = align("да нет", ["d", "aa", "nn", "ee", "t"])
    assert found.cost == 0
    assert dict(found.ends) == {0: 1, 1: 2, 3: 3, 4: 4, 5: 5}


def test_signs_are_silent_and_glides_are_extra() -> None:
    found = align("день", ["dd", "ee", "nn"])
    assert found.cost == pytest.approx(0.1 / 4)
    assert found.ends[3] == 3
    assert align("ее", ["j", "ee", "j", "i"]).cost == pytest.approx(0.2)


def test_voicing_is_no_mistake() -> None:
    assert align("год", ["g", "oo", "t"]).cost == 0


def test_another_text_is_not_to_be_trusted() -> None:
    assert align("шесть", ["m", "aa", "l", "a", "k", "oo"]).cost > WORST


@given(
    st.text("абвдежзийклмнопрстуь ", max_size=12),
    st.lists(st.sampled_from(["a", "b", "pau2", "j", "sch", "t"]), max_size=12),
)
@settings(max_examples=40, deadline=None)
def test_every_letter_ends_and_in_order(text: str, phones: list[str]) -> None:
    found = align(text, phones)
    ends = [found.ends[at] for at, letter in enumerate(text) if letter != " "]
    assert ends == sorted(ends)
    assert all(0 <= end <= len(phones) for end in ends)
    assert found.cost >= 0
