import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from ruasr_tel.engines import sherpa
from ruasr_tel.engines.base import DecodeOptions, Engine, EngineInfo, EngineSpec, Hypothesis
from ruasr_tel.engines.sherpa import SherpaEngine, create, cuda_refusal
from ruasr_tel.engines.sherpa_hotwords import Hotwords
from ruasr_tel.errors import ConfigError, DecodeError, ModelLoadError
from ruasr_tel.models.catalog import Catalog, to_spec
from tests.core.broken_models import CTC, MODELS_DIR, NEMO, TRANSDUCER, good_model, hearing_model
from tests.core.engines.prompts import Prompt, letter_errors, spoken_prompts
from tests.core.model_faults import FILE_FAULTS, GRAPH_FAULTS, Fault

CHILD_TIMEOUT_S = 120

# Loads one folder a line; a fault that our checks miss may end this process, never pytest's.
CHILD = """
import json, sys
from pathlib import Path
import numpy as np
from ruasr_tel.engines.base import EngineSpec
from ruasr_tel.engines.sherpa import create
from ruasr_tel.errors import RuasrError
for line in sys.stdin:
    folder, family = json.loads(line)
    try:
        engine = create(EngineSpec("sherpa", "broken", Path(folder), family))
        engine.decode([np.zeros(16000, dtype=np.float32)])
        answer = ["loaded", ""]
    except RuasrError as exc:
        answer = [type(exc).__name__, str(exc)]
    print(json.dumps(answer), flush=True)
"""


@pytest.fixture(scope="module")
def spoken() -> list[Prompt]:
    return spoken_prompts()


@pytest.fixture(scope="module")
def ctc() -> Engine:
    return create(to_spec(Catalog.load(MODELS_DIR).resolve("ru-mini-ctc-8k"), engine="sherpa"))


@pytest.fixture(scope="module")
def transducer() -> Engine:
    return create(to_spec(Catalog.load(MODELS_DIR).resolve("ru-mini-transducer-8k")))


@pytest.fixture(params=["ctc", "transducer"])
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.getfixturevalue(request.param)
    return found


def test_the_engine_tells_what_it_is(ctc: Engine, transducer: Engine) -> None:
    assert ctc.info == EngineInfo(
        engine="sherpa", model="ru-mini-ctc-8k", sample_rate_hz=16000, confidence=False
    )
    assert transducer.info == EngineInfo(
        engine="sherpa",
        model="ru-mini-transducer-8k",
        sample_rate_hz=16000,
        confidence=True,
        hotwords=True,
        closed_lists=True,
    )


def test_real_prompts_become_text(engine: Engine, spoken: list[Prompt]) -> None:
    heard = engine.decode([prompt.samples for prompt in spoken])
    errors = sum(
        letter_errors(hypothesis.text, prompt.text)
        for hypothesis, prompt in zip(heard, spoken, strict=True)
    )
    assert len(spoken) == 12
    # measured: 4.8 % (CTC), 4.9 % (transducer) of these letters; int8 differs a little by CPU
    assert errors / sum(len(prompt.text) for prompt in spoken) < 0.12


def test_tokens_make_the_text_and_times_grow(engine: Engine, spoken: list[Prompt]) -> None:
    for prompt, heard in zip(spoken, engine.decode([p.samples for p in spoken]), strict=True):
        assert heard.text == " ".join("".join(heard.tokens).split())
        assert len(heard.starts_s) == len(heard.tokens) > 0
        assert sorted(heard.starts_s) == list(heard.starts_s)
        assert 0 <= heard.starts_s[0] < heard.starts_s[-1] <= len(prompt.samples) / 16000


def test_only_a_transducer_has_probabilities(
    ctc: Engine, transducer: Engine, spoken: list[Prompt]
) -> None:
    samples = [spoken[0].samples]
    assert ctc.decode(samples)[0].log_probs is None
    (heard,) = transducer.decode(samples)
    assert heard.log_probs is not None
    assert len(heard.log_probs) == len(heard.tokens)
    assert all(value <= 0 for value in heard.log_probs)


