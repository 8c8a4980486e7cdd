import math
import re
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruasr_tel.engines import ctc_beam
from ruasr_tel.engines.base import PLAIN, DecodeOptions, Engine, EngineSpec, Hypothesis
from ruasr_tel.engines.ctc import GreedyCtc, LogProbs, Posteriors, Vocabulary
from ruasr_tel.engines.ctc_beam import ALTERNATIVES_MAX, BeamCtc
from ruasr_tel.engines.ctc_score import log_probabilities
from ruasr_tel.engines.ctc_search import Steps
from ruasr_tel.engines.onnx import create
from tests.core.broken_models import MODELS_DIR
from tests.core.engines.prompts import Prompt, lost_words, noisy, spoken_prompts

LETTERS = " абвгдежзийклмнопрстуфхцчшщъыьэюя"
BLANK = len(LETTERS)
VOCABULARY = Vocabulary((*LETTERS, "<blk>"), BLANK)
FRAME_S = 0.04


def heard(
    text: str, sure: float = 0.9, also: str | None = None, letters: str = LETTERS
) -> Posteriors:
    """Posteriors of a text, a frame of each letter and a blank after it.

    Args:
        text: the text.
        sure: probability of each letter; most of the rest goes to `also`.
        also: another text of the same length.
        letters: of the model; its blank comes after them.
    """
    rows = []
    for one, other in zip(text, also or text, strict=True):
        row = np.full(len(letters) + 1, 1e-4)
        row[letters.index(other)] += 1 - sure
        row[letters.index(one)] += sure
        rows.append(row)
        silence = np.full(len(letters) + 1, 1e-4)
        silence[-1] = 1.0
        rows.append(silence)
    probs = np.array(rows)
    log_probs: LogProbs = np.log(probs / probs.sum(axis=1, keepdims=True)).astype(np.float32)
    return Posteriors(log_probs, FRAME_S)


@pytest.fixture
def decoder() -> BeamCtc:
    return BeamCtc(VOCABULARY)


@pytest.fixture(scope="module")
def engine() -> Engine:
    folder = MODELS_DIR / "ru-mini-ctc-8k"
    return create(EngineSpec("onnx", "mini", folder, "nemo_ctc", options={"features": "sherpa"}))


@pytest.fixture(scope="module")
def spoken() -> list[Prompt]:
    return spoken_prompts()


def consistent(hypothesis: Hypothesis) -> bool:
    assert hypothesis.log_probs is not None
    counts = {len(hypothesis.tokens), len(hypothesis.starts_s), len(hypothesis.log_probs)}
    return len(counts) == 1 and "".join(hypothesis.tokens).split() == hypothesis.text.split()


def test_what_is_plain_is_greedy(decoder: BeamCtc) -> None:
    posteriors = heard("да нет")
    assert decoder.decode(posteriors, PLAIN) == GreedyCtc(VOCABULARY).decode(posteriors, PLAIN)


def test_a_preferred_phrase_wins_where_it_is_nearly_as_probable(decoder: BeamCtc) -> None:
    posteriors = heard("кот дома", 0.6, "код дома")
    free = decoder.decode(posteriors, DecodeOptions(alternatives=2))
    assert [free.text, *(other.text for other in free.alternatives)] == ["кот дома", "код дома"]
    led = decoder.decode(posteriors, DecodeOptions(phrases=("код дома",)))
    assert led.text == "код дома"
    assert led.alternatives == ()
    assert consistent(led)
    far = decoder.decode(
        heard("кот дома", 0.9999, "код дома"), DecodeOptions(phrases=("код",), boost=0.5)
    )
    assert far.text == "кот дома"


def test_alternatives_have_their_true_probability(decoder: BeamCtc) -> None:
    posteriors = heard("кот", 0.7, "код")
    found = decoder.decode(posteriors, DecodeOptions(alternatives=3))
    readings = (found, *found.alternatives)
    assert [one.text for one in readings[:2]] == ["кот", "код"]
    assert len({one.text for one in readings}) == len(readings) == 3
    for one in readings:
        ids = [LETTERS.index(token) for token in one.tokens]
        (exact,) = log_probabilities(posteriors.log_probs, [ids], BLANK)
        assert one.score is not None
        assert one.score >= exact - 1e-9  # the same text with another space adds to it
        assert one.score == pytest.approx(exact, abs=0.05)
        assert one is found or one.alternatives == ()
    assert sum(math.exp(one.score or 0.0) for one in readings) <= 1.0


def test_no_more_alternatives_than_asked_for_or_possible(decoder: BeamCtc) -> None:
    posteriors = heard("один два три", 0.5, "адин дфо дри")
    few = decoder.decode(posteriors, DecodeOptions(alternatives=2))
    assert len(few.alternatives) == 1
    many = decoder.decode(posteriors, DecodeOptions(alternatives=1000))
    assert 1 < len(many.alternatives) < ALTERNATIVES_MAX


