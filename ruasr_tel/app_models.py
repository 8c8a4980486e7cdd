"""The part of the composition root that recognises: models, their engines, the detector."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from ruasr_tel.config import Config
from ruasr_tel.engines.base import EngineInfo
from ruasr_tel.engines.process import EngineProcess
from ruasr_tel.errors import ConfigError, ModelLoadError
from ruasr_tel.language.choice import parse
from ruasr_tel.metrics import Metrics
from ruasr_tel.models.catalog import Catalog, Model, default_models_dir, to_spec
from ruasr_tel.models.lms import Options, options
from ruasr_tel.models.lms import state as lms_state
from ruasr_tel.models.probe import CPU_ONLY, state
from ruasr_tel.recognisers import Recogniser, Recognisers, Wanted
from ruasr_tel.scheduler import Scheduler
from ruasr_tel.vad import Vad, VadBatcher, create_vad

VAD_MODEL = Path("silero-vad/silero_vad_op18_ifless.onnx")
"""The voice activity detector's file below the models folder."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Recognition:
    """Everything between samples and text, running.

    Attributes:
        recognisers: the running models.
        batcher: scores windows.
        notice: what must be said about the configured model at start-up, or None.
    """

    recognisers: Recognisers
    batcher: VadBatcher
    notice: str | None

    @property
    def scheduler(self) -> Scheduler:
        """That of the default model."""
        return self.recognisers.default.scheduler

    @property
    def engine(self) -> EngineProcess:
        """That of the default model."""
        engine = self.recognisers.default.engine
        assert engine is not None, "a ModelLoader made it"
        return engine


@dataclass(frozen=True, slots=True)
class Chosen:
    """A model, and what a configuration says of it.

    Attributes:
        config: `engine` speaks of this model; `profiles` are those whose segments it decodes.
        model: where it lies.
        notice: why it does not run where `engine.provider` says, or empty.
    """

    config: Config
    model: Model
    notice: str = ""

    @property
    def engine(self) -> str:
        """Name of the engine that runs it.

        Raises:
            ConfigError: it does not run on the configured one.
        """
        return self.model.entry.engine_named(self.config.engine.engine)


class ModelLoader:
    """Makes recognisers as a configuration says.

    Args:
        config: the models folder, the engine, how it is watched and shared.
        catalog: what exists.
    """

    def __init__(self, config: Config, catalog: Catalog) -> None:
        self._config = config
        self._catalog = catalog

    def key(self, name: str) -> str:
        """Return what a model of that name is made from; see `Loader.key`.

        Raises:
            ConfigError: there is no such model.
            ModelLoadError: it is not on this machine.
        """
        chosen = self.choose(name)
        config, model = chosen.config, chosen.model
        model = replace(model, folder=model.folder.resolve())  # one key, however it was named
        how = config.engine.model_dump_json(exclude={"model"})
        lms = language_models(config, model)
        files = f"{dict(lms)} {lms_state(lms)} {state(model.candidates())}"
        return f"{model.folder} {model.entry.family} {how} {files}"

    async def load(self, name: str) -> Recogniser:
        """Return a model, loaded and probed; see `Loader.load`.

        Raises:
            ConfigError: it does not run here.
            ModelLoadError: it cannot be used.
        """
        chosen, key = self.choose(name), self.key(name)  # of the files before they are read
        config, model = chosen.config, chosen.model
        if chosen.notice:
            _log.warning("model runs on the CPU", model=model.entry.name, reason=chosen.notice)
        engine = await asyncio.to_thread(make_engine, config, model)  # it reads the files
        async with AsyncExitStack() as undo:
            undo.push_async_callback(engine.close)
            await engine.start()
            _check_languages(config, engine.info)
            scheduler = Scheduler(engine, config.scheduler)
            await scheduler.start()
            undo.pop_all()
        names = (model.entry.name, *model.entry.aliases)
        return Recogniser(key, names, scheduler, engine)

    def choose(self, name: str) -> Chosen:
        """Return a model and what configures it: much of `engine` speaks of one model only.

        Args:
            name: any of its names, or its folder.

        Raises:
            ConfigError: there is no such model.
            ModelLoadError: it is not on this machine.
        """
        main, place = self._config.engine.model, self._place(name)
        profiles = {
            key: each.model_copy(update={"model": None})
            for key, each in self._config.profiles.items()
            if self._place(each.model or main) == place
        }
        config = self._config.model_copy(update={"profiles": profiles})
        additional = place != self._place(main)
        if additional:
            config = _with_engine(with_model(config, name), lm=None)
        model = self._catalog.resolve(config.engine.model, config.engine.family)
        if config.engine.lm is None:
            self._check_own_languages(model)
        chosen = Chosen(config, model)
        return _where_it_runs(chosen) if additional else chosen

    def _place(self, name: str) -> Path:
        """Return what all names of one model have in common: its folder."""
        entry = self._catalog.entry(name)
        folder = Path(name).expanduser() if entry is None else self._catalog.folder_of(entry)
        return folder.resolve()

    def _check_own_languages(self, model: Model) -> None:
        for path in (model.folder / one.path for one in parse(model.entry.lm)):
            if not path.is_file():
                raise ModelLoadError(
                    f"{path} is missing, a language model of {model.entry.name} itself; bring it "
                    f"with: {self._catalog.bring_command(model.entry)}; or set engine.lm to none"
                )


