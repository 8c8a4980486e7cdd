"""Decoder of CTC posteriors with phrases, closed lists, language models and alternatives.

What is plain stays greedy; only a caller who asks for more pays for the search.
"""

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ruasr_tel.engines import words
from ruasr_tel.engines.base import DecodeOptions, Hypothesis
from ruasr_tel.engines.ctc import GreedyCtc, LogProbs, Posteriors, Vocabulary
from ruasr_tel.engines.ctc_score import align, log_probabilities
from ruasr_tel.engines.ctc_search import LED_WIDTH, WIDTH, BeamSearch, Reading, Steps
from ruasr_tel.engines.kept import KeptLists
from ruasr_tel.engines.language import LanguageModel, laid_together, listed_words
from ruasr_tel.engines.phrases import Guide, OnlyThese, Preferred, clean, fold, unspellable
from ruasr_tel.engines.prepare import UNKNOWN

ALTERNATIVES_MAX = 10
CLOSED_WIDTH = 48
"""Prefixes kept in a closed search, where unlikely ways must stay open to the end (our choice)."""
MATCH_MIN = 0.3
"""With `[unk]` in a closed list, what fits worse is something else: 80 % of 126 real prompts fit
their list better, 99 % of 785 fit a wrong one worse (docs/adr/0015)."""
KNOWN_BONUS = 1.0
"""Natural log that a letter of the list gains beside `[unk]`: finds 47 of 47 words in 41 prompts,
with 9 false ones; 0.5 finds 46, 3 has 24 false ones (docs/adr/0015)."""


@dataclass(frozen=True, slots=True)
class _Said:
    """A reading with its exact score.

    Attributes:
        ids: token ids.
        text: what they spell.
        score: natural log probability of the text, and what its phrases add.
        gain: what its phrases add.
    """

    ids: tuple[int, ...]
    text: str
    score: float
    gain: float


@dataclass(frozen=True, slots=True)
class _List:
    """A phrase list made ready.

    Attributes:
        spelling: folded phrase -> as its owner writes it.
        preferred: lends its phrases a bonus.
        loose: the search with that, and with the language models if the list is not closed.
        start: its state before the first letter.
        only: allows nothing else; None if the list is not closed, or empty.
        strict: the search with that.
    """

    spelling: dict[str, str]
    preferred: Preferred
    loose: BeamSearch
    start: int
    only: OnlyThese | None = None
    strict: BeamSearch | None = None

    @property
    def words(self) -> dict[str, str]:
        """Folded word -> as the owner of the list writes it."""
        return {
            word: written
            for phrase, owner in self.spelling.items()
            for word, written in zip(phrase.split(), owner.split(), strict=True)
        }