def test_silence_is_empty(ctc: Engine, transducer: Engine) -> None:
    silence = [np.zeros(16000, dtype=np.float32)]
    assert ctc.decode(silence) == [Hypothesis("")]
    assert transducer.decode(silence) == [Hypothesis("", log_probs=())]


def test_an_empty_batch_never_reaches_sherpa(engine: Engine) -> None:
    assert engine.decode([]) == []  # decode_streams([]) is a SIGSEGV


@pytest.mark.parametrize("seconds", [0.1, 20.0])
def test_the_shortest_and_the_longest_segment_decode(engine: Engine, seconds: float) -> None:
    noise = np.random.default_rng(0).normal(0, 0.001, int(seconds * 16000)).astype(np.float32)
    assert len(engine.decode([noise])) == 1


def test_threads_share_one_engine(engine: Engine, spoken: list[Prompt]) -> None:
    samples = [prompt.samples for prompt in spoken[:4]]
    alone = engine.decode(samples)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda one: engine.decode([one])[0], samples * 2))
    assert together == alone * 2


def test_a_transducer_prefers_phrases_and_keeps_to_lists(
    transducer: Engine, spoken: list[Prompt]
) -> None:
    short = [prompt for prompt in spoken if len(prompt.samples) < 7 * 16000]
    samples = [prompt.samples for prompt in short]
    preferred = DecodeOptions(phrases=("несуществующее слово", "пин 5"), boost=3.0)
    led = transducer.decode(samples, preferred)
    assert all(
        letter_errors(h.text, p.text) < 0.2 * len(p.text) for h, p in zip(led, short, strict=True)
    )
    phrases = tuple(prompt.text for prompt in spoken)
    found = transducer.decode(samples, DecodeOptions(phrases=phrases, closed=True))
    assert [one.text for one in found] == [prompt.text for prompt in short]
    other = DecodeOptions(phrases=("да", "нет", "[unk]"), closed=True)
    wrong = transducer.decode(samples, other)
    assert all(one.text.startswith("[unk]") for one in wrong)
    assert min(one.match or 0 for one in found) > 0.8 > 0.5 > max(one.match or 0 for one in wrong)


def test_the_second_recogniser_is_loaded_once_and_only_when_asked_for() -> None:
    made: list[FakeRecognizer] = []

    def load_beam() -> FakeRecognizer:
        made.append(FakeRecognizer(text="да", tokens=["да"], timestamps=[0], ys_log_probs=[-1.0]))
        return made[-1]

    greedy = FakeRecognizer(text="до", tokens=["до"], timestamps=[0], ys_log_probs=[-1.0])
    info = EngineInfo("sherpa", "fake", 16000, hotwords=True)
    engine = SherpaEngine(greedy, info, Hotwords(("д", "а", " ")), load_beam)
    audio = [np.zeros(1600, dtype=np.float32)]
    assert engine.decode(audio)[0].text == "до"
    assert made == []
    for _ in range(2):
        assert engine.decode(audio, DecodeOptions(phrases=("Да",)))[0].text == "да"
    assert [one.hotwords for one in made] == [["да :1.50", "да :1.50"]]
    assert greedy.hotwords == [""]


def test_what_sherpa_raises_is_a_decode_error(ctc: Engine) -> None:
    with pytest.raises(DecodeError, match=r"could not decode a segment of 0\.00 s: "):
        ctc.decode([np.zeros(10, dtype=np.float32)])


class FakeRecognizer:
    """Answers every stream with one result."""

    def __init__(self, **result: Any) -> None:
        self._result = SimpleNamespace(**result)
        self.hotwords: list[str] = []

    def create_stream(self, hotwords: str = "") -> Any:
        self.hotwords.append(hotwords)
        return SimpleNamespace(accept_waveform=lambda rate, samples: None, result=self._result)

    def decode_stream(self, stream: Any) -> None: ...


@pytest.mark.parametrize("log_probs", [[-0.1], [-0.1, float("nan"), -0.3]])
def test_unusable_probabilities_are_none(log_probs: list[float]) -> None:
    recognizer = FakeRecognizer(
        text=" да  нет ", tokens=[" да", " ", "нет"], timestamps=[0, 1, 2], ys_log_probs=log_probs
    )
    engine = SherpaEngine(recognizer, EngineInfo("sherpa", "fake", 16000, confidence=True))
    assert engine.decode([np.zeros(1600, dtype=np.float32)]) == [
        Hypothesis("да нет", (" да", " ", "нет"), (0.0, 1.0, 2.0), None)
    ]