def _where_it_runs(chosen: Chosen) -> Chosen:
    """Return a model beside `engine.model`, on the CPU if its engine knows nothing else."""
    if chosen.config.engine.provider != "cuda" or chosen.engine not in CPU_ONLY:
        return chosen
    notice = (
        f"{chosen.model.entry.name} runs on the CPU, for engine {chosen.engine} has no CUDA; "
        "engine.provider cuda holds for the other models"
    )
    return Chosen(_with_engine(chosen.config, provider="cpu"), chosen.model, notice)


def _with_engine(config: Config, **changed: object) -> Config:
    return config.model_copy(update={"engine": config.engine.model_copy(update=changed)})


def with_model(config: Config, name: str) -> Config:
    """Return a configuration with another `engine.model`, which its own engine runs."""
    return _with_engine(config, model=name, family=None, engine=None)


def wanted(config: Config) -> Wanted:
    """Return the models that a configuration names."""
    profiles = config.profiles.items()
    return Wanted(
        config.engine.model,
        [profile.model for _, profile in profiles if profile.model is not None],
        {
            f"profiles.{name}.partials.model": profile.partials.model
            for name, profile in profiles
            if profile.partials.model is not None and profile.partials.enabled
        },
    )


def find_catalog(config: Config) -> Catalog:
    """Return the configured catalogue.

    Raises:
        ConfigError: there is none.
    """
    return Catalog.load(config.models.dir or default_models_dir())


def find_model(config: Config) -> tuple[Catalog, Model]:
    """Return the catalogue and the configured model.

    Raises:
        ConfigError: there is no such model.
        ModelLoadError: it is known but not on this machine.
    """
    catalog = find_catalog(config)
    return catalog, catalog.resolve(config.engine.model, config.engine.family)


def make_engine(config: Config, model: Model) -> EngineProcess:
    """Return the configured engine process, not started.

    Raises:
        ModelLoadError: the model's files cannot be right; checked before anything is loaded.
    """
    model.check(config.engine.provider)
    threads = config.engine.threads or os.cpu_count() or 1
    more = config.engine.cuda.options() | dict(language_models(config, model))
    spec = to_spec(model, config.engine.provider, threads, config.engine.engine, more)
    return EngineProcess(spec, config.process)


def language_models(config: Config, model: Model) -> Options:
    """Return what the engine of a model is told of language models.

    Args:
        config: `engine` is that of this model.
        model: that they are for.
    """
    asked, lm = _asked_by_profiles(config), config.engine.lm
    chosen = model.entry.lm if lm is None else lm
    return options(model.folder, chosen, asked.values(), config.engine.lm_width)


def _asked_by_profiles(config: Config) -> dict[str, str]:
    """Return the language models that profiles name for `engine.model`, by the key."""
    return {
        f"profiles.{name}.lm": profile.lm
        for name, profile in config.profiles.items()
        if profile.lm is not None and profile.model in (None, config.engine.model)
    }


def _check_languages(config: Config, info: EngineInfo) -> None:
    """See that an engine takes the language models that somebody wants of it.

    Raises:
        ConfigError: it does not.
    """
    asked = {"engine.lm": config.engine.lm} | _asked_by_profiles(config)
    for key, lm in asked.items():
        if not info.lms and parse(lm or ""):
            raise ConfigError(
                f"{key} is {lm!r}, but {info.model} on engine {info.engine} takes no language "
                "model; CTC models do, on the engines onnx and tone: leave it out for this one"
            )


def make_vad(config: Config, models_dir: Path) -> Vad:
    """Return the configured voice activity detector.

    Raises:
        ModelLoadError: its file is missing or bad.
    """
    return create_vad(config.vad, models_dir / VAD_MODEL)


@asynccontextmanager
async def recognition(config: Config, metrics: Metrics | None = None) -> AsyncIterator[Recognition]:
    """Run the models and the detector for as long as the context lasts.

    Raises:
        ConfigError: the configuration cannot be used.
        ModelLoadError: a model cannot be used.
    """
    catalog, model = find_model(config)
    batcher = VadBatcher(make_vad(config, catalog.models_dir), config.vad)
    counted = metrics or Metrics()
    async with AsyncExitStack() as stack:
        recognisers = Recognisers(lambda name, calls: counted.model_calls.labels(name).set(calls))
        stack.push_async_callback(recognisers.close)
        await recognisers.use(wanted(config), ModelLoader(config, catalog))
        stack.push_async_callback(batcher.close)
        await batcher.start()
        yield Recognition(recognisers, batcher, catalog.embedded_notice(model))
