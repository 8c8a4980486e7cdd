"""Which models a configuration wants, and how they are made; with the embedded ones."""

import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from structlog.testing import capture_logs

from ruasr_tel.app_models import ModelLoader, find_catalog, recognition, wanted, with_model
from ruasr_tel.config import Config, load_config
from ruasr_tel.engines.base import DecodeOptions
from ruasr_tel.errors import ConfigError, ModelLoadError
from ruasr_tel.language import arpa
from ruasr_tel.language.kneser_ney import estimate
from ruasr_tel.metrics import Metrics
from ruasr_tel.profile import Profile
from ruasr_tel.recognisers import Wanted
from tests.core.broken_models import good_model
from tests.layouts_online import write_toy_zipformer

CTC, TRANSDUCER = "ru-mini-ctc-8k", "ru-mini-transducer-8k"


def configured(tmp_path: Path, yaml: str = "", **overrides: Any) -> Config:
    path = tmp_path / "ruasr.yaml"
    path.write_text(yaml, encoding="utf-8")
    given = {name.replace("__", "."): value for name, value in overrides.items()}
    return load_config(path, environ={}, overrides=given).config


def test_profiles_may_name_models(tmp_path: Path) -> None:
    config = configured(
        tmp_path,
        "profiles:\n"
        "  live: {model: a, partials: {model: b}}\n"
        "  quiet: {partials: {model: c, enabled: false}}\n",
    )
    assert wanted(config) == Wanted(CTC, ["a"], {"profiles.live.partials.model": "b"})
    assert wanted(config).names == [CTC, "a", "b"]


def test_equal_models_have_equal_keys_and_what_matters_makes_others(tmp_path: Path) -> None:
    config = configured(tmp_path)
    catalog = find_catalog(config)
    loader = ModelLoader(config, catalog)
    folder = str(catalog.resolve(CTC).folder)
    key = loader.key(CTC)
    assert ModelLoader(configured(tmp_path), catalog).key(CTC) == key == loader.key(folder)
    assert loader.key(TRANSDUCER) != key
    assert ModelLoader(configured(tmp_path, engine__threads=7), catalog).key(CTC) != key
    with pytest.raises(ConfigError):
        loader.key("no such model")


def test_a_model_is_the_same_under_any_of_its_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    yaml = f"profiles: {{loud: {{model: {CTC.upper()}, lm: none}}}}"
    config = configured(tmp_path, yaml, engine__lm="none", engine__engine="sherpa")
    folder = find_catalog(config).resolve(CTC).folder.resolve()
    monkeypatch.chdir(folder.parents[1])
    relative = configured(tmp_path, yaml, models__dir="models")
    for loader in (ModelLoader(each, find_catalog(each)) for each in (config, relative)):
        names = (CTC, CTC.upper(), str(folder), f"models/{CTC}")
        assert len({loader.key(name) for name in names}) == 1


def test_changed_files_are_another_model(tmp_path: Path) -> None:
    folder = good_model(tmp_path / "mine", "nemo_ctc")
    config = configured(tmp_path, engine__model=str(folder))
    loader = ModelLoader(config, find_catalog(config))
    keys = [loader.key(str(folder))]
    for part in ("model.int8.onnx", "tokens.txt"):
        with (folder / part).open("ab") as file:
            file.write(b" ")
        keys.append(loader.key(str(folder)))
    (folder / "notes.txt").write_text("of the operator")
    keys.append(loader.key(str(folder)))
    assert [key != before for before, key in pairwise(keys)] == [True, True, False]


@pytest.mark.parametrize(
    ("kind", "engine"), [("x-streaming-ru", "sherpa_online"), ("kaldi-ru", "kaldi")]
)
def test_a_model_beside_the_main_one_runs_on_the_cpu_if_its_engine_has_no_cuda(
    tmp_path: Path, kind: str, engine: str
) -> None:
    folder = tmp_path / kind
    write_toy_zipformer(folder)
    if engine == "kaldi":
        (folder / "final.mdl").touch()
    beside = configured(
        tmp_path, engine__provider="cuda", profiles__default__partials__model=str(folder)
    )
    loader = ModelLoader(beside, find_catalog(beside))
    chosen = loader.choose(str(folder))
    assert (chosen.engine, chosen.config.engine.provider) == (engine, "cpu")
    assert chosen.notice == (
        f"{kind} runs on the CPU, for engine {engine} has no CUDA; "
        "engine.provider cuda holds for the other models"
    )
    for name in (CTC, TRANSDUCER):
        chosen = loader.choose(name)
        assert (chosen.config.engine.provider, chosen.notice) == ("cuda", "")
    alone = configured(tmp_path, engine__provider="cuda", engine__model=str(folder))
    chosen = ModelLoader(alone, find_catalog(alone)).choose(str(folder))
    assert (chosen.config.engine.provider, chosen.notice) == ("cuda", "")  # its engine refuses


async def test_a_model_on_the_cpu_beside_cuda_loads_and_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "x-streaming-ru"
    write_toy_zipformer(folder)
    config = configured(tmp_path, engine__provider="cuda", engine__threads=1)
    with capture_logs() as logs:
        recogniser = await ModelLoader(config, find_catalog(config)).load(str(folder))
        await recogniser.stop()
    assert recogniser.info.provider == "cpu"
    (said,) = [line for line in logs if line["event"] == "model runs on the CPU"]
    assert (said["log_level"], said["model"]) == ("warning", folder.name)
    assert "engine sherpa_online has no CUDA" in said["reason"]


