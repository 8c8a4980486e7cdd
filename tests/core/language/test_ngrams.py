import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruasr_tel.language.kneser_ney import estimate
from ruasr_tel.language.ngrams import BEGIN, END, ROOT, UNKNOWN, NGrams

TEXTS = st.lists(st.lists(st.sampled_from("абвг"), max_size=6), min_size=1, max_size=12).filter(any)


def context_of(model: NGrams, node: int) -> list[str]:
    """The words of a node, by its key."""
    found: list[str] = []
    while node != ROOT:
        node, word = divmod(int(model.keys[node - 1]), len(model.words))
        found.insert(0, model.words[word])
    return found


@settings(deadline=None)
@given(text=TEXTS, order=st.integers(1, 4))
def test_a_step_takes_the_longest_known_context_and_pays_for_a_shorter_one(
    text: list[list[str]], order: int
) -> None:
    model = estimate(text, order)
    nodes = {tuple(context_of(model, node)): node for node in range(model.firsts[-1])}
    walker = model.walker()

    def log_prob(words: tuple[str, ...]) -> float:
        if words in nodes:
            return float(model.log_probs[nodes[words]])
        backoff = model.backoffs[nodes[words[:-1]]] if words[:-1] in nodes else 0.0
        return float(backoff) + log_prob(words[1:])

    for sentence in ["абвг", "гг", "вабба", ""]:
        said = [BEGIN, *sentence, END]
        expected = [
            log_prob(
                tuple(
                    word if (word,) in nodes else UNKNOWN
                    for word in said[max(0, i - order + 1) : i + 1]
                )
            )
            for i in range(1, len(said))
        ]
        assert walker.each(sentence) == pytest.approx(expected, abs=1e-4)
        assert walker.log_prob(sentence) == pytest.approx(sum(expected), abs=1e-3)


def test_states_forget_what_does_not_matter_any_more() -> None:
    walker = estimate([["а", "б", "а"], ["б", "б"]], 2).walker()
    after, _ = walker.step(walker.start, walker.ids["б"])
    also, _ = walker.step(after, walker.ids["б"])
    assert after == also == 1 + walker.ids["б"]
    assert 0 <= after < walker.states


def test_a_sentence_is_as_probable_as_its_words_together() -> None:
    walker = estimate([["а"]] * 3 + [["б"]], 1).walker()
    assert walker.log_prob(["а"]) > walker.log_prob(["б"]) > walker.log_prob(["щ"])
    assert sum(map(math.exp, walker.each(["а"]))) < 2
