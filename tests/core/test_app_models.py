"""Which models a configuration wants, and how they are made; with the embedded ones."""

from pathlib import Path
from typing import Any

import pytest

from ruasr_tel.app_models import ModelLoader, find_catalog, recognition, wanted, with_model
from ruasr_tel.config import Config, load_config
from ruasr_tel.errors import ConfigError, ModelLoadError
from ruasr_tel.metrics import Metrics
from ruasr_tel.recognisers import Wanted

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
