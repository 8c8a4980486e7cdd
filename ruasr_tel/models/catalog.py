"""The models known by name, where they lie, and how to bring one that is missing."""

import difflib
import json
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal, Self
from urllib.parse import unquote, urlsplit

import yaml
from pydantic import Field, ValidationError, model_validator

from ruasr_tel.engines.base import EngineSpec
from ruasr_tel.errors import ConfigError, ModelLoadError
from ruasr_tel.models.probe import LAYOUTS, Check, check_files, detect_family, find_files
from ruasr_tel.section import Section

CATALOG_NAME = "catalog.yaml"


class SegmentLimits(Section):
    """How long a piece of audio the model takes."""

    min_s: float = Field(default=0.1, gt=0)
    """Shorter segments are padded with silence; below 0.01 s sherpa-onnx has no feature frame."""

    best_s: float = Field(default=15.0, gt=0)
    """Length up to which the model is at its best; 15 is what the seed's users run."""

    max_s: float = Field(default=20.0, gt=0)
    """The longest segment; sherpa-onnx itself takes 200 s (5000 encoder frames of 40 ms)."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.min_s <= self.best_s <= self.max_s:
            raise ValueError(f"min_s {self.min_s} <= best_s {self.best_s} <= max_s {self.max_s}")
        return self


class ModelEntry(Section):
    """One model of the catalogue."""

    name: str
    """Its name in configuration and logs."""

    aliases: tuple[str, ...] = ()
    """Other names it answers to, such as the seed's MODEL_NAME values."""

    engine: str = "sherpa"
    """Entry point of group `ruasr_tel.engines` that runs it."""

    family: Literal["nemo_ctc", "transducer", "nemo_transducer", "online_transducer", "t_one"]
    """What kind of networks it consists of."""

    folder: str
    """Its folder below the models folder."""

    files: Mapping[str, tuple[str, ...]]
    """Role -> candidate names or globs, in order of preference."""

    sha256: Mapping[str, str] = Field(default_factory=dict)
    """File name -> digest, for files that never change."""

    sample_rate_hz: int = Field(default=16000, ge=8000, le=48000)
    """Rate of the audio handed to the engine."""

    segment: SegmentLimits = SegmentLimits()
    """How long a piece of audio it takes."""

    licence: str
    """SPDX name of its licence."""

    licence_source: str = ""
    """Where that is stated."""

    commercial: bool | None = None
    """Whether the licence allows commercial use; None: unknown."""

    source: str
    """Where it comes from."""

    bring: str = ""
    """The one command that brings it; `{models_dir}` stands for the models folder."""

    accuracy: str = ""
    """How accurate it is, and who measured that."""

    embedded: bool = False
    """Whether it comes with ruasr-tel: small, for trying out and testing."""