def test_family_and_engine_speak_of_the_configured_model_alone(tmp_path: Path) -> None:
    config = configured(tmp_path, engine__family="nemo_ctc", engine__engine="sherpa")
    changed = with_model(config, TRANSDUCER).engine
    assert (changed.model, changed.family, changed.engine) == (TRANSDUCER, None, None)
    assert changed.provider == config.engine.provider


async def test_a_model_of_two_profiles_runs_once_and_tells_its_calls(tmp_path: Path) -> None:
    metrics = Metrics()
    config = configured(
        tmp_path,
        f"profiles: {{one: {{model: {TRANSDUCER}}}, two: {{model: {TRANSDUCER}}}}}",
        engine__threads=1,
    )
    async with recognition(config, metrics) as parts:
        assert {CTC, TRANSDUCER} <= set(parts.recognisers)
        assert len(parts.recognisers.running) == 2
        assert parts.engine.slots == 1
        assert parts.scheduler is parts.recognisers.default.scheduler
        assert parts.recognisers.default.ready
        loan = parts.recognisers.lend(TRANSDUCER)
        labels = {"model": TRANSDUCER}
        assert metrics.registry.get_sample_value("ruasr_model_calls_active", labels) == 1
        assert loan.finals.info.model == TRANSDUCER
        loan.give_back()
    assert not parts.recognisers.running


async def test_a_model_that_is_not_here_is_named(tmp_path: Path) -> None:
    config = configured(tmp_path, "profiles: {default: {model: gigaam-v2-ctc}}")
    with pytest.raises(ModelLoadError, match="gigaam-v2-ctc"):
        async with recognition(config):
            pytest.fail("it must not come up")


@pytest.fixture
def lm(tmp_path: Path) -> Path:
    path = tmp_path / "letters.arpa"
    text = [[*"новый▁номер"], [*"набран▁неверно"]]
    arpa.write(estimate(text, 3), path)
    return path


async def test_language_models_of_server_and_profiles_are_loaded(tmp_path: Path, lm: Path) -> None:
    wish = f"{lm}:2:0"
    config = configured(
        tmp_path,
        f"profiles: {{letters: {{lm: '{wish}'}}, plain: {{lm: none}}}}",
        engine__threads=1,
        engine__lm=f"{lm}",
    )
    async with recognition(config) as parts:
        info = parts.recognisers.default.info
        assert info.lms
        assert info.lm == str(lm)
        options = [config.profiles[name].options for name in ("default", "letters", "plain")]
        assert [one.lm for one in options] == ["", wish, "none"]
        noise = np.random.default_rng(0).integers(-3000, 3000, 8000).astype(np.int16)
        for one in options:
            (found,) = await parts.engine.decode([(noise, 8000)], one)
            assert (found.score is None) == (one.lm == "none")  # greedy search has no score


async def test_a_language_model_that_cannot_be_used_keeps_the_server_from_starting(
    tmp_path: Path,
) -> None:
    config = configured(tmp_path, engine__lm=__file__)
    with pytest.raises(ModelLoadError, match=r"test_app_models\.py, line 1.., has no line .data."):
        async with recognition(config):
            pytest.fail("it must not come up")


async def test_a_model_that_takes_no_language_model_says_so(tmp_path: Path, lm: Path) -> None:
    config = configured(tmp_path, engine__lm=str(lm), engine__model=TRANSDUCER)
    with pytest.raises(ConfigError, match="engine sherpa takes no language model; CTC models do"):
        async with recognition(config):
            pytest.fail("it must not come up")


def test_a_changed_language_model_is_another_model(tmp_path: Path, lm: Path) -> None:
    config = configured(tmp_path, f"profiles: {{letters: {{lm: {lm}}}}}")
    loader = ModelLoader(config, find_catalog(config))
    key, other = loader.key(CTC), loader.key(TRANSDUCER)
    lm.write_text("changed", "utf-8")
    assert loader.key(CTC) != key
    assert loader.key(TRANSDUCER) == other  # no profile asks it of that model


def test_a_missing_language_model_of_the_model_itself_comes_with_its_own_cure(
    tmp_path: Path,
) -> None:
    models = find_catalog(configured(tmp_path)).models_dir
    folder = tmp_path / CTC
    shutil.copytree(models / CTC, folder)
    shutil.copy(models / "catalog.yaml", tmp_path)
    (folder / "words.npz").unlink()
    config = configured(tmp_path, models__dir=tmp_path)
    with pytest.raises(ModelLoadError) as refused:
        ModelLoader(config, find_catalog(config)).choose(CTC)
    assert str(refused.value) == (
        f"{folder}/words.npz is missing, a language model of {CTC} itself; bring it with: "
        f"git checkout -- {folder}; or set engine.lm to none"
    )
    without = configured(tmp_path, models__dir=tmp_path, engine__lm="none")
    assert ModelLoader(without, find_catalog(without)).choose(CTC).model.folder == folder


@pytest.mark.parametrize("key", ["engine.lm", "profiles.default.lm"])
def test_a_bad_weight_is_named_with_its_key(tmp_path: Path, key: str) -> None:
    with pytest.raises(ConfigError, match=rf"{key} .*'calls.arpa:much' is not FILE, FILE:WEIGHT"):
        configured(tmp_path, **{key.replace(".", "__"): "calls.arpa:much"})


def test_a_call_keeps_its_profiles_language_model_when_it_asks_for_more() -> None:
    profile = Profile(lm="own.arpa")
    assert profile.asking(DecodeOptions(alternatives=3)).options.lm == "own.arpa"
    assert profile.asking(DecodeOptions(lm="none")).options.lm == "none"
