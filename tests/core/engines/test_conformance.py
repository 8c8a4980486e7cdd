"""What every engine must keep to; `make engines` prints what is skipped here, and why."""

import json
import math
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest

from ruasr_tel.audio.resample import resample
from ruasr_tel.engines import wire
from ruasr_tel.engines.base import (
    PLAIN,
    DecodeOptions,
    Engine,
    EngineInfo,
    Hypothesis,
    Piece,
    StreamingEngine,
)
from ruasr_tel.engines.prepare import fit
from ruasr_tel.engines.worker import ENGINE_GROUP, decode, load
from ruasr_tel.types import Samples, Waveform
from tests.core.engines.conformance import CASES, Case
from tests.core.engines.prompts import RATE_HZ, letter_errors, spoken_prompts
from tests.core.model_faults import LFS_POINTER

PROMPTS = sorted(spoken_prompts(), key=lambda prompt: len(prompt.samples))[:3]
CHILD_TIMEOUT_S = 300
MOST_ERRORS = 0.2
"""Of the letters of three short prompts; measured up to 12 %."""

# Loads one model a line, as the engine process does; an engine may end this process, not pytest's.
CHILD = """
import json, sys
from pathlib import Path
from ruasr_tel.engines.base import EngineSpec
from ruasr_tel.engines.worker import load
from ruasr_tel.errors import RuasrError
for line in sys.stdin:
    engine, folder, family, provider = json.loads(line)
    try:
        load(EngineSpec(engine, "broken", Path(folder), family, provider=provider))
        answer = ["loaded", ""]
    except RuasrError as exc:
        answer = [type(exc).__name__, str(exc)]
    print(json.dumps(answer), flush=True)
"""


@pytest.fixture(
    scope="module", params=[case for case in CASES if not case.missing], ids=lambda case: case.name
)
def case(request: pytest.FixtureRequest) -> Case:
    found: Case = request.param
    return found


