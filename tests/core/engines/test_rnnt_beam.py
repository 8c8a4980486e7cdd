"""The transducer's search against all texts there are, and on real speech."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace
from weakref import WeakSet

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ruasr_tel.engines import onnx, rnnt_beam
from ruasr_tel.engines.base import DecodeOptions, EngineSpec, Hypothesis
from ruasr_tel.engines.ctc import Vocabulary
from ruasr_tel.engines.kept import KEPT_PHRASES
from ruasr_tel.engines.onnx import OnnxEngine
from ruasr_tel.engines.phrases import Preferred
from ruasr_tel.engines.rnnt import Heard, Networks, log_softmax
from ruasr_tel.engines.rnnt_beam import BeamRnnt, RnntSearch
from tests.core.engines.prompts import Prompt, lost_words, noisy, spoken_prompts
from tests.layouts import rnnt_onnx_asr
from tests.layouts_networks import NEMO_TRANSDUCER

VOCABULARY = Vocabulary(("а", " ", "<blk>"), 2)
BLANK = 2
Texts = dict[tuple[int, ...], float]


class Tables(Networks):
    """Networks whose scores are a table by frame and by what the tokens before add up to."""

    def __init__(self, frames: int, seed: int) -> None:
        self.table = np.random.default_rng(seed).normal(0, 2, (frames, 7, 3)).astype(np.float32)

    def start(self) -> Heard:
        return Heard(np.zeros((1, 1, 1), np.float32), ())

    def after(self, token: int, heard: Heard) -> Heard:
        return Heard((heard.prediction * 2 + token + 1) % 7, ())

    def scores(self, frame: npt.NDArray[np.float32], heard: Heard) -> npt.NDArray[np.float32]:
        row: npt.NDArray[np.float32] = self.table[int(frame.item()), int(heard.prediction.item())]
        return row


def encoded(frames: int) -> npt.NDArray[np.float32]:
    return np.arange(frames, dtype=np.float32)[None]


def every_text(tables: Tables, frames: int, most: int) -> Texts:
    """The probability of every text, summed over all its alignments one by one."""
    found: Texts = defaultdict(float)

    def walk(frame: int, said: int, heard: Heard, ids: tuple[int, ...], mass: float) -> None:
        if frame == frames:
            found[ids] += mass
        elif said == most:
            walk(frame + 1, 0, heard, ids, mass)
        else:
            row = np.exp(log_softmax(tables.scores(np.full((1, 1, 1), frame), heard)))
            walk(frame + 1, 0, heard, ids, mass * float(row[BLANK]))
            for token in (0, 1):
                after = tables.after(token, heard)
                walk(frame, said + 1, after, (*ids, token), mass * float(row[token]))

    walk(0, 0, tables.start(), (), 1.0)
    return found


@settings(deadline=None, max_examples=60)
@given(frames=st.integers(0, 3), most=st.integers(1, 2), seed=st.integers(0, 10**6))
def test_a_search_that_keeps_all_finds_every_text_with_its_probability(
    frames: int, most: int, seed: int
) -> None:
    tables = Tables(frames, seed)
    search = RnntSearch(tables, VOCABULARY, most, width=10**6, floor=-np.inf)
    found = {path.ids: np.exp(path.total) for path in search.run(encoded(frames))}
    assert found == pytest.approx(every_text(tables, frames, most))
    assert sum(found.values()) == pytest.approx(1.0)


@settings(deadline=None, max_examples=60)
@given(
    frames=st.integers(0, 6),
    seed=st.integers(0, 10**6),
    width=st.integers(1, 5),
    bonus=st.floats(0, 5),
)
def test_what_a_narrow_search_keeps_is_true(
    frames: int, seed: int, width: int, bonus: float
) -> None:
    tables = Tables(frames, seed)
    guide = Preferred(("а", "аа а"), bonus)
    paths = RnntSearch(tables, VOCABULARY, 2, width=width, floor=-np.inf).run(
        encoded(frames), guide
    )
    assert 1 <= len(paths) <= width + 1
    assert len({path.ids for path in paths}) == len(paths)
    assert [path.rank for path in paths] == sorted((p.rank for p in paths), reverse=True)
    for path in paths:
        assert len(path.ids) == len(path.frames) == len(path.log_probs)
        assert list(path.frames) == sorted(path.frames)
        assert all(path.frames.count(frame) <= 2 for frame in path.frames)
        assert path.total <= 1e-9
        assert path.gain == pytest.approx(gained(path.ids, guide))


def gained(ids: tuple[int, ...], guide: Preferred) -> float:
    """What a text gains, letter by letter."""
    state, gain = guide.start, 0.0
    for token in ids:
        state, more = guide.step(state, VOCABULARY.symbols[token])
        gain += more
    return gain + guide.finish(state)


def test_phrases_that_cannot_be_spelled_are_left_out_and_said_so(
    capfd: pytest.CaptureFixture[str],
) -> None:
    decoder = BeamRnnt(Tables(4, 1), VOCABULARY)
    free = decoder.decode(encoded(4), 0.04, DecodeOptions(alternatives=2))
    for _ in range(2):
        led = decoder.decode(encoded(4), 0.04, DecodeOptions(("Боб",), alternatives=2))
        assert led == free
    said = "phrase left out, the model has not all its letters: Боб\n"
    assert capfd.readouterr().err == said
    assert decoder.decode(encoded(0), 0.04, DecodeOptions(alternatives=3)).text == ""


def test_no_more_phrases_are_kept_ready_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    alive: WeakSet[Preferred] = WeakSet()

    def prefer(phrases: Iterable[str], bonus: float) -> Preferred:
        made = Preferred(phrases, bonus)
        alive.add(made)
        return made

    monkeypatch.setattr(rnnt_beam, "Preferred", prefer)
    decoder = BeamRnnt(Tables(1, 1), VOCABULARY)
    count = KEPT_PHRASES // 2 - 10
    phrases = [
        f"{number:b}".replace("0", " а").replace("1", " аа").strip() for number in range(count)
    ]
    for first in range(4):
        options = DecodeOptions((f"а{'а' * first} аа а а а а а а а а а а а", *phrases))
        decoder.decode(encoded(1), 0.04, options)
    assert len(alive) == 2


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> OnnxEngine:
    folder = tmp_path_factory.mktemp("rnnt")
    rnnt_onnx_asr("v2")(folder)
    made = onnx.create(EngineSpec("onnx", "rnnt", folder, NEMO_TRANSDUCER))
    assert isinstance(made, OnnxEngine)
    return made


@pytest.fixture(scope="module")
def prompt() -> Prompt:
    return next(one for one in spoken_prompts() if one.name == "agent-alreadyon.wav")


def heard(engine: OnnxEngine, prompt: Prompt, options: DecodeOptions) -> Hypothesis:
    (one,) = engine.decode([prompt.samples], options)
    return one


def test_readings_phrases_and_lists_of_real_speech(engine: OnnxEngine, prompt: Prompt) -> None:
    assert (engine.info.hotwords, engine.info.closed_lists) == (True, True)
    assert (engine.info.alternatives, engine.info.lms) == (4, False)
    several = heard(engine, prompt, DecodeOptions(alternatives=3))
    readings = [several, *several.alternatives]
    scores = [one.score or 0.0 for one in readings]
    assert len({one.text for one in readings}) == 3
    assert scores == sorted(scores, reverse=True)
    said = tuple(one.text for one in spoken_prompts())
    closed = heard(engine, prompt, DecodeOptions(said, closed=True))
    assert closed.text == prompt.text
    other = heard(engine, prompt, DecodeOptions(("да", "нет", "[unk]"), closed=True))
    assert other.text == "[unk]"
    assert (closed.match or 0.0) > 0.8 > 0.5 > (other.match or 0.0)


def test_preferred_words_are_heard_and_a_long_phrase_that_was_not_said_costs_nothing(
    engine: OnnxEngine, prompt: Prompt
) -> None:
    lost, lost_still = 0, 0
    for one in spoken_prompts():
        bad = replace(one, samples=noisy(one, snr_db=16.0))
        if hard := lost_words(heard(engine, bad, DecodeOptions()).text, one.text):
            lost += len(hard)
            led = heard(engine, bad, DecodeOptions(tuple(hard))).text
            lost_still += len(lost_words(led, one.text))
    assert lost >= 10
    assert lost_still <= 0.7 * lost  # measured: 17 of 27
    free = heard(engine, prompt, DecodeOptions(alternatives=2)).text
    not_said = DecodeOptions(("введите номер агента и нажмите звездочку",))
    assert heard(engine, prompt, not_said).text == free
