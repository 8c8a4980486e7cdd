import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruasr_tel.engines import language
from ruasr_tel.engines.base import DecodeOptions, EngineSpec
from ruasr_tel.engines.ctc import Posteriors, Vocabulary
from ruasr_tel.engines.ctc_beam import BeamCtc
from ruasr_tel.engines.ctc_search import BeamSearch
from ruasr_tel.engines.language import CountedGuide, LanguageModel, Together, laid_together
from ruasr_tel.engines.phrases import Preferred
from ruasr_tel.errors import ModelLoadError
from ruasr_tel.language import arpa
from ruasr_tel.language.kneser_ney import estimate
from ruasr_tel.language.ngrams import Walker
from ruasr_tel.language.text import Kind, units

SYMBOLS = (" ", "а", "б", "в", "<blk>")
VOCABULARY = Vocabulary(SYMBOLS, 4)
TEXT = ["аб ба аб", "ба вв", "аб ба аб вв", "в аб"]
WEIGHT, BONUS = 0.5, 0.7
SPOKEN = st.lists(st.text("абв", min_size=1, max_size=4), max_size=4).map(" ".join)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lm")
    for kind in Kind:
        model = estimate([units(sentence, kind) for sentence in TEXT], 3)
        arpa.write(model, folder / f"{kind.value}.arpa.gz")
    return folder


def loaded(folder: Path, lm: str, symbols: Sequence[str] = SYMBOLS[:-1]) -> list[LanguageModel]:
    spec = EngineSpec("onnx", "toy", options=language.options(lm, {}, 8))
    return language.load_all(spec, symbols)[lm]


def walker(folder: Path, kind: Kind) -> Walker:
    return arpa.read(folder / f"{kind.value}.arpa.gz").walker()


def gain_of(guide: CountedGuide, text: str) -> float:
    state, total = guide.start, 0.0
    for letter in text:
        assert 0 <= state < guide.states
        step = guide.step(state, letter)
        assert step is not None
        state, total = step[0], total + step[1]
    last = guide.finish(state)
    assert last is not None
    return total + last


@given(text=SPOKEN)
def test_letters_gain_their_probability_and_a_bonus_each(folder: Path, text: str) -> None:
    (model,) = loaded(folder, f"{folder}/char.arpa.gz:{WEIGHT}:{BONUS}")
    expected = WEIGHT * walker(folder, Kind.CHAR).log_prob(units(text, Kind.CHAR))
    assert gain_of(model.guide(), text) == pytest.approx(expected + BONUS * len(text), abs=1e-4)


@given(words=st.lists(st.sampled_from(["аб", "ба", "вв", "в"]), max_size=5))
def test_words_gain_their_probability_and_a_bonus_each(folder: Path, words: list[str]) -> None:
    (model,) = loaded(folder, f"{folder}/word.arpa.gz:{WEIGHT}:{BONUS}")
    expected = WEIGHT * walker(folder, Kind.WORD).log_prob(words) + BONUS * len(words)
    assert gain_of(model.guide(), " ".join(words)) == pytest.approx(expected, abs=1e-4)
    spaced = " " + "  ".join(words) + " "
    assert gain_of(model.guide(), spaced) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("word", "listed", "log_prob"),
    [
        ("абв", (), language.OUTSIDE + language.OUTSIDE_LETTER),
        ("бв", (), language.OUTSIDE + language.OUTSIDE_LETTER),
        ("бвв", (), language.OUTSIDE + 2 * language.OUTSIDE_LETTER),
        ("а", (), language.OUTSIDE),
        ("ббб", ("ббб",), language.LISTED),
        ("бб", ("ббб",), language.OUTSIDE),
    ],
)
def test_a_word_outside_the_vocabulary_costs_unless_it_is_listed(
    folder: Path, word: str, listed: tuple[str, ...], log_prob: float
) -> None:
    (model,) = loaded(folder, f"{folder}/word.arpa.gz:1:0")
    words = walker(folder, Kind.WORD)
    state, _ = words.step(words.start, words.unknown)
    expected = log_prob + words.step(state, words.end)[1]
    assert gain_of(model.guide(listed), word) == pytest.approx(expected, abs=1e-4)


@given(text=SPOKEN)
def test_several_guides_add_up(folder: Path, text: str) -> None:
    models = loaded(folder, f"{folder}/word.arpa.gz + {folder}/char.arpa.gz")
    guides: list[CountedGuide] = [one.guide() for one in models]
    guides.append(Preferred(["аб ба"], 1.0))
    expected = sum(gain_of(guide, text) for guide in guides)
    assert gain_of(laid_together(guides), text) == pytest.approx(expected, abs=1e-4)


def test_what_one_guide_forbids_is_forbidden(folder: Path) -> None:
    class Silent:
        start, states = 0, 1

        def step(self, state: int, letter: str) -> None:
            return None

        def finish(self, state: int) -> None:
            return None

    guide = Together(Preferred(["а"], 1.0), Silent())
    assert guide.step(guide.start, "а") is None
    assert guide.finish(guide.start) is None


def test_no_guide_adds_nothing() -> None:
    assert gain_of(laid_together([]), "аб в") == 0.0