@pytest.fixture(scope="module")
def engine(case: Case, tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return load(case.make(tmp_path_factory.mktemp("model")))


@pytest.fixture(scope="module")
def segments(engine: Engine) -> list[Waveform]:
    """The prompts at the engine's rate."""
    rate_hz = engine.info.sample_rate_hz
    whole = [np.rint(prompt.samples * 32767).astype(np.int16) for prompt in PROMPTS]
    return [resample(samples, RATE_HZ, rate_hz) for samples in whole]


@pytest.fixture(scope="module")
def heard(engine: Engine, segments: list[Waveform]) -> list[Hypothesis]:
    return engine.decode(segments)


def check_times(hypothesis: Hypothesis, info: EngineInfo, duration_s: float) -> None:
    """One answer keeps to what Hypothesis and EngineInfo say."""
    assert len(hypothesis.starts_s) == len(hypothesis.tokens)
    assert list(hypothesis.starts_s) == sorted(hypothesis.starts_s)
    assert all(0 <= start_s <= duration_s for start_s in hypothesis.starts_s)
    assert hypothesis.text == " ".join("".join(hypothesis.tokens).replace("▁", " ").split())
    if hypothesis.log_probs is not None:
        assert len(hypothesis.log_probs) == len(hypothesis.tokens)
        assert all(math.isfinite(each) and each <= 0 for each in hypothesis.log_probs)
    assert info.confidence or hypothesis.log_probs is None


def test_every_installed_engine_is_here() -> None:
    assert {case.name.partition(":")[0].split(",")[0].split(" on ")[0] for case in CASES} == set(
        entry_points(group=ENGINE_GROUP).names
    )


@pytest.mark.parametrize("absent", [case for case in CASES if case.missing], ids=lambda it: it.name)
def test_what_cannot_run_here_says_why(absent: Case) -> None:
    pytest.skip(f"{absent.name}: {absent.missing}")


def test_it_says_what_it_is(engine: Engine, case: Case) -> None:
    info = engine.info
    assert info.engine == case.name.partition(":")[0].split(",")[0].split(" on ")[0]
    assert 8000 <= info.sample_rate_hz <= 48000
    assert 0 < info.min_segment_s < info.max_segment_s
    assert info.batch_size >= 1
    assert info.alternatives >= 1
    assert hasattr(engine, "open_stream") or not info.streaming
    assert info.chunk_s == 0 or info.streaming
    assert info.provider == ("cuda" if "CUDA" in case.name else "cpu")


def test_each_segment_gets_its_own_answer(
    case: Case, engine: Engine, segments: list[Waveform], heard: list[Hypothesis]
) -> None:
    assert len(heard) == len(segments)
    backwards = engine.decode(segments[::-1])
    alone = [engine.decode([segment])[0] for segment in segments]
    if case.repeats:
        assert backwards[::-1] == heard == alone
    else:
        assert len(backwards) == len(alone) == len(heard)


def test_real_speech_becomes_its_text(case: Case, heard: list[Hypothesis]) -> None:
    if case.speaks:
        pairs = list(zip(heard, PROMPTS, strict=True))
        errors = sum(letter_errors(hypothesis.text, prompt.text) for hypothesis, prompt in pairs)
        assert errors < MOST_ERRORS * sum(len(prompt.text) for prompt in PROMPTS)


def test_tokens_times_and_probabilities_fit(
    engine: Engine, segments: list[Waveform], heard: list[Hypothesis]
) -> None:
    for hypothesis, segment in zip(heard, segments, strict=True):
        assert hypothesis.tokens
        check_times(hypothesis, engine.info, len(segment) / engine.info.sample_rate_hz)
        assert (hypothesis.log_probs is not None) == engine.info.confidence
        assert hypothesis.alternatives == ()
        assert hypothesis.match is None


def odd_segments(info: EngineInfo) -> Mapping[str, tuple[Samples, int]]:
    """Segments as a call may have them, with their rates."""
    random = np.random.default_rng(0)

    def noise(level: int, seconds: float, rate_hz: int) -> Samples:
        count = max(1, round(seconds * rate_hz))
        return random.integers(-level, level, count, dtype=np.int16, endpoint=True)

    square = np.where(np.arange(8000) // 20 % 2, 32767, -32768).astype(np.int16)
    return {
        "one sample": (noise(1000, 0, 8000), 8000),
        "10 ms": (noise(1000, 0.01, 8000), 8000),
        "99 ms": (noise(1000, 0.099, 8000), 8000),
        "silence": (np.zeros(8000, dtype=np.int16), 8000),
        "clipped": (square, 8000),
        "loud noise at 48 kHz": (noise(32767, 1.0, 48000), 48000),
        "11025 Hz": (noise(300, 1.0, 11025), 11025),
        "the longest": (noise(30, info.max_segment_s, 8000), 8000),
    }


def test_whatever_a_call_holds_is_answered(engine: Engine) -> None:
    for name, segment in odd_segments(engine.info).items():
        answer = decode(engine, wire.Request(1, (segment,)))
        assert isinstance(answer, wire.Decoded), name
        (hypothesis,) = answer.hypotheses
        check_times(hypothesis, engine.info, len(segment[0]) / segment[1])


def test_odd_segments_leave_no_trace(
    case: Case, engine: Engine, segments: list[Waveform], heard: list[Hypothesis]
) -> None:
    decode(engine, wire.Request(1, tuple(odd_segments(engine.info).values())[:4]))
    again = engine.decode(segments[:1])
    assert again == heard[:1] if case.repeats else len(again) == 1


def test_silence_says_nothing_much(engine: Engine) -> None:
    silence = np.zeros(engine.info.sample_rate_hz, dtype=np.float32)
    (hypothesis,) = engine.decode([silence])
    assert len(hypothesis.text.split()) <= 1


def test_where_nothing_is_heard_a_closed_list_fits_wholly(engine: Engine) -> None:
    phrases = ("да", "нет", "네", "[unk]")  # every model knows one: Kaldi's is Korean
    options = fit(DecodeOptions(phrases, closed=True), engine.info)
    silence = np.zeros(engine.info.sample_rate_hz, dtype=np.float32)
    (hypothesis,) = engine.decode([silence], options)
    assert (hypothesis.match is not None) == engine.info.closed_lists
    assert hypothesis.text or hypothesis.match in (1.0, None)


def test_threads_at_once_answer_as_one_does(
    case: Case, engine: Engine, segments: list[Waveform], heard: list[Hypothesis]
) -> None:
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda one: engine.decode([one])[0], segments * 2))
    assert together == heard * 2 if case.repeats else len(together) == 2 * len(heard)


ASKED = (
    DecodeOptions(phrases=("да", "нет"), boost=3.0),
    DecodeOptions(phrases=("да", "нет", "[unk]"), closed=True),
    DecodeOptions(phrases=("да",), closed=True, alternatives=4),
    DecodeOptions(alternatives=3),
)


@pytest.mark.parametrize("asked", ASKED, ids=repr)
def test_options_do_what_it_says_it_can(
    case: Case,
    engine: Engine,
    segments: list[Waveform],
    heard: list[Hypothesis],
    asked: DecodeOptions,
) -> None:
    options = fit(asked, engine.info)
    answers = engine.decode(segments[:1], options)
    assert len(answers) == 1
    readings = [answers[0], *answers[0].alternatives]
    assert len(readings) <= options.alternatives
    assert all(each.alternatives == () for each in answers[0].alternatives)
    assert len({each.text for each in readings}) == len(readings)
    if options.closed:
        assert answers[0].match is not None
        assert 0 <= answers[0].match <= 1
    if case.repeats and options == PLAIN:
        assert answers == heard[:1]