def test_the_width_is_of_searches_that_language_models_lead(decoder: BeamCtc) -> None:
    posteriors, two = heard("кот дома", 0.6, "код дома"), DecodeOptions(alternatives=2)
    assert BeamCtc(VOCABULARY, width=1).decode(posteriors, two) == decoder.decode(posteriors, two)


def test_a_closed_list_says_nothing_else(decoder: BeamCtc) -> None:
    options = DecodeOptions(phrases=("да", "нет"), closed=True)
    assert decoder.decode(heard("дэ"), options).text == "да"
    assert decoder.decode(heard("да нет да"), options).text == "да нет да"
    wrong = decoder.decode(heard("собака"), options)
    right = decoder.decode(heard("нет"), options)
    assert set(wrong.text.split()) <= {"да", "нет"}
    assert wrong.match is not None
    assert right.match == pytest.approx(1.0, abs=1e-3)
    assert wrong.match < 0.1
    assert consistent(wrong)
    assert consistent(right)


def test_silence_matches_a_closed_list_with_no_words(decoder: BeamCtc) -> None:
    rows = np.full((10, BLANK + 1), 1e-6)
    rows[:, BLANK] = 1.0
    silence = Posteriors(np.log(rows).astype(np.float32), FRAME_S)
    for phrases in (("да",), ("да", "[unk]"), ("[unk]",), ("5",)):
        found = decoder.decode(silence, DecodeOptions(phrases=phrases, closed=True))
        assert (found.text, found.tokens, found.match) == ("", (), 1.0)


@pytest.mark.parametrize("said", ["да, нет.", ",", "да,нет", ", да"])
def test_punctuation_that_a_model_writes_is_none_of_a_list(said: str) -> None:
    letters = LETTERS + ",."
    decoder = BeamCtc(Vocabulary((*letters, "<blk>"), len(letters)))
    options = DecodeOptions(phrases=("Да", "Нет"), closed=True)
    found = decoder.decode(heard(said, letters=letters), options)
    assert found.text == " ".join(map(str.capitalize, re.findall("[а-я]+", said)))
    assert consistent(found)


PUNCTUATED = LETTERS + ",.—-"


@settings(deadline=None, max_examples=30)
@given(
    said=st.lists(
        st.sampled_from(["да", "нет", "то", " ", "-", "—", ","]), min_size=1, max_size=9
    ).map("".join)
)
def test_punctuation_beside_unk_is_none_of_a_word(said: str) -> None:
    decoder = BeamCtc(Vocabulary((*PUNCTUATED, "<blk>"), len(PUNCTUATED)))
    options = DecodeOptions(phrases=("да", "нет", "[unk]"), closed=True)
    found = decoder.decode(heard(said, sure=0.999, letters=PUNCTUATED), options)
    assert set(found.text.split()) <= set(options.phrases)
    assert bool(found.text) == bool(re.search(r"\w", said))
    assert consistent(found)
    assert sorted(found.starts_s) == list(found.starts_s)


def test_words_on_both_sides_of_a_hyphen_have_their_own_times() -> None:
    decoder = BeamCtc(Vocabulary((*PUNCTUATED, "<blk>"), len(PUNCTUATED)))
    options = DecodeOptions(phrases=("да", "[unk]"), closed=True)
    found = decoder.decode(heard("собака, кто-то — да-кто", letters=PUNCTUATED), options)
    assert found.tokens == (" [unk]", " да", " [unk]")
    assert found.starts_s == tuple(index * 2 * FRAME_S for index in (0, 17, 20))


def test_a_closed_list_with_unk_lets_other_things_pass_as_unk(decoder: BeamCtc) -> None:
    options = DecodeOptions(phrases=("включи свет", "[unk]"), closed=True)
    assert decoder.decode(heard("включи свет"), options).text == "включи свет"
    assert decoder.decode(heard("собака лает"), options).text == "[unk]"
    mixed = decoder.decode(heard("пожалуйста очень прошу включи свет дружок"), options)
    assert mixed.text == "[unk] включи свет [unk]"
    assert mixed.tokens == (" [unk]", " включи", " свет", " [unk]")
    assert mixed.starts_s == tuple(index * 2 * FRAME_S for index in (0, 23, 30, 35))
    assert mixed.match is not None
    assert mixed.match < 0.3


def test_a_list_of_unk_alone_hears_everything_as_unk(decoder: BeamCtc) -> None:
    found = decoder.decode(heard("собака лает"), DecodeOptions(phrases=("[unk]",), closed=True))
    assert (found.text, found.match) == ("[unk]", 0.0)


def test_phrases_come_out_as_their_owner_writes_them(decoder: BeamCtc) -> None:
    phrases = ("Ещё раз", "АТС")
    closed = decoder.decode(heard("еще раз атс"), DecodeOptions(phrases=phrases, closed=True))
    assert closed.text == "Ещё раз АТС"
    assert "".join(closed.tokens) == "Ещё раз АТС"
    spotted = decoder.decode(
        heard("прошу скажи еще раз"), DecodeOptions(phrases=(*phrases, "[unk]"), closed=True)
    )
    assert spotted.text == "[unk] Ещё раз"