class _CatalogFile(Section):
    """What catalog.yaml holds."""

    default: str
    recommended: str
    models: tuple[ModelEntry, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = [key.casefold() for entry in self.models for key in (entry.name, *entry.aliases)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"names used twice: {', '.join(twice)}")
        for name in (self.default, self.recommended):
            if name.casefold() not in names:
                raise ValueError(f"{name} is none of the models")
        return self


@dataclass(frozen=True, slots=True)
class Model:
    """A model that lies on this machine.

    Attributes:
        entry: what is known about it.
        folder: where it lies.
    """

    entry: ModelEntry
    folder: Path

    def files(self, provider: str = "cpu") -> dict[str, Path]:
        """Return its file of each role; on CUDA full precision is preferred to int8.

        Raises:
            ModelLoadError: a file is missing, or several fit.
        """
        return find_files(self.folder, self.entry.files, full_precision=provider == "cuda")

    def check(self, provider: str = "cpu") -> list[Check]:
        """Check its files without loading them; return what was looked at.

        Raises:
            ModelLoadError: one sentence that names the file and the cure.
        """
        return check_files(self.files(provider), self.entry.family, self.entry.sha256)


@dataclass(frozen=True, slots=True)
class Catalog:
    """The known models and the folder they lie in.

    Attributes:
        models_dir: the models folder.
        entries: every known model.
        default: name of the model used when none is configured.
        recommended: name of the model to bring in place of an embedded one.
    """

    models_dir: Path
    entries: tuple[ModelEntry, ...]
    default: str
    recommended: str

    @classmethod
    def load(cls, models_dir: Path) -> Self:
        """Read `catalog.yaml` in `models_dir`.

        Raises:
            ConfigError: it is missing or wrong; names the place.
        """
        path = models_dir / CATALOG_NAME
        try:
            content = _CatalogFile.model_validate(yaml.safe_load(path.read_text("utf-8")))
        except OSError as exc:
            raise ConfigError(f"{path} cannot be read: {exc.strerror}") from exc
        except (yaml.YAMLError, UnicodeDecodeError) as exc:
            raise ConfigError(f"{path} is not YAML: {' '.join(str(exc).split())}") from exc
        except ValidationError as exc:
            first = exc.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise ConfigError(f"{path}: {place or 'models'}: {first['msg']}") from exc
        return cls(models_dir, content.models, content.default, content.recommended)

    def entry(self, name: str) -> ModelEntry | None:
        """Return the entry called `name`, by name or alias, in any letter case."""
        wanted = name.casefold()
        for entry in self.entries:
            if wanted in (key.casefold() for key in (entry.name, *entry.aliases)):
                return entry
        return None

    def folder_of(self, entry: ModelEntry) -> Path:
        """Return where the files of `entry` lie or belong."""
        return self.models_dir / entry.folder

    def bring_command(self, entry: ModelEntry) -> str:
        """Return the shell command that brings `entry`, with this models folder in it."""
        return entry.bring.replace("{models_dir}", str(self.models_dir))

    def resolve(self, name_or_path: str, family: str | None = None) -> Model:
        """Return the model called `name_or_path`, or the one that lies in that folder.

        Args:
            name_or_path: a name or alias in any letter case, or a folder.
            family: what kind of model the folder holds; None: see it from its files.

        Raises:
            ConfigError: it is neither a known name nor a folder; or there is no such family.
            ModelLoadError: known, but not on disk; or a folder without a model in it.
        """
        entry = self.entry(name_or_path)
        if entry is not None:
            folder = self.folder_of(entry)
            if not folder.is_dir():
                raise ModelLoadError(
                    f"model {entry.name} is not in {folder}; "
                    f"bring it with: {self.bring_command(entry)}"
                )
            return Model(entry, folder)
        folder = Path(name_or_path).expanduser()
        if folder.is_dir():
            return Model(self._entry_for(folder, family), folder)
        raise ConfigError(self._unknown(name_or_path))

    def embedded_notice(self, model: Model) -> str | None:
        """Return the sentence that start-up and `doctor` say of an embedded model, else None."""
        if not model.entry.embedded:
            return None
        real = next(entry for entry in self.entries if entry.name == self.recommended)
        return (
            f"{model.entry.name} is a small model for trying out and testing "
            f"(measured: {model.entry.accuracy}); bring a real one with "
            f"`{self.bring_command(real)}` and set the model to {real.name}"
        )

    def _entry_for(self, folder: Path, family: str | None) -> ModelEntry:
        """Return the catalogue's entry of `folder`, or one made from what lies in it."""
        for entry in self.entries:
            if self.folder_of(entry).resolve() == folder.resolve():
                return entry
        if family is not None and family not in LAYOUTS:
            raise ConfigError(f"no model family {family!r}; known: {', '.join(LAYOUTS)}")
        family = family or detect_family(folder)
        return ModelEntry.model_validate(
            {
                "name": folder.resolve().name,
                "family": family,
                "folder": str(folder),
                "files": LAYOUTS[family],
                "licence": "unknown",
                "source": str(folder),
            }
        )

    def _unknown(self, name: str) -> str:
        names = [key for entry in self.entries for key in (entry.name, *entry.aliases)]
        folded = {key.casefold(): key for key in names}
        near = difflib.get_close_matches(name.casefold(), folded, n=1)
        hint = f"did you mean {folded[near[0]]}? " if near else ""
        known = ", ".join(entry.name for entry in self.entries)
        return f"model {name!r} is neither a known name nor a folder; {hint}known: {known}"


def to_spec(model: Model, provider: str = "cpu", threads: int = 1) -> EngineSpec:
    """Return what the engine process needs to load `model`.

    Args:
        model: a resolved model.
        provider: `cpu`, `cuda` or `auto`.
        threads: decodes at once.
    """
    entry = model.entry
    options: dict[str, str | int | float | bool] = {
        role: "|".join(names) for role, names in entry.files.items()
    }
    return EngineSpec(
        engine=entry.engine,
        model=entry.name,
        model_dir=model.folder,
        family=entry.family,
        provider=provider,
        threads=threads,
        min_segment_s=entry.segment.min_s,
        max_segment_s=entry.segment.max_s,
        options={**options, "sample_rate_hz": entry.sample_rate_hz},
    )


def default_models_dir() -> Path:
    """Return the models folder: ./models, the installed one, or an editable install's.

    Raises:
        ConfigError: none of them holds a catalogue.
    """
    places = [Path("models"), Path(sysconfig.get_path("data"), "share", "ruasr_tel", "models")]
    source = _editable_source()
    if source is not None:
        places.append(source / "models")
    for place in places:
        if (place / CATALOG_NAME).is_file():
            return place
    looked = ", ".join(str(place.absolute()) for place in places)
    raise ConfigError(f"no {CATALOG_NAME} in {looked}; set the models folder in the configuration")


def _editable_source() -> Path | None:
    """Return the source tree of an editable install (PEP 610, direct_url.json), else None."""
    try:
        recorded = metadata.distribution("ruasr-tel").read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        return None
    origin = json.loads(recorded or "{}")
    if not origin.get("dir_info", {}).get("editable"):
        return None
    return Path(unquote(urlsplit(origin["url"]).path))