def test_files_are_found_without_the_catalogue(tmp_path: Path, spoken: list[Prompt]) -> None:
    spec = EngineSpec("sherpa", "mine", hearing_model(tmp_path / "mine", TRANSDUCER), TRANSDUCER)
    (heard,) = create(spec).decode([spoken[0].samples])
    assert letter_errors(heard.text, spoken[0].text) < 0.2 * len(spoken[0].text)


def test_windows_line_ends_change_nothing(
    tmp_path: Path, ctc: Engine, spoken: list[Prompt]
) -> None:
    folder = hearing_model(tmp_path / "mine", CTC)
    tokens = folder / "tokens.txt"
    tokens.write_bytes(tokens.read_bytes().replace(b"\n", b"\r\n"))
    engine = create(EngineSpec("sherpa", "mine", folder, CTC))
    samples = [spoken[0].samples]
    assert engine.decode(samples) == ctc.decode(samples)


# -- models that cannot be used


def load_in_children(folders: Sequence[tuple[Path, str]]) -> Iterator[tuple[str, str]]:
    """Yield (error, sentence) for every (folder, family); a child that dies is replaced."""
    waiting = [json.dumps([str(folder), family]) for folder, family in folders]
    while waiting:
        child = subprocess.run(
            [sys.executable, "-c", CHILD],
            input="\n".join(waiting),
            capture_output=True,
            text=True,
            timeout=CHILD_TIMEOUT_S,
            check=False,
        )
        answers = [json.loads(line) for line in child.stdout.splitlines()]
        yield from (tuple(answer) for answer in answers)
        if len(answers) < len(waiting):
            yield f"process ended with {child.returncode}", child.stderr
            answers.append(())
        del waiting[: len(answers)]


ALL_FAULTS = [*FILE_FAULTS, *GRAPH_FAULTS]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, tuple[Path, str, str]]:
    """Fault name -> (folder, error, sentence), each loaded as the engine process would."""
    root = tmp_path_factory.mktemp("faults")
    folders = []
    for index, fault in enumerate(ALL_FAULTS):
        folder = good_model(root / str(index), fault.family)
        fault.damage(folder)
        folders.append((folder, fault.family))
    results = load_in_children(folders)
    return {
        fault.name: (folder, error, sentence)
        for fault, (folder, _), (error, sentence) in zip(ALL_FAULTS, folders, results, strict=True)
    }


@pytest.mark.parametrize("fault", ALL_FAULTS, ids=lambda fault: fault.name)
def test_a_broken_model_ends_in_a_sentence_not_in_a_dead_process(
    outcomes: Mapping[str, tuple[Path, str, str]], fault: Fault
) -> None:
    folder, error, sentence = outcomes[fault.name]
    assert error == "ModelLoadError", sentence
    assert "\n" not in sentence
    for words in (str(folder), *fault.says):
        assert words in sentence


def test_a_nemo_transducer_loads(tmp_path: Path) -> None:
    folder = good_model(tmp_path / "nemo", NEMO)
    assert list(load_in_children([(folder, NEMO)])) == [("loaded", "")]


def test_a_model_that_only_sherpa_refuses_ends_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = good_model(tmp_path / "mine", CTC)
    (folder / "model.int8.onnx").write_bytes(b"x" * 1000)
    monkeypatch.setattr(sherpa, "check_graphs", lambda files, family, table: 64)
    with pytest.raises(ModelLoadError) as caught:
        create(EngineSpec("sherpa", "mine", folder, CTC))
    assert str(caught.value).startswith(f"sherpa-onnx cannot load mine from {folder}: ")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    spec = EngineSpec("sherpa", "mine", tmp_path / "gone", CTC)
    with pytest.raises(ModelLoadError, match=r"model mine: .*gone is not a folder"):
        create(spec)


def test_an_unknown_family_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no family 'whisper'; known: transducer, nemo_trans"):
        create(EngineSpec("sherpa", "mine", tmp_path, "whisper"))


