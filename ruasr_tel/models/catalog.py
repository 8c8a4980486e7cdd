"""The models known by name, where they lie, and how to bring one that is missing."""

import contextlib
import difflib
import json
import sysconfig
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit

import yaml
from pydantic import ValidationError

from ruasr_tel.engines import calibration
from ruasr_tel.engines.base import EngineSpec
from ruasr_tel.errors import ConfigError, ModelLoadError
from ruasr_tel.models import lms
from ruasr_tel.models.entries import CatalogFile, ModelEntry
from ruasr_tel.models.probe import (
    ENGINES,
    LAYOUTS,
    OPTIONAL,
    T_ONE,
    Check,
    Known,
    check_beginning,
    check_files,
    check_known,
    detect_family,
    engines_of,
    find_files,
)

CATALOG_NAME = "catalog.yaml"


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
        return find_files(
            self.folder,
            self.entry.files,
            full_precision=provider == "cuda",
            optional=OPTIONAL.get(self.entry.family, ()),
        )

    def candidates(self) -> list[Path]:
        """Return every file that may be one of its parts, sorted: of all precisions, too."""
        names = {name for names in self.entry.files.values() for name in names}
        return sorted({path for name in names for path in self.folder.glob(name)})

    def check(self, provider: str = "cpu") -> list[Check]:
        """Check its files without loading them; return what was looked at.

        Raises:
            ModelLoadError: one sentence that names the file and the cure.
        """
        with self._cure():
            files = self.look(provider)
            return check_files(files, self.entry.family, self.known())

    def look(self, provider: str = "cpu") -> dict[str, Path]:
        """Return its file of each role after looking at the first bytes of all that it works with.

        Raises:
            ModelLoadError: a file is missing, or another thing lies in its place.
        """
        files = self.files(provider)
        for role, path in files.items():
            check_beginning(path, role)
        for each in self.entry.content:
            if not self.entry.plays_a_role(each) and (self.folder / each.path).is_file():
                check_beginning(self.folder / each.path)
        return files

    def check_rest(self, paths: Container[str] | None = None) -> None:
        """Check what the catalogue names besides the file of each role, and that all is there.

        Args:
            paths: which files to look into; None: all that are there.

        Raises:
            ModelLoadError: one sentence that names the file and the cure.
        """
        with self._cure():
            for each in self.entry.content:
                path = self.folder / each.path
                if not path.is_file():
                    if not each.optional and not self.entry.plays_a_role(each):
                        raise ModelLoadError(f"{path} is missing; fetch the whole model again")
                elif paths is None or each.path in paths:
                    check_beginning(path)
                    check_known(path, Known(each.size_bytes, each.sha256))

    @contextlib.contextmanager
    def _cure(self) -> Iterator[None]:
        """Add the command that brings the model to what is said of its files."""
        try:
            yield
        except ModelLoadError as error:
            if not self.entry.fetchable:
                raise
            raise ModelLoadError(f"{error} (`{pull_command(self.entry)}`)") from error

    def known(self) -> dict[Path, Known]:
        """Return what the catalogue knows of the content of its files, by path."""
        return {
            self.folder / each.path: Known(each.size_bytes, each.sha256)
            for each in self.entry.content
        }


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
            content = CatalogFile.model_validate(yaml.safe_load(path.read_text("utf-8")))
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
        """Return the shell command that brings `entry` into this models folder."""
        if not entry.embedded:
            return pull_command(entry)
        return f"git checkout -- {self.folder_of(entry)}"

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
            _expect_recogniser(entry)
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
        raise ConfigError(self.unknown(name_or_path))

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
                _expect_recogniser(entry)
                return entry
        if family is not None and family not in ENGINES:
            raise ConfigError(f"no model family {family!r}; known: {', '.join(ENGINES)}")
        family = family or detect_family(folder)
        engine, *others = engines_of(folder, family)
        return ModelEntry.model_validate(
            {
                "name": folder.resolve().name,
                "engine": engine,
                "other_engines": others,
                "family": family,
                "folder": str(folder),
                "files": LAYOUTS[family],
                "licence": "unknown",
                "sample_rate_hz": 8000 if family == T_ONE else 16000,
                "source": {"page": str(folder)},
            }
        )

    def unknown(self, name: str) -> str:
        """Return the sentence about a name that nothing here has."""
        names = [key for entry in self.entries for key in (entry.name, *entry.aliases)]
        folded = {key.casefold(): key for key in names}
        near = difflib.get_close_matches(name.casefold(), folded, n=1)
        hint = f"did you mean {folded[near[0]]}? " if near else ""
        known = ", ".join(entry.name for entry in self.entries if entry.recognises)
        return f"model {name!r} is neither a known name nor a folder; {hint}known: {known}"


def pull_command(entry: ModelEntry) -> str:
    """Return the shell command that brings `entry` from its source."""
    return f"ruasr-tel models pull {entry.name}"


def _expect_recogniser(entry: ModelEntry) -> None:
    if not entry.recognises:
        raise ConfigError(f"{entry.name} finds speech but recognises none; choose another model")


def to_spec(
    model: Model,
    provider: str = "cpu",
    threads: int = 1,
    engine: str | None = None,
    more: Mapping[str, str | int | float | bool] | None = None,
) -> EngineSpec:
    """Return what the engine process needs to load `model`.

    Args:
        model: a resolved model.
        provider: `cpu`, `cuda` or `auto`.
        threads: decodes at once.
        engine: which engine runs it; None: the model's first.
        more: options of the engine besides those that follow from the model.

    Raises:
        ConfigError: the model does not run on that engine.
    """
    entry = model.entry
    options: dict[str, str | int | float | bool] = {
        role: "|".join(names) for role, names in entry.files.items()
    }
    options["sample_rate_hz"] = entry.sample_rate_hz
    if entry.features is not None:
        options["features"] = entry.features
    if entry.calibration:
        options[calibration.OPTION] = calibration.write(entry.calibration)
    if entry.lm:
        options |= lms.options(model.folder, entry.lm)
    return EngineSpec(
        engine=entry.engine_named(engine),
        model=entry.name,
        model_dir=model.folder,
        family=entry.family,
        provider=provider,
        threads=threads,
        min_segment_s=entry.segment.min_s,
        max_segment_s=entry.segment.max_s,
        options={**options, **(more or {})},
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
