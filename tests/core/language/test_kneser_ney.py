import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruasr_tel.language import arpa
from ruasr_tel.language.kneser_ney import FALLBACK_DISCOUNTS, estimate
from ruasr_tel.language.ngrams import BEGIN, END, UNKNOWN

TEXTS = st.lists(st.lists(st.sampled_from("абвгде"), max_size=7), min_size=1, max_size=20).filter(
    any
)


@settings(deadline=None, max_examples=50)
@given(text=TEXTS, order=st.integers(1, 5), prune=st.sampled_from([(), (0, 1), (0, 0, 2)]))
def test_the_probabilities_after_every_context_sum_to_one(
    text: list[list[str]], order: int, prune: Sequence[int]
) -> None:
    model = estimate(text, order, prune)
    walker = model.walker()
    following = [number for number, word in enumerate(model.words) if word != BEGIN]
    for state in range(model.firsts[-2]):
        total = math.fsum(math.exp(walker.step(state, word)[1]) for word in following)
        assert total == pytest.approx(1.0, abs=1e-4)


class Reference:
    """The same smoothing by its definition: counts in dictionaries, one probability at a time."""

    def __init__(self, text: Sequence[Sequence[str]], order: int) -> None:
        self.order = order
        self.words = {UNKNOWN, END, *(word for sentence in text for word in sentence)}
        self.raw: Counter[tuple[str, ...]] = Counter()
        for sentence in text:
            said = (BEGIN, *sentence, END)
            for n in range(1, order + 1):
                self.raw.update(said[i : i + n] for i in range(len(said) - n + 1))
        before: Counter[tuple[str, ...]] = Counter(gram[1:] for gram in self.raw)
        self.counts = {
            gram: count if len(gram) == order or gram[0] == BEGIN else before[gram]
            for gram, count in self.raw.items()
            if gram != (BEGIN,)
        }

    def discount(self, n: int, count: int) -> float:
        kinds = Counter(value for gram, value in self.counts.items() if len(gram) == n)
        found = list(FALLBACK_DISCOUNTS)
        if all(kinds[k] for k in (1, 2, 3, 4)):
            y = kinds[1] / (kinds[1] + 2 * kinds[2])
            tried = [k - (k + 1) * y * kinds[k + 1] / kinds[k] for k in (1, 2, 3)]
            found = tried if all(0 < d <= k for k, d in enumerate(tried, 1)) else found
        return min(found[min(count, 3) - 1], count)

    def prob(self, context: tuple[str, ...], word: str) -> float:
        after = {g: c for g, c in self.counts.items() if g[:-1] == context}
        lower = self.prob(context[1:], word) if context else 1 / len(self.words)
        if not after:
            return lower
        total, n = sum(after.values()), len(context) + 1
        free = sum(self.discount(n, count) for count in after.values())
        count = after.get((*context, word), 0)
        kept = count - self.discount(n, count) if count else 0
        return (kept + free * lower) / total


@settings(deadline=None, max_examples=30)
@given(text=TEXTS, order=st.integers(1, 4), said=st.lists(st.sampled_from("абвгдщ"), max_size=5))
def test_it_is_modified_kneser_ney(text: list[list[str]], order: int, said: list[str]) -> None:
    reference = Reference(text, order)
    walker = estimate(text, order).walker()
    history, expected = [BEGIN], []
    for word in (*said, END):
        known = word if word in reference.words else UNKNOWN
        context = tuple(history[max(0, len(history) - order + 1) :]) if order > 1 else ()
        expected.append(math.log(reference.prob(context, known)))
        history.append(known)
    assert walker.each(said) == pytest.approx(expected, abs=1e-4)


def test_discounts_are_estimated_where_the_text_allows_it() -> None:
    counts = {"а": 1, "б": 1, "в": 1, "г": 2, "д": 2, "е": 3, "ж": 4}
    text = [[word] for word, count in counts.items() for _ in range(count)]
    walker = estimate(text, 1).walker()
    # 1-grams are the longest here: n1..n4 = 3, 2, 1, 1, and </s> 14 times
    y = 3 / (3 + 2 * 2)
    taken = 3 * (1 - 2 * y * 2 / 3) + 2 * (2 - 3 * y * 1 / 2) + 3 * (3 - 4 * y * 1 / 1)
    expected = taken / 28 / 9 + (2 - (2 - 3 * y * 1 / 2)) / 28
    assert math.exp(walker.each(["г"])[0]) == pytest.approx(expected, rel=1e-5)


def test_pruning_leaves_out_what_is_rare_but_no_word() -> None:
    text = [["а", "б", "в"], ["а", "б", "г"], ["а", "б"]]
    model = estimate(text, 3, (0, 1))
    assert model.counts == (7, 2, 1)  # but for <s> а, а б and <s> а б, all occur once
    assert set("абвг") < set(model.words)


def test_unknown_words_of_the_text_are_one_word() -> None:
    walker = estimate([["а", UNKNOWN], ["б", UNKNOWN], ["а", "в"]], 2).walker()
    state, _ = walker.step(walker.start, walker.ids["а"])
    assert walker.step(state, walker.unknown)[1] > walker.step(state, walker.ids["б"])[1]


@pytest.mark.parametrize("prune", [(1,), (0, 2, 1)])
def test_bad_pruning_is_refused(prune: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="begin with 0 and never fall"):
        estimate([["а"]], 3, prune)


def test_no_word_no_model() -> None:
    with pytest.raises(ValueError, match="no word"):
        estimate([[]], 3)


@settings(deadline=None, max_examples=10)
@given(text=TEXTS, order=st.integers(2, 6), said=st.lists(st.sampled_from("абвгдщ"), max_size=6))
def test_kenlm_reads_the_same_from_it(
    tmp_path_factory: pytest.TempPathFactory, text: list[list[str]], order: int, said: list[str]
) -> None:
    kenlm = pytest.importorskip("kenlm", reason="kenlm is not installed (`make lm` brings it)")
    path: Path = tmp_path_factory.mktemp("kenlm") / "model.arpa"
    model = estimate(text, order)
    arpa.write(model, path)
    scores = [log10 for log10, _, _ in kenlm.Model(str(path)).full_scores(" ".join(said))]
    expected = [log_prob / arpa.LN10 for log_prob in arpa.read(path).walker().each(said)]
    assert scores == pytest.approx(expected, abs=1e-4)