def test_onnxruntime_keeps_nothing_for_every_length_that_it_has_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sherpa_onnx

    given: list[tuple[str, str]] = []

    def maker(**arguments: Any) -> FakeRecognizer:
        kind, _, path = arguments["provider"].partition(":")
        given.append((kind, Path(path).read_text("ascii")))
        return FakeRecognizer(text="", tokens=[], timestamps=[], ys_log_probs=[])

    monkeypatch.setattr(sherpa_onnx.OfflineRecognizer, "from_nemo_ctc", maker)
    create(EngineSpec("sherpa", "mine", good_model(tmp_path / "mine", CTC), CTC))
    assert given == [("cpu", "EnableMemPattern=0\n")]


# -- where it runs


@pytest.mark.parametrize(
    ("version", "libraries"),
    [
        ("2.0.1", ["_sherpa_onnx.so"]),
        ("2.0.1", ["libonnxruntime_providers_cuda.so"]),
        ("2.0.1+cuda12.cudnn9.onnxruntime1.27.1", ["libonnxruntime.so"]),
    ],
)
def test_a_build_without_cuda_is_told_apart(version: str, libraries: list[str]) -> None:
    refusal = cuda_refusal(version, libraries)
    assert refusal is not None
    assert f"{version} is the CPU build" in refusal
    assert "pip install sherpa-onnx --no-index -f https://k2-fsa.github.io" in refusal


def test_a_build_with_cuda_is_accepted() -> None:
    libraries = ["libonnxruntime.so", "libonnxruntime_providers_cuda.so"]
    assert cuda_refusal("2.0.1+cuda12.cudnn9.onnxruntime1.27.1", libraries) is None


@pytest.fixture
def mini() -> Callable[[str], EngineSpec]:
    model = Catalog.load(MODELS_DIR).resolve("ru-mini-ctc-8k")
    return lambda provider: to_spec(model, provider)


@pytest.fixture
def cuda_build(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the installed CPU build look like a CUDA build."""
    monkeypatch.setattr(metadata, "version", lambda name: "2.0.1+cuda12")
    files = [SimpleNamespace(name="libonnxruntime_providers_cuda.so")]
    monkeypatch.setattr(metadata, "files", lambda name: files)


def test_cuda_on_a_cpu_build_is_refused(mini: Callable[[str], EngineSpec]) -> None:
    with pytest.raises(ConfigError, match="provider cuda needs the CUDA build of sherpa-onnx"):
        create(mini("cuda"))


@pytest.mark.usefixtures("cuda_build")
def test_cuda_that_falls_back_is_refused(mini: Callable[[str], EngineSpec]) -> None:
    with pytest.raises(ConfigError, match="fell back to the CPU: no usable CUDA driver or device"):
        create(mini("cuda"))


@pytest.mark.usefixtures("cuda_build")
def test_auto_falls_back_to_the_cpu_and_says_why(mini: Callable[[str], EngineSpec]) -> None:
    info = create(mini("auto")).info
    assert info.provider == "cpu"
    assert "fell back to the CPU: no usable CUDA driver or device" in info.fallback


@pytest.mark.usefixtures("cuda_build")
def test_cuda_works_on_the_first_gpu_alone(
    mini: Callable[[str], EngineSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sherpa, "_is_mapped", lambda library: True)
    info = create(mini("auto")).info
    assert (info.provider, info.slots) == ("cuda", 1)
    with pytest.raises(ConfigError, match=r"set it to 0, and CUDA_VISIBLE_DEVICES=2 in the env"):
        create(EngineSpec("sherpa", "x", None, CTC, provider="cuda", options={"gpu": 2}))


def test_auto_on_a_cpu_build_is_the_cpu(mini: Callable[[str], EngineSpec]) -> None:
    assert create(mini("auto")).info.provider == "cpu"


def test_an_unknown_provider_is_named(mini: Callable[[str], EngineSpec]) -> None:
    with pytest.raises(ConfigError, match="provider 'trt' is unknown; known: auto, cpu, cuda"):
        create(mini("trt"))


def test_a_missing_package_is_named(
    mini: Callable[[str], EngineSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", absent)
    with pytest.raises(ConfigError, match="pip install sherpa-onnx"):
        create(mini("cpu"))
