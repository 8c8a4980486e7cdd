import json
import math
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ruasr_tel.engines.base import DecodeOptions, EngineInfo, EngineSpec, Hypothesis, Piece
from ruasr_tel.engines.kaldi import (
    KaldiEngine,
    create,
    has_runtime_graph,
    joined,
    parse_result,
    rate_of,
)
from ruasr_tel.errors import ConfigError, DecodeError, ModelLoadError
from tests.core.engines.conformance import NO_KALDI, korean_model
from tests.core.engines.prompts import spoken_prompts

SEGMENTS = [prompt.samples[:24000] for prompt in spoken_prompts()[:2]]
YES, NO = "네", "안녕"


MODEL = korean_model()
real = pytest.mark.skipif(MODEL is None, reason=NO_KALDI)


@pytest.fixture(scope="module")
def engine() -> KaldiEngine:
    return create(EngineSpec("kaldi", "ko", MODEL, "kaldi"))


# -- what vosk answers


def word(text: str, start_s: float, conf: float | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {"word": text, "start": start_s, "end": start_s + 0.2}
    return made if conf is None else {**made, "conf": conf}


def test_an_answer_has_words_with_confidences() -> None:
    answer = {"result": [word("да", 0.1, 1.0), word("нет", 0.4, 0.5)], "text": "да нет"}
    assert parse_result(json.dumps(answer)) == Hypothesis(
        "да нет", (" да", " нет"), (0.1, 0.4), (0.0, math.log(0.5))
    )


@pytest.mark.parametrize("answer", ['{"text": ""}', '{"partial": ""}'])
def test_nothing_heard_is_empty(answer: str) -> None:
    assert parse_result(answer) == Hypothesis("", log_probs=())


def test_alternatives_have_scores_instead_of_confidences() -> None:
    first = {"confidence": 58.4, "result": [word("да", 0.1)], "text": "да"}
    second = {"confidence": 57.0, "result": [word("дай", 0.1)], "text": "дай"}
    assert parse_result(json.dumps({"alternatives": [first, second]})) == Hypothesis(
        "да",
        (" да",),
        (0.1,),
        score=58.4,
        alternatives=(Hypothesis("дай", (" дай",), (0.1,), score=57.0),),
    )


@pytest.mark.parametrize(("conf", "expected"), [(0.0, math.log(1e-6)), (1.0001, 0.0)])
def test_confidences_outside_their_range_stay_finite(conf: float, expected: float) -> None:
    answer = {"result": [word("да", 0, conf)], "text": "да"}
    assert parse_result(json.dumps(answer)).log_probs == (expected,)


def test_confidences_that_are_no_numbers_are_none() -> None:
    answer = {"result": [word("да", 0, float("nan"))], "text": "да"}
    assert parse_result(json.dumps(answer)).log_probs is None


def test_utterances_of_a_stream_are_joined() -> None:
    parts = [
        Hypothesis("да", (" да",), (0.1,), (-0.1,)),
        Hypothesis("", log_probs=()),
        Hypothesis("нет", (" нет",), (1.1,), (-0.2,)),
    ]
    both = Hypothesis("да нет", (" да", " нет"), (0.1, 1.1), (-0.1, -0.2))
    assert joined(parts) == both
    assert joined([*parts, Hypothesis("ну", (" ну",), (2.0,))]).log_probs is None
    assert joined(parts[:2]) == parts[0]
    assert joined([]) == Hypothesis("", log_probs=())


# -- a recogniser of our own


class FakeRecognizer:
    """Says one word per piece; every third piece ends an utterance."""

    def __init__(self, rate_hz: float, grammar: str = "") -> None:
        self.grammar = grammar
        self.pieces = 0
        self.alternatives = 0

    def SetWords(self, on: bool) -> None: ...

    def SetPartialWords(self, on: bool) -> None: ...

    def SetMaxAlternatives(self, count: int) -> None:
        self.alternatives = count

    def AcceptWaveform(self, data: bytes) -> int:
        if len(data) == 2:
            raise Exception("Failed to process waveform")
        self.pieces += 1
        return int(self.pieces % 3 == 0)

    def _words(self) -> list[dict[str, Any]]:
        begin = (self.pieces - 1) // 3 * 3
        return [word(f"с{i}", i, 0.5) for i in range(begin, self.pieces)]

    def Result(self) -> str:
        words = self._words()
        return json.dumps({"result": words, "text": " ".join(each["word"] for each in words)})

    FinalResult = Result

    def PartialResult(self) -> str:
        words = self._words()
        said = " ".join(each["word"] for each in words)
        return json.dumps({"partial_result": words, "partial": said})


class FakeModel:
    """Knows `да` and `[unk]`."""

    def vosk_model_find_word(self, name: str) -> int:
        return {"да": 1, "[unk]": 2}.get(name, -1)


def fake(*, closed_lists: bool = True) -> tuple[KaldiEngine, list[FakeRecognizer]]:
    made: list[FakeRecognizer] = []

    def make(*args: Any) -> FakeRecognizer:
        made.append(FakeRecognizer(*args))
        return made[-1]

    info = EngineInfo("kaldi", "fake", 8000, closed_lists=closed_lists, streaming=True)
    return KaldiEngine(FakeModel(), make, info), made


def piece(stream: object, *, last: bool = False, samples: int = 800) -> Piece:
    return Piece(stream, np.zeros(samples, dtype=np.float32), last=last)


def test_a_stream_keeps_what_it_has_closed() -> None:
    engine, _ = fake()
    stream = engine.open_stream()
    heard = [engine.advance([piece(stream)])[0].text for _ in range(4)]
    assert heard == ["с0", "с0 с1", "с0 с1 с2", "с0 с1 с2 с3"]
    (last,) = engine.advance([piece(stream, last=True)])
    assert last.text == "с0 с1 с2 с3 с4"
    assert last.starts_s == (0, 1, 2, 3, 4)


def test_an_end_without_audio_says_what_was_left() -> None:
    engine, made = fake()
    stream = engine.open_stream()
    engine.advance([piece(stream)])
    assert engine.advance([piece(stream, last=True, samples=0)])[0].text == "с0"
    assert made[0].pieces == 1


def test_what_vosk_raises_is_a_decode_error() -> None:
    engine, _ = fake()
    with pytest.raises(DecodeError, match=r"vosk could not decode 0\.00 s: Failed to process"):
        engine.decode([np.zeros(1, dtype=np.float32)])


def test_a_stream_that_cannot_be_opened_is_a_decode_error() -> None:
    def make(*args: Any) -> Any:
        raise Exception("Failed to create a recognizer")

    engine = KaldiEngine(FakeModel(), make, EngineInfo("kaldi", "fake", 8000))
    with pytest.raises(DecodeError, match="vosk cannot open a stream: Failed to create"):
        engine.open_stream()


def test_a_closed_list_holds_only_what_the_model_knows() -> None:
    engine, made = fake()
    options = DecodeOptions(phrases=("да", "да да", "нет", "да нет", "[unk]"), closed=True)
    (heard,) = engine.decode([np.zeros(800, dtype=np.float32)], options)
    assert json.loads(made[0].grammar) == ["да", "да да", "[unk]"]
    assert heard.match == pytest.approx(0.5)


@pytest.mark.parametrize("alternatives", [1, 3])
def test_a_closed_list_fits_silence(monkeypatch: pytest.MonkeyPatch, alternatives: int) -> None:
    nothing: dict[str, Any] = {"text": ""}
    if alternatives > 1:
        nothing = {"alternatives": [{"confidence": 50.0, "text": ""}]}
    monkeypatch.setattr(FakeRecognizer, "FinalResult", lambda _self: json.dumps(nothing))
    engine, _ = fake()
    options = DecodeOptions(("да", "[unk]"), closed=True, alternatives=alternatives)
    (heard,) = engine.decode([np.zeros(800, dtype=np.float32)], options)
    assert (heard.text, heard.match) == ("", 1.0)


def test_only_unknown_words_fit_nothing_of_a_closed_list(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"alternatives": [{"confidence": 50.0, "text": "[unk] [unk]"}]}
    monkeypatch.setattr(FakeRecognizer, "FinalResult", lambda _self: json.dumps(said))
    engine, _ = fake()
    options = DecodeOptions(("да", "[unk]"), closed=True, alternatives=3)
    (heard,) = engine.decode([np.zeros(800, dtype=np.float32)], options)
    assert (heard.text, heard.match) == ("[unk] [unk]", 0.0)


def test_a_closed_list_of_unknown_words_never_reaches_vosk() -> None:
    engine, made = fake()
    options = DecodeOptions(phrases=("нет", ""), closed=True)
    (heard,) = engine.decode([np.zeros(800, dtype=np.float32)], options)
    assert heard == Hypothesis("", log_probs=(), match=0.0)
    assert made == []  # an empty grammar is a SIGSEGV


def test_a_model_with_a_static_graph_leaves_closed_lists_out() -> None:
    engine, made = fake(closed_lists=False)
    engine.decode([np.zeros(800, dtype=np.float32)], DecodeOptions(("да",), closed=True))
    assert made[0].grammar == ""


@pytest.mark.parametrize(("asked", "given"), [(1, 0), (3, 3), (99, 10)])
def test_alternatives_are_asked_of_vosk(asked: int, given: int) -> None:
    engine, made = fake()
    engine.decode([np.zeros(800, dtype=np.float32)], DecodeOptions(alternatives=asked))
    assert made[0].alternatives == given


# -- folders


@pytest.mark.parametrize(
    ("name", "content", "rate_hz"),
    [
        ("conf/mfcc.conf", "--use-energy=false\n--sample-frequency=8000\n", 8000),
        ("mfcc.conf", "--sample-frequency=8000.0", 8000),
        ("conf/mfcc.conf", "--use-energy=false", 16000),
        ("conf/mfcc.conf", "--sample-frequency=fast", 16000),
        ("other.conf", "--sample-frequency=8000", 16000),
    ],
)
def test_the_rate_is_the_models_own(tmp_path: Path, name: str, content: str, rate_hz: int) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(content)
    assert rate_of(tmp_path) == rate_hz


@pytest.mark.parametrize(
    ("names", "can"),
    [
        (("graph/HCLr.fst", "graph/Gr.fst"), True),
        (("HCLr.fst", "Gr.fst"), True),
        (("graph/HCLG.fst",), False),
        (("graph/HCLr.fst",), False),
    ],
)
def test_only_a_graph_in_parts_takes_a_closed_list(
    tmp_path: Path, names: tuple[str, ...], can: bool
) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert has_runtime_graph(tmp_path) is can


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vosk", None)
    with pytest.raises(ConfigError, match=r"pip install 'ruasr-tel\[vosk\]'"):
        create(EngineSpec("kaldi", "mine", tmp_path, "kaldi"))


def test_cuda_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="runs on the CPU only"):
        create(EngineSpec("kaldi", "mine", tmp_path, "kaldi", provider="cuda"))