def test_what_it_cannot_do_it_leaves_out(
    case: Case, engine: Engine, segments: list[Waveform], heard: list[Hypothesis]
) -> None:
    asked = [
        options
        for options, can in zip(
            ASKED,
            (engine.info.hotwords, True, True, engine.info.alternatives > 1),
            strict=True,
        )
        if not can
    ]
    for options in asked:
        answers = engine.decode(segments[:1], options)
        assert answers == heard[:1] if case.repeats else len(answers) == 1


def test_a_stream_says_what_the_whole_does(
    case: Case, engine: Engine, segments: list[Waveform], heard: list[Hypothesis]
) -> None:
    if not engine.info.streaming:
        return
    streaming: StreamingEngine = engine  # type: ignore[assignment]  # info says it is one
    step = engine.info.sample_rate_hz // 5
    handles = [streaming.open_stream() for _ in segments]
    said = [Hypothesis("")] * len(segments)
    for begin in range(0, max(map(len, segments)), step):
        live = [index for index, each in enumerate(segments) if begin < len(each)]
        pieces = [
            Piece(
                handles[index],
                segments[index][begin : begin + step],
                last=begin + step >= len(segments[index]),
            )
            for index in live
        ]
        for index, answer in zip(live, streaming.advance(pieces), strict=True):
            check_times(answer, engine.info, begin + step)
            said[index] = answer
    assert said == heard if case.repeats else all(each.text for each in said)


# -- models that cannot be used


def linked(source: Path, folder: Path, left_out: Path) -> Path:
    """Return a copy of a model that is links to it, without one of its files."""
    for path in source.rglob("*"):
        name = path.relative_to(source)
        (folder / name.parent).mkdir(parents=True, exist_ok=True)
        if path.is_file() and name != left_out:
            (folder / name).symlink_to(path.resolve())
    return folder


def break_all(case: Case, root: Path) -> list[tuple[Path, list[str]]]:
    """Return a broken model for each file and way, with what the child must be told of it."""
    whole = case.make(root / "whole")
    assert whole.model_dir is not None
    names = [
        path.relative_to(whole.model_dir)
        for path in sorted(whole.model_dir.rglob("*"))
        if path.suffix in (".onnx", ".txt", ".mdl", ".fst") and "phones" not in path.name
    ]
    folders = [root / "empty"]
    folders[0].mkdir()
    for name in names:
        for content in (LFS_POINTER, b"", None):
            folders.append(linked(whole.model_dir, root / str(len(folders)), name))
            if content is not None:
                (folders[-1] / name).write_bytes(content)
    return [(folder, [whole.engine, str(folder), whole.family, "cpu"]) for folder in folders]


ONE_OF_EACH = {
    "sherpa: gigaam-v3-rnnt-sherpa",
    "onnx: gigaam-v3-ctc",
    "onnx: gigaam-v3-rnnt",
    "sherpa_online: zipformer",
    "tone: T-one",
    "kaldi",
}


@pytest.mark.parametrize(
    "case",
    [case for case in CASES if case.name in ONE_OF_EACH and not case.missing],
    ids=lambda case: case.name,
)
def test_a_broken_model_ends_in_a_sentence_not_in_a_dead_process(
    case: Case, tmp_path: Path
) -> None:
    broken = break_all(case, tmp_path)
    child = subprocess.run(
        [sys.executable, "-c", CHILD],
        input="\n".join(json.dumps(told) for _, told in broken),
        capture_output=True,
        text=True,
        timeout=CHILD_TIMEOUT_S,
        check=False,
    )
    assert child.returncode == 0, child.stderr[-2000:]
    answers = [json.loads(line) for line in child.stdout.splitlines()]
    for (folder, _), (error, sentence) in zip(broken, answers, strict=True):
        assert error == "ModelLoadError", (folder, sentence)
        assert str(folder) in sentence
        assert "\n" not in sentence


@pytest.mark.parametrize("engine_name", ["sherpa", "onnx", "sherpa_online", "tone"])
def test_a_provider_that_is_not_there_is_a_config_error(engine_name: str, tmp_path: Path) -> None:
    case = next(each for each in CASES if each.name.startswith(f"{engine_name}: "))
    spec = replace(case.make(tmp_path), provider="tpu")
    told = [spec.engine, str(spec.model_dir), spec.family, spec.provider]
    child = subprocess.run(
        [sys.executable, "-c", CHILD],
        input=json.dumps(told),
        capture_output=True,
        text=True,
        timeout=CHILD_TIMEOUT_S,
        check=True,
    )
    error, sentence = json.loads(child.stdout)
    assert error == "ConfigError", sentence
    assert "tpu" in sentence
