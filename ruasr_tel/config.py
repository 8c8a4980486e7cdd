"""The configuration: one frozen tree, where each of its values came from, and what is wrong in it.

Sources, the later wins: defaults, the YAML file, the variables of the servers our users come from
(config_env.py), `RUASR__SECTION__KEY`, the command line.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    SerializeAsAny,
    ValidationError,
    create_model,
    field_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from ruasr_tel.call import CallsConfig
from ruasr_tel.config_env import foreign_entries, is_malformed_address
from ruasr_tel.config_keys import Entry, Key, complaints, dotted, nest, refusals, values
from ruasr_tel.config_sources import (
    environment_entries,
    file_entries,
    near_misses,
    override_entries,
)
from ruasr_tel.control import ControlConfig
from ruasr_tel.engines.ctc_search import LED_WIDTH
from ruasr_tel.engines.process import EngineProcessConfig
from ruasr_tel.errors import ConfigError
from ruasr_tel.log import LogConfig
from ruasr_tel.metrics import MetricsConfig
from ruasr_tel.models.entries import language_models
from ruasr_tel.plugins import adapters
from ruasr_tel.profile import DEFAULT_PROFILES, Profile
from ruasr_tel.recordings.config import RecordingsConfig
from ruasr_tel.recordings.deliver import WebhookConfig
from ruasr_tel.recordings.dialogue import DialogueConfig
from ruasr_tel.recordings.fetch import FetchConfig
from ruasr_tel.recordings.watch import WatchConfig
from ruasr_tel.scheduler import SchedulerConfig
from ruasr_tel.section import Section
from ruasr_tel.sinks import SinksConfig
from ruasr_tel.store import StoreConfig
from ruasr_tel.vad.base import VadConfig

CONFIG_VARIABLE = "RUASR_CONFIG"
"""Names the YAML file where the command line does not."""
DEFAULT = "default"
"""The origin of a value that nobody wrote."""


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


class ModelsConfig(Section):
    """Where models lie."""

    dir: Path | None = None
    """Folder of the models' folders; null is the one that came with the server."""
    endpoint: str | None = Field(None, pattern="^https?://")
    """A mirror of huggingface.co for `models pull`; null is what HF_ENDPOINT says, or the hub."""
    archive_mirror: str | None = Field(None, pattern="^https?://")
    """Where `models pull` finds the archives that are not on the hub; null is their own site."""


class CudaConfig(Section):
    """How a GPU is used, by the engines `onnx` and `tone`; docs/cuda.md says how by `sherpa`."""

    device: int = Field(0, ge=0, le=63)
    """Which GPU, as `nvidia-smi` numbers them."""
    memory_mb: int = Field(0, ge=0, le=1_000_000)
    """The most GPU memory of one network's arena, in MiB; 0 is no limit."""
    batch_size: int = Field(16, ge=1, le=256)
    """Segments, or streams of `tone`, that go through the network together at most."""
    goal_ms: float = Field(200.0, ge=10.0, le=10_000.0)
    """Batches of `onnx` are kept so small that one takes no longer, by how fast others were."""

    def options(self) -> dict[str, str | int | float | bool]:
        """Return what the engine's process is told of it."""
        return {
            "gpu": self.device,
            "gpu_memory_mb": self.memory_mb,
            "gpu_batch_size": self.batch_size,
            "gpu_goal_ms": self.goal_ms,
        }


class EngineConfig(Section):
    """Which model recognises, and where it runs."""

    model: str = Field("ru-mini-ctc-8k", min_length=1)
    """A name of the catalogue, one of its other names (Vosk5, Gigaam), or a model's folder."""
    engine: str | None = None
    """Which engine runs it, where several can (`models list`); null is the model's first."""
    provider: Annotated[Literal["auto", "cpu", "cuda"], BeforeValidator(_lower)] = "auto"
    """`cuda` refuses to start without CUDA; `auto` takes it where it works, else the CPU."""
    lm: str | None = None
    """Language models of a CTC model: `FILE`, `FILE:WEIGHT:BONUS`, several with ` + ` between them,
    from the model's folder or the working directory; `none`; null is the model's own."""
    lm_width: int = Field(LED_WIDTH, ge=1, le=100)
    """Texts that the search with a language model keeps; twice as many cost twice as much."""
    threads: int | None = Field(None, ge=1, le=256)
    """Decodes at once, one thread each; null is the number of CPUs; a GPU has one."""
    cuda: CudaConfig = CudaConfig()
    """How a GPU is used."""
    family: str | None = None
    """Kind of a model that the catalogue does not know; null sees it from the folder's files."""

    _lm = field_validator("lm")(language_models)


