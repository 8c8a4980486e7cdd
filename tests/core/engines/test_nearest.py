import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruasr_tel.engines.base import DecodeOptions, Hypothesis
from ruasr_tel.engines.nearest import keep_to_list

LIST = ("один", "два", "три", "двадцать один", "Ещё раз")
WORDS = st.sampled_from(["один", "адин", "двадцать", "два", "собака", "еще", "раз", "тр"])


def heard(text: str, *, timed: bool = True) -> Hypothesis:
    tokens = tuple(f" {word}" for word in text.split())
    if not timed:
        return Hypothesis(text)
    return Hypothesis(text, tokens, tuple(map(float, range(len(tokens)))), (-0.5,) * len(tokens))


def closed(*phrases: str) -> DecodeOptions:
    return DecodeOptions(phrases=phrases, closed=True)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("адин", "один"),
        ("двацать адин", "двадцать один"),
        ("адин дфа три", "один два три"),
        ("еще рас один", "Ещё раз один"),
        ("о дин", "один"),
        ("", ""),
    ],
)
def test_the_nearest_phrases_are_heard(text: str, expected: str) -> None:
    found = keep_to_list(heard(text), closed(*LIST))
    assert found.text == expected
    assert "".join(found.tokens).strip() == expected
    assert found.match is not None
    assert found.match > 0.6


def test_what_is_far_from_all_is_unk_where_that_is_allowed() -> None:
    mixed = keep_to_list(heard("собака лает два окно"), closed(*LIST, "[unk]"))
    assert mixed.text == "[unk] два [unk]"
    assert mixed.starts_s == (0.0, 2.0, 3.0)
    assert mixed.log_probs == (-0.5,) * 3
    assert mixed.match is not None
    assert mixed.match < 0.5


@settings(deadline=None)
@given(words=st.lists(WORDS, max_size=6), unknown=st.booleans(), timed=st.booleans())
def test_nothing_but_the_list_comes_out(words: list[str], unknown: bool, timed: bool) -> None:
    options = closed(*LIST, *(["[unk]"] if unknown else []))
    found = keep_to_list(heard(" ".join(words), timed=timed), options)
    left = f" {found.text} "
    for phrase in sorted(options.phrases, key=len, reverse=True):
        while f" {phrase} " in left:
            left = left.replace(f" {phrase} ", "  ")
    assert left.strip() == ""
    assert found.match is not None
    assert 0 <= found.match <= 1
    assert len(found.tokens) == len(found.starts_s) == (len(found.text.split()) if timed else 0)


def test_an_empty_list_hears_nothing() -> None:
    found = keep_to_list(heard("да"), closed("..."))
    assert (found.text, found.tokens, found.match) == ("", (), 0.0)


def test_punctuation_shifts_no_times() -> None:
    tokens = ("▁—", "▁один", "-", "два", ",", "▁три", ".")
    said = Hypothesis("— один-два, три.", tokens, tuple(map(float, range(7))), (-0.5,) * 7)
    found = keep_to_list(said, closed(*LIST))
    assert (found.text, found.starts_s) == ("один два три", (1.0, 3.0, 5.0))
