"""Which tokens make a word. Pure."""

from collections.abc import Sequence

from ruasr_tel.engines.base import Hypothesis
from ruasr_tel.engines.phrases import fold

_SPACES = " ▁"


def spans(tokens: Sequence[str]) -> list[list[int]]:
    """Return of each word the indices of its tokens; lone space tokens belong to none.

    Args:
        tokens: as in `Hypothesis.tokens`: a token that begins a word starts with a space or `▁`, or
            is preceded by a lone space token.
    """
    spelled: list[list[int]] = []
    begins = True
    for i, token in enumerate(tokens):
        begins = begins or token[:1] in _SPACES
        if not token.strip(_SPACES):
            continue
        if begins:
            spelled.append([])
        spelled[-1].append(i)
        begins = False
    return spelled


def folded(tokens: Sequence[str]) -> list[tuple[str, list[int]]]:
    """Return each folded word with the indices of its tokens.

    What is no letter ends a word, so `кто-то` is two and a lone dash is none; words within one
    token share it.

    Args:
        tokens: as in `spans`.
    """
    plain = [fold(token) for token in tokens]
    return [
        (word, span) for span in spans(plain) for word in "".join(plain[i] for i in span).split()
    ]


def letters(token: str) -> str:
    """Return a token without the sign that it begins a word."""
    return token.strip(_SPACES)


def mean_log_prob(hypothesis: Hypothesis, span: Sequence[int]) -> float:
    """Return the mean natural log probability of one word's tokens; 0 where there are none."""
    if hypothesis.log_probs is None:
        return 0.0
    return sum(hypothesis.log_probs[i] for i in span) / len(span)