class Config(BaseSettings):
    """Everything an operator can set."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    log: LogConfig = LogConfig()
    """Log lines."""
    models: ModelsConfig = ModelsConfig()
    """Where models lie."""
    engine: EngineConfig = EngineConfig()
    """Which model recognises, and where it runs."""
    process: EngineProcessConfig = EngineProcessConfig()
    """The child process in which the engine lives."""
    scheduler: SchedulerConfig = SchedulerConfig()
    """Who is recognised first, and when it is too much."""
    vad: VadConfig = VadConfig()
    """Voice activity detection."""
    calls: CallsConfig = CallsConfig()
    """Limits of calls."""
    control: ControlConfig = ControlConfig()
    """How `ruasr-tel models use` reaches the running server."""
    profiles: dict[str, Profile] = Field(default_factory=lambda: dict(DEFAULT_PROFILES))
    """Named ways to listen, chosen per connection; a new name starts from the values below."""
    doors: SerializeAsAny[Section] = Section()
    """One section for each installed adapter."""
    sinks: SinksConfig = SinksConfig()
    """Where events are written."""
    store: StoreConfig = StoreConfig()
    """History of calls and recordings."""
    recordings: RecordingsConfig = RecordingsConfig()
    """Recordings as durable jobs."""
    fetch: FetchConfig = FetchConfig()
    """Fetching recordings from the URLs of orders."""
    webhooks: WebhookConfig = WebhookConfig()
    """Delivering results to the addresses that orders name."""
    dialogue: DialogueConfig = DialogueConfig()
    """How the turns of a dialogue are told apart."""
    watch: WatchConfig = WatchConfig()
    """A folder whose files become recordings."""
    metrics: MetricsConfig = MetricsConfig()
    """Numbers for Prometheus."""

    @field_validator("profiles", mode="before")
    @classmethod
    def _over_the_defaults(cls, given: object) -> object:
        """Keep what a partial profile does not say, and the profiles that are not named."""
        if not isinstance(given, Mapping):
            return given
        return _laid_over(
            {name: each.model_dump() for name, each in DEFAULT_PROFILES.items()}, given
        )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what `load_config` hands over, and nothing behind its back.

        It reads the sources itself, for it must tell where each value was written.
        """
        return (init_settings,)

    def door(self, name: str) -> Any:
        """Return the section of an installed adapter."""
        return getattr(self.doors, name)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration and its history.

    Attributes:
        config: the tree.
        origins: dotted key of every value -> `default`, `file ruasr.yaml, line 3`, ...
        warnings: sentences for the log.
    """

    config: Config
    origins: Mapping[str, str]
    warnings: tuple[str, ...]


@cache
def config_tree() -> type[Config]:
    """Return the class of the tree with a section below `doors` for each installed adapter."""
    sections: dict[str, Any] = {
        name: (
            adapter.config,
            Field(default_factory=adapter.config, description=_first_line(adapter.config)),
        )
        for name, adapter in adapters().items()
    }
    doors = create_model("Doors", __base__=Section, **sections)
    about = Config.model_fields["doors"].description
    return create_model(
        "Config", __base__=Config, doors=(doors, Field(default_factory=doors, description=about))
    )


def load_config(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> Loaded:
    """Read, join and check every source.

    Args:
        path: the YAML file; None takes the one that `RUASR_CONFIG` names, if any.
        environ: all variables; None takes those of this process.
        overrides: values from the command line by dotted key.

    Raises:
        ConfigError: one sentence a line; each names the key, the value, its origin and the cure.
    """
    environ = os.environ if environ is None else environ
    tree = config_tree()
    if path is None and environ.get(CONFIG_VARIABLE):
        path = Path(environ[CONFIG_VARIABLE])
    file = file_entries(path, tree) if path else []
    ours = environment_entries(environ, tree)
    command_line = override_entries(overrides or {}, tree)
    foreign, warnings = foreign_entries(
        environ, tree, [*file, *ours, *command_line], _own_limits(DEFAULT_PROFILES)
    )
    entries = [*file, *foreign, *ours, *command_line]
    _fail(refusals(tree, entries))
    written = {entry.key: entry for entry in entries}
    try:
        config = tree(**nest(entries))
    except ValidationError as exc:
        raise ConfigError("\n".join(complaints(exc, written))) from exc
    _fail(_bad_hosts(config, written) + _bad_profiles(config, written))
    origins = {
        dotted(key): written[key].origin if key in written else DEFAULT for key, _ in values(config)
    }
    return Loaded(config, origins, (*warnings, *near_misses(environ, tree)))


def _own_limits(profiles: Mapping[str, Profile]) -> dict[str, float]:
    """Return the longest segment in seconds that each profile says for itself, or infinity."""
    return {
        name: each.boundary.max_segment_s
        if "max_segment_s" in each.boundary.model_fields_set
        else math.inf
        for name, each in profiles.items()
    }


def _fail(sentences: list[str]) -> None:
    if sentences:
        raise ConfigError("\n".join(sentences))


def _bad_hosts(config: Config, written: Mapping[Key, Entry]) -> list[str]:
    """Return one sentence for each origin of a host on which nobody can listen."""
    said: dict[str, str] = {}
    for key, host in values(config):
        if key[-1] == "host" and isinstance(host, str) and (not host or is_malformed_address(host)):
            origin = written[key].origin
            cure = "no address to listen on; 0.0.0.0 means every one of this machine's"
            said.setdefault(origin, f"{dotted(key)} is {host!r} ({origin}): {cure}")
    return list(said.values())


def _bad_profiles(config: Config, written: Mapping[Key, Entry]) -> list[str]:
    """Return one sentence for each door whose profile does not exist; no door can know them all."""
    known = ", ".join(config.profiles)
    return [
        f"{dotted(key)} is {name!r} ({written[key].origin}): the profiles are {known}"
        for key, name in values(config.doors, ("doors",))
        if key[-1] == "profile" and isinstance(name, str) and name not in config.profiles
    ]


def _laid_over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return `below` with the values of `above`, mapping by mapping."""
    result = dict(below)
    for name, value in above.items():
        inner = result.get(name)
        if isinstance(inner, Mapping) and isinstance(value, Mapping):
            result[name] = _laid_over(inner, value)
        else:
            result[name] = value
    return result


def _first_line(section: type[BaseModel]) -> str:
    return (section.__doc__ or "").strip().splitlines()[0]