@settings(deadline=None, max_examples=30)
@given(
    rows=st.lists(st.lists(st.floats(-3, 0), min_size=5, max_size=5), min_size=1, max_size=4),
    kind=st.sampled_from(Kind),
)
def test_a_wide_search_ranks_by_sound_and_language(
    folder: Path, rows: list[list[float]], kind: Kind
) -> None:
    values = np.array(rows)
    log_probs = (values - np.log(np.exp(values).sum(axis=1, keepdims=True))).astype(np.float32)
    (model,) = loaded(folder, f"{folder}/{kind.value}.arpa.gz:{WEIGHT}:{BONUS}")
    guide = model.guide()
    free = {one.ids: one for one in BeamSearch(SYMBOLS, 4, width=10**4).run(log_probs)}
    led = BeamSearch(SYMBOLS, 4, guide, width=10**4).run(log_probs, guide.start)
    assert {one.ids for one in led} == set(free)
    for one in led:
        text = "".join(SYMBOLS[i] for i in one.ids)
        assert one.log_prob == pytest.approx(free[one.ids].log_prob, abs=1e-4)
        assert one.gain == pytest.approx(gain_of(guide, text), abs=1e-3)


def heard(*frames: str) -> Posteriors:
    """Frames that say one or two letters, nearly alike likely, the first a little more."""
    rows = np.full((len(frames), len(SYMBOLS)), 1e-5)
    for row, letters in zip(rows, frames, strict=True):
        for i, letter in enumerate(letters):
            row[SYMBOLS.index(letter if letter != "-" else "<blk>")] = 0.5 - 0.1 * i
    rows /= rows.sum(axis=1, keepdims=True)
    return Posteriors(np.log(rows).astype(np.float32), 0.04)


def decoder(folder: Path, kind: str, width: int = 8) -> BeamCtc:
    lm = f"{folder}/{kind}.arpa.gz:1:0.5"
    return BeamCtc(VOCABULARY, {lm: loaded(folder, lm)}, lm, width)


@pytest.mark.parametrize("kind", ["word", "char"])
def test_the_language_decides_where_the_sound_does_not(folder: Path, kind: str) -> None:
    posteriors = heard("а", "вб", "-", " ", "б", "а")
    found = decoder(folder, kind).decode(posteriors, DecodeOptions())
    assert found.text == "аб ба"
    assert decoder(folder, kind).decode(posteriors, DecodeOptions(lm="none")).text == "ав ба"


def test_times_and_probabilities_stay_those_of_the_sound(folder: Path) -> None:
    posteriors = heard("а", "вб", "-", " ", "б", "а")
    found = decoder(folder, "word").decode(posteriors, DecodeOptions())
    assert found.tokens == ("а", "б", " ", "б", "а")
    assert found.starts_s == pytest.approx((0.0, 0.04, 0.12, 0.16, 0.20))
    assert found.log_probs is not None
    assert found.log_probs[1] == pytest.approx(math.log(0.4 / 0.90003), abs=1e-4)


def test_phrases_and_the_language_work_together(folder: Path) -> None:
    posteriors = heard("а", "вб", "-", " ", "в", "-", "вб")
    plain = decoder(folder, "word").decode(posteriors, DecodeOptions())
    assert plain.text == "аб вв"
    asked = DecodeOptions(phrases=("вб",), boost=7.0)
    assert decoder(folder, "word").decode(posteriors, asked).text == "аб вб"


def test_other_readings_are_ranked_with_the_language(folder: Path) -> None:
    asked = DecodeOptions(alternatives=3)
    found = decoder(folder, "word").decode(heard("а", "вб"), asked)
    assert found.text == "аб"
    scores = [one.score for one in (found, *found.alternatives) if one.score is not None]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == 3


def test_silence_stays_silence(folder: Path) -> None:
    for kind in ("word", "char"):
        assert decoder(folder, kind).decode(heard("-", "-"), DecodeOptions()).text == ""


def test_a_decoder_tells_when_it_only_takes_the_best_path(folder: Path) -> None:
    with_lm, without = decoder(folder, "word"), BeamCtc(VOCABULARY)
    assert without.is_plain(DecodeOptions())
    assert not with_lm.is_plain(DecodeOptions())
    assert with_lm.is_plain(DecodeOptions(lm="none"))
    assert not without.is_plain(DecodeOptions(alternatives=2))
    assert with_lm.lm.endswith("word.arpa.gz:1:0.5")


def test_callers_may_ask_for_what_was_named_for_them(folder: Path) -> None:
    told = language.options("", {"mine": f"{folder}/char.arpa.gz", "none": "none"}, 4)
    spec = EngineSpec("onnx", "toy", options=told)
    found = language.load_all(spec, SYMBOLS[:-1])
    assert {name: len(models) for name, models in found.items()} == {"mine": 1, "none": 0}
    assert language.choices(told)["mine"][0].path == f"{folder}/char.arpa.gz"


def test_another_alphabet_is_refused(folder: Path) -> None:
    with pytest.raises(ModelLoadError, match=r"word\.arpa\.gz is in another alphabet .*: 0 of"):
        loaded(folder, f"{folder}/word.arpa.gz", ("a", "b", " "))


def test_the_likeliest_of_words_spelled_alike_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "m.arpa"
    arpa.write(estimate([["ёж"], ["еж"], ["еж"], ["еж"]], 1), path)
    (model,) = loaded(tmp_path, f"{path}:1:0", ("е", "ж"))
    walker = arpa.read(path).walker()
    assert gain_of(model.guide(), "еж") == pytest.approx(walker.log_prob(["еж"]), abs=1e-4)