class BeamCtc:
    """A `CtcDecoder` by prefix beam search; thread-safe.

    Args:
        vocabulary: of the network.
        languages: language models by what `DecodeOptions.lm` calls them. A closed list is decoded
            without any.
        lm: which of them are used unless a caller asks for others; empty: none.
        width: prefixes kept in a search that language models lead.
    """

    hotwords = True
    closed_lists = True
    alternatives = ALTERNATIVES_MAX

    def __init__(
        self,
        vocabulary: Vocabulary,
        languages: Mapping[str, Sequence[LanguageModel]] | None = None,
        lm: str = "",
        width: int = LED_WIDTH,
    ) -> None:
        self.lm = lm
        self._vocabulary = vocabulary
        self._languages = languages or {}
        self._width = width
        self._greedy = GreedyCtc(vocabulary)
        # One of each for all lists: callers may bring thousands of short ones.
        self._letters = [fold(symbol) for symbol in vocabulary.symbols]
        self._steps = Steps()
        self._free = self._search()
        self._lists = KeptLists(self._compile)

    def is_plain(self, options: DecodeOptions) -> bool:
        """Return whether all that is asked for is the best symbol of every frame."""
        return not (options.phrases or options.alternatives > 1 or self._models(options))

    def decode(self, posteriors: Posteriors, options: DecodeOptions) -> Hypothesis:
        """Return what was said, by what `options` ask for.

        A closed list allows its phrases one after another; a phrase with a letter that the model
        does not have is left out, which is said on stderr, once.
        """
        if self.is_plain(options):
            return self._greedy.decode(posteriors, options)
        if options.phrases and options.closed:
            return self._closed(posteriors, options)
        return self._open(posteriors, options, self._lists.get(options))

    def _search(
        self, guide: Guide | None = None, *, closed: bool = False, width: int = WIDTH
    ) -> BeamSearch:
        blank, steps = self._vocabulary.blank, self._steps
        return BeamSearch(self._letters, blank, guide, closed=closed, width=width, steps=steps)

    def _models(self, options: DecodeOptions) -> Sequence[LanguageModel]:
        return self._languages.get(options.lm or self.lm, ())

    def _open(self, posteriors: Posteriors, options: DecodeOptions, listed: _List) -> Hypothesis:
        readings = listed.loose.run(posteriors.log_probs, listed.start)
        said = self._exact(posteriors.log_probs, readings)
        most = min(options.alternatives, ALTERNATIVES_MAX)
        return _together([self._hypothesis(posteriors, one) for one in said[:most]], options)

    def _closed(self, posteriors: Posteriors, options: DecodeOptions) -> Hypothesis:
        listed = self._lists.get(options)
        log_probs = posteriors.log_probs
        (free, *_) = self._exact(log_probs, self._free.run(log_probs)[:4])
        said = self._exact(log_probs, listed.strict.run(log_probs)) if listed.strict else []
        found = [self._of_list(posteriors, one, listed) for one in said]
        match = _match(said, free)
        if UNKNOWN in map(str.strip, options.phrases) and match < MATCH_MIN:
            loose = self._exact(log_probs, listed.loose.run(log_probs, listed.start))
            found = [self._with_unknown(posteriors, one, listed) for one in loose]
        return replace(_together(found, options), match=match)

    def _exact(self, log_probs: LogProbs, readings: Sequence[Reading]) -> list[_Said]:
        """Return the readings by text, each with its probability over all alignments, best first.

        Token sequences that differ in spaces only, or in how a word is cut into pieces, are one.
        """
        scores = log_probabilities(log_probs, [one.ids for one in readings], self._vocabulary.blank)
        found: dict[str, _Said] = {}
        for reading, score in zip(readings, scores.tolist(), strict=True):
            text = self._text(reading.ids)
            total = score + reading.gain
            known = found.get(text)
            if known is None:
                found[text] = _Said(reading.ids, text, total, reading.gain)
            else:
                found[text] = replace(known, score=float(np.logaddexp(known.score, total)))
        return sorted(found.values(), key=lambda one: one.score, reverse=True)

    def _text(self, ids: Iterable[int]) -> str:
        return self._vocabulary.text([self._vocabulary.symbols[i] for i in ids])

    def _hypothesis(self, posteriors: Posteriors, said: _Said) -> Hypothesis:
        aligned = align(posteriors.log_probs, said.ids, self._vocabulary.blank)
        return Hypothesis(
            text=said.text,
            tokens=tuple(self._vocabulary.symbols[i] for i in said.ids),
            starts_s=tuple(start * posteriors.frame_s for start in aligned.starts),
            log_probs=aligned.log_probs,
            score=said.score,
        )

    def _of_list(self, posteriors: Posteriors, said: _Said, listed: _List) -> Hypothesis:
        """Return a reading as the list's owner spells it."""
        assert listed.only is not None
        phrases = listed.only.split(fold(said.text)) or []
        spelled = " ".join(listed.spelling[phrase] for phrase in phrases)
        hypothesis = self._hypothesis(posteriors, said)
        return replace(hypothesis, text=spelled, tokens=_respell(hypothesis.tokens, spelled))

    def _with_unknown(self, posteriors: Posteriors, said: _Said, listed: _List) -> Hypothesis:
        """Return a reading with one `[unk]` for every run of words outside the list."""
        hypothesis = self._hypothesis(posteriors, said)
        spoken = words.folded(hypothesis.tokens)
        known = listed.preferred.covered(" ".join(word for word, _ in spoken))
        parts: list[tuple[str, float, float]] = []
        for (word, span), is_known in zip(spoken, known, strict=True):
            shown = listed.words[word] if is_known else UNKNOWN
            if shown != UNKNOWN or not parts or parts[-1][0] != UNKNOWN:
                start_s = hypothesis.starts_s[span[0]]
                parts.append((shown, start_s, words.mean_log_prob(hypothesis, span)))
        return replace(
            hypothesis,
            text=" ".join(text for text, _, _ in parts),
            tokens=tuple(f" {text}" for text, _, _ in parts),
            starts_s=tuple(start_s for _, start_s, _ in parts),
            log_probs=tuple(mean for _, _, mean in parts),
        )

    def _compile(self, options: DecodeOptions) -> _List:
        spelling = clean(options.phrases)
        symbols, blank = self._vocabulary.symbols, self._vocabulary.blank
        for phrase in unspellable(spelling, (s for i, s in enumerate(symbols) if i != blank)):
            written = spelling.pop(phrase)
            sys.stderr.write(f"phrase left out, the model has not all its letters: {written}\n")
        bonus = KNOWN_BONUS if options.closed else options.boost
        preferred = Preferred(spelling, bonus / self._letters_per_token())
        if not options.closed:
            models = [one.guide(listed_words(spelling)) for one in self._models(options)]
            guide = laid_together([*([preferred] if spelling else []), *models])
            width = self._width if models else WIDTH
            led = self._search(guide, width=width)
            return _List(spelling, preferred, led, guide.start)
        loose = self._search(preferred)
        if not spelling:
            return _List(spelling, preferred, loose, preferred.start)
        only = OnlyThese(list(spelling), math.log(len(spelling) + 1))
        strict = self._search(only, closed=True, width=CLOSED_WIDTH)
        return _List(spelling, preferred, loose, preferred.start, only, strict)

    def _letters_per_token(self) -> float:
        lengths = [len(one.strip()) for one in self._letters]
        counted = [length for length in lengths if length] or [1]
        return sum(counted) / len(counted)


def _match(said: Sequence[_Said], free: _Said) -> float:
    """Return how probable the best of a list is beside the best of all texts, per letter, 0..1.

    An empty list fits where nothing was said.
    """
    if not said:
        return float(not free.text)
    best = said[0]
    letters = max(len(best.text), len(free.text), 1)
    return math.exp(min(0.0, (best.score - best.gain - free.score) / letters))


def _together(found: Sequence[Hypothesis], options: DecodeOptions) -> Hypothesis:
    """Return the best of several readings, with the others if they were asked for."""
    distinct: dict[str, Hypothesis] = {}
    for one in found:
        distinct.setdefault(one.text, one)
    if not distinct:
        return Hypothesis("", log_probs=())
    best, *others = distinct.values()
    most = min(options.alternatives, ALTERNATIVES_MAX)
    return replace(best, alternatives=tuple(others[: most - 1]))


def _respell(tokens: Sequence[str], text: str) -> tuple[str, ...]:
    """Return tokens with the letters of `text`, which are the same but for their spelling.

    Punctuation, which a list has none of, becomes a space.
    """
    letters = iter(text.replace(" ", ""))

    def respelled(char: str) -> str:
        if char.isalnum():
            return next(letters)
        return char if char == "▁" else " "

    return tuple("".join(map(respelled, token)) for token in tokens)
