"""A language model from text: interpolated modified Kneser-Ney smoothing. Pure.

Chen and Goodman, "An Empirical Study of Smoothing Techniques for Language Modeling" (TR-10-98),
section 3, interpolated and laid out with back-off as Heafield et al., "Scalable Modified Kneser-Ney
Language Model Estimation" (ACL 2013) have it, so that lmplz's figures are to be expected.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from ruasr_tel.language.ngrams import BEGIN, END, MARKS, ROOT, Doubles, Ints, NGrams

FALLBACK_DISCOUNTS = (0.5, 1.0, 1.5)
"""Taken off counts of 1, 2 and more where the text is too small or too regular to estimate them:
kenlm lm/builder/lmplz_main.cc, --discount_fallback."""
NEVER = -99.0
"""log10 of a probability of 0, as ARPA files write it for `<s>`."""


@dataclass(frozen=True, slots=True)
class _Order:
    """The n-grams of one length in a text.

    Attributes:
        parents: node of all words but the last.
        words: the last word.
        raw: how often each stands in the text.
        adjusted: that, or in how many different words' company, see `_adjust`.
        suffixes: node of all words but the first.
    """

    parents: Ints
    words: Ints
    raw: Ints
    adjusted: Ints
    suffixes: Ints


def estimate(sentences: Iterable[Sequence[str]], order: int, prune: Sequence[int] = ()) -> NGrams:
    """Return the language model of a text.

    Args:
        sentences: words, each sentence for itself; `<unk>` is a word that the model shall not know.
        order: words of the longest n-grams, at least 1.
        prune: n-grams that occur so often or less are left out, from order 1 on; the last number
            holds for the orders that follow. Never falling, and the first is 0: words are kept.

    Raises:
        ValueError: there is no word, or `prune` is not as it should be.
    """
    limits = [*prune, *[prune[-1] if prune else 0] * order][:order]
    if limits != sorted(limits) or limits[0] != 0:
        raise ValueError(f"the numbers to prune by, {limits}, must begin with 0 and never fall")
    words, text = _numbered(sentences)
    orders = _count(text, len(words), order)
    return _smooth(words, orders, limits)


def _numbered(sentences: Iterable[Sequence[str]]) -> tuple[tuple[str, ...], Ints]:
    """Return the vocabulary, the three marks first, and the text in its ids."""
    ids = {mark: number for number, mark in enumerate(MARKS)}
    begin, end = ids[BEGIN], ids[END]
    text: list[int] = []
    for sentence in sentences:
        text.append(begin)
        text.extend(ids.setdefault(word, len(ids)) for word in sentence)
        text.append(end)
    if len(ids) == len(MARKS):
        raise ValueError("there is no word in this text")
    return tuple(ids), np.array(text, dtype=np.int64)


def _count(text: Ints, size: int, order: int) -> list[_Order]:
    """Return the n-grams of each length, numbered as `NGrams` numbers them."""
    ends = np.flatnonzero(text == MARKS.index(END))
    last = ends[np.searchsorted(ends, np.arange(len(text)))]  # of the sentence each word stands in
    node = text + 1
    raw = np.bincount(text, minlength=size)
    nothing = np.zeros(size, dtype=np.int64)
    orders = [_Order(nothing, np.arange(size), raw, raw, nothing)]
    first = 1 + size
    for length in range(2, order + 1):
        begins = np.flatnonzero(np.arange(len(text)) + length - 1 <= last)
        keys = node[begins] * size + text[begins + length - 1]
        found, where, counts = np.unique(keys, return_inverse=True, return_counts=True)
        suffixes = np.empty(len(found), dtype=np.int64)
        suffixes[where] = node[begins + 1]
        orders.append(_Order(found // size, found % size, counts, counts, suffixes))
        longer = np.full(len(text), -1, dtype=np.int64)
        longer[begins] = first + where
        node, first = longer, first + len(found)
    return _adjust(orders, size)


def _adjust(orders: list[_Order], size: int) -> list[_Order]:
    """Return the orders with adjusted counts (ACL 2013, section 3.2).

    N-grams count once for each different word before them; but the longest, and those that begin a
    sentence, as often as they occur.
    """
    firsts = np.cumsum([1, *(len(one.words) for one in orders)])
    begin = MARKS.index(BEGIN)
    opens = np.arange(size) == begin  # whether an n-gram begins with <s>
    adjusted = []
    for number, (one, longer) in enumerate(pairwise(orders)):
        if number:
            opens = opens[one.parents - firsts[number - 1]]
        company = np.bincount(longer.suffixes - firsts[number], minlength=len(one.words))
        counts = np.where(opens, one.raw, company)
        adjusted.append(_Order(one.parents, one.words, one.raw, counts, one.suffixes))
    return [*adjusted, orders[-1]]


def _smooth(words: tuple[str, ...], orders: Sequence[_Order], limits: Sequence[int]) -> NGrams:
    size = len(words)
    firsts = np.cumsum([1, *(len(one.words) for one in orders)])
    nodes = int(firsts[-1])
    probs: Doubles = np.zeros(nodes)
    gammas: Doubles = np.ones(nodes)
    kept = np.ones(nodes, dtype=np.bool_)
    for number, one in enumerate(orders):
        counts = one.adjusted.copy()
        if number == 0:
            counts[MARKS.index(BEGIN)] = 0  # nothing is before it, so it is never what comes next
        here = slice(firsts[number], firsts[number + 1])
        kept[here] = one.raw > limits[number] if number else True
        discounts = _discounts(counts)[np.minimum(counts, 3)]
        total = np.bincount(one.parents, counts, minlength=nodes)
        taken = np.where(kept[here], np.minimum(discounts, counts), counts)
        seen = total > 0
        free = np.bincount(one.parents, taken, minlength=nodes)
        gammas[seen] = free[seen] / total[seen]
        lower = probs[one.suffixes] if number else np.full(size, 1 / (size - 1))
        probs[here] = (counts - taken) / total[one.parents] + gammas[one.parents] * lower
    return _packed(words, orders, probs, gammas, kept)


def _discounts(counts: Ints) -> Doubles:
    """Return what is taken off counts of 0, 1, 2 and more (TR-10-98, equation 26)."""
    n = [int((counts == count).sum()) for count in (1, 2, 3, 4)]
    if all(n):
        y = n[0] / (n[0] + 2 * n[1])
        found = [k - (k + 1) * y * n[k] / n[k - 1] for k in (1, 2, 3)]
        if all(0 < discount <= k for k, discount in enumerate(found, start=1)):
            return np.array([0.0, *found])
    return np.array([0.0, *FALLBACK_DISCOUNTS])


def _packed(
    words: tuple[str, ...],
    orders: Sequence[_Order],
    probs: Doubles,
    gammas: Doubles,
    kept: npt.NDArray[np.bool_],
) -> NGrams:
    """Return what is kept, numbered anew."""
    numbers = np.cumsum(kept) - 1
    parents = np.concatenate([one.parents for one in orders])
    lasts = np.concatenate([one.words for one in orders])
    suffixes = np.concatenate([one.suffixes for one in orders])
    stays = kept[1:]
    with np.errstate(divide="ignore"):
        log_probs = np.maximum(np.log(probs), NEVER * np.log(10.0))
        backoffs = np.log(gammas)
    begins = np.cumsum([1, *(len(one.words) for one in orders)])
    log_probs[ROOT] = backoffs[ROOT] = 0.0
    log_probs[1 + MARKS.index(BEGIN)] = NEVER * np.log(10.0)
    return NGrams(
        words=words,
        keys=(numbers[parents] * len(words) + lasts)[stays],
        log_probs=log_probs[kept].astype(np.float32),
        backoffs=backoffs[kept].astype(np.float32),
        suffixes=np.concatenate([[0], numbers[suffixes][stays]]),
        firsts=tuple(int(kept[:begin].sum()) for begin in begins),
    )