# -- the real thing: structure only, the model is Korean and the prompts are Russian


@real
def test_the_engine_tells_what_it_is(engine: KaldiEngine) -> None:
    assert engine.info == EngineInfo(
        engine="kaldi",
        model="ko",
        sample_rate_hz=16000,
        confidence=True,
        streaming=True,
        closed_lists=True,
        alternatives=10,
    )


@real
def test_segments_become_words(engine: KaldiEngine) -> None:
    for heard in engine.decode(SEGMENTS):
        assert heard.text
        assert heard.text == "".join(heard.tokens).strip()
        assert list(heard.starts_s) == sorted(heard.starts_s)
        assert heard.log_probs is not None
        assert all(level <= 0 for level in heard.log_probs)


@real
def test_a_stream_hears_what_the_whole_segment_says(engine: KaldiEngine) -> None:
    samples = spoken_prompts()[0].samples[:48000]
    stream = engine.open_stream()
    cuts = range(0, len(samples), 4800)
    pieces = [
        Piece(stream, samples[cut : cut + 4800], last=cut + 4800 >= len(samples)) for cut in cuts
    ]
    heard = [engine.advance([each])[0] for each in pieces]
    assert any(partial.text for partial in heard[:-1])
    assert heard[-1].text
    assert heard[-1].starts_s[-1] < len(samples) / 16000