def test_what_cannot_be_spelled_is_left_out_and_said_once(
    decoder: BeamCtc, capsys: pytest.CaptureFixture[str]
) -> None:
    options = DecodeOptions(phrases=("да", "пин 5"), closed=True)
    assert decoder.decode(heard("да"), options).text == "да"
    assert decoder.decode(heard("да"), options).text == "да"
    assert capsys.readouterr().err == "phrase left out, the model has not all its letters: пин 5\n"
    nothing = decoder.decode(heard("да"), DecodeOptions(phrases=("q",), closed=True))
    assert (nothing.text, nothing.match) == ("", 0.0)


def test_lists_share_what_they_have_in_common(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Steps] = []

    def one_of_100() -> Steps:
        made.append(Steps(100))
        return made[-1]

    monkeypatch.setattr(ctc_beam, "Steps", one_of_100)
    decoder = BeamCtc(VOCABULARY)
    for word in ("кот", "дом", "код", "том"):
        for closed in (False, True):
            options = DecodeOptions(phrases=(word,), closed=closed)
            assert decoder.decode(heard("кот дома", 0.6, "код тома"), options).text
            assert 0 < len(made[0]) <= 100
    assert len(made) == 1


def test_a_short_list_takes_little_memory_with_many_word_pieces() -> None:
    pieces = [f" {one}{two}" for one in LETTERS[1:] for two in LETTERS[1:]]
    decoder = BeamCtc(Vocabulary((*pieces, "<blk>"), len(pieces)))
    silence = Posteriors(np.zeros((0, len(pieces) + 1), np.float32), FRAME_S)
    lists = 20
    tracemalloc.start()
    try:
        for number in range(lists):
            word = LETTERS[1 + number] * 8
            decoder.decode(silence, DecodeOptions(phrases=(word,), closed=True))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken < lists * 30_000  # 14,000 measured; with the pieces in each 190,000


def test_word_pieces_are_put_together() -> None:
    vocabulary = Vocabulary((" да", "ть", " дать", "<blk>"), 3)
    rows = np.array([[0.6, 0.05, 0.3, 0.05], [0.05, 0.75, 0.1, 0.1]])
    posteriors = Posteriors(np.log(rows).astype(np.float32), FRAME_S)
    found = BeamCtc(vocabulary).decode(posteriors, DecodeOptions(alternatives=2))
    (ways,) = log_probabilities(posteriors.log_probs, [(0, 1)], 3)
    (other,) = log_probabilities(posteriors.log_probs, [(2,)], 3)
    assert found.text == "дать"
    assert found.score == pytest.approx(np.logaddexp(ways, other))  # one text, two ways to cut it


def test_real_prompts_from_a_closed_list(engine: Engine, spoken: list[Prompt]) -> None:
    """The embedded model, wrong in a letter of every twenty here, tells all the prompts apart."""
    short = [prompt for prompt in spoken if len(prompt.samples) < 7 * 16000]
    phrases = tuple(prompt.text for prompt in spoken)
    samples = [prompt.samples for prompt in short]
    found = engine.decode(samples, DecodeOptions(phrases=phrases, closed=True))
    assert [one.text for one in found] == [prompt.text for prompt in short]
    assert all(consistent(one) for one in found)
    others = DecodeOptions(phrases=("да", "нет", "ноль"), closed=True)
    wrong = engine.decode(samples, others)
    worst_right = min(one.match or 0.0 for one in found)
    best_wrong = max(one.match or 0.0 for one in wrong)
    assert worst_right > 0.5 > 0.1 > best_wrong  # measured: 0.75, 0.03


def test_hard_words_of_real_prompts_are_heard_when_preferred(
    engine: Engine, spoken: list[Prompt]
) -> None:
    lost, lost_still = 0, 0
    for prompt in spoken:
        samples = noisy(prompt)
        (free,) = engine.decode([samples])
        if hard := lost_words(free.text, prompt.text):
            (led,) = engine.decode([samples], DecodeOptions(phrases=tuple(hard)))
            lost += len(hard)
            lost_still += len(lost_words(led.text, prompt.text))
    assert lost >= 10
    assert lost_still <= 0.7 * lost


def test_threads_share_one_list(engine: Engine, spoken: list[Prompt]) -> None:
    phrases = tuple(word for prompt in spoken for word in prompt.text.split())
    options = DecodeOptions(phrases=phrases, closed=True)
    samples = [prompt.samples for prompt in spoken if len(prompt.samples) < 5 * 16000]
    alone = engine.decode(samples, options)
    afresh = create(
        EngineSpec(
            "onnx",
            "mini",
            MODELS_DIR / "ru-mini-ctc-8k",
            "nemo_ctc",
            options={"features": "sherpa"},
        )
    )
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda one: afresh.decode([one], options)[0], samples * 2))
    assert together == alone * 2