@real
def test_alternatives_differ(engine: KaldiEngine) -> None:
    (heard,) = engine.decode(SEGMENTS[:1], DecodeOptions(alternatives=3))
    readings = [heard, *heard.alternatives]
    assert 2 <= len(readings) <= 3
    assert len({each.text for each in readings}) == len(readings)
    scores = [each.score for each in readings if each.score is not None]
    assert scores == sorted(scores, reverse=True)
    assert len(scores) == len(readings)


@real
def test_a_closed_list_gives_nothing_else(engine: KaldiEngine) -> None:
    for heard in engine.decode(SEGMENTS, DecodeOptions(phrases=(YES, NO), closed=True)):
        assert set(heard.text.split()) <= {YES, NO}
        assert heard.match is not None
        assert 0 <= heard.match <= 1


@real
def test_threads_share_one_model(engine: KaldiEngine) -> None:
    # Not the same texts: kaldi dithers (feat/feature-window.h), each decode differs a little.
    with ThreadPoolExecutor(2) as pool:
        together = list(pool.map(lambda one: engine.decode([one])[0], SEGMENTS))
    assert all(heard.text for heard in together)
    assert together[0].text != together[1].text


def damaged(tmp_path: Path, name: str, damage: Callable[[Path], object]) -> Path:
    """Return a copy of the model, of links where it is whole."""
    assert MODEL is not None
    folder = tmp_path / "model"
    shutil.copytree(MODEL, folder, copy_function=lambda a, b: Path(b).symlink_to(a))
    (folder / name).unlink()
    damage(folder / name)
    return folder


@real
@pytest.mark.parametrize(
    ("name", "damage", "says"),
    [
        ("am/final.mdl", lambda path: None, "does not contain model files"),
        ("am/final.mdl", lambda path: path.write_bytes(b"version https://git"), "TransitionModel"),
        ("graph/Gr.fst", lambda path: None, "graph/Gr.fst"),
        ("graph/HCLr.fst", lambda path: path.write_bytes(b"x" * 99), "decoding graph"),
        ("conf/mfcc.conf", lambda path: path.write_text("x\n"), "does not look like a line"),
    ],
)
def test_a_broken_model_ends_in_a_sentence(
    tmp_path: Path, name: str, damage: Callable[[Path], object], says: str
) -> None:
    folder = damaged(tmp_path, name, damage)
    with pytest.raises(ModelLoadError) as caught:
        create(EngineSpec("kaldi", "mine", folder, "kaldi"))
    assert str(caught.value).startswith(f"vosk cannot load mine from {folder}: ")
    assert says in str(caught.value)
    assert str(caught.value).endswith("; fetch the whole model again")


@real
def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelLoadError, match=r"model mine: .*gone is not a folder"):
        create(EngineSpec("kaldi", "mine", tmp_path / "gone", "kaldi"))
