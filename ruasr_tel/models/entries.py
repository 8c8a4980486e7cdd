"""What the catalogue says of a model: the typed content of `models/catalog.yaml`."""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import PurePosixPath
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from ruasr_tel.errors import ConfigError
from ruasr_tel.language.choice import parse
from ruasr_tel.section import Section

Precision = Literal["any", "int8", "full"]
Family = Literal[
    "nemo_ctc",
    "nemo_transducer",
    "transducer",
    "online_transducer",
    "t_one",
    "kaldi",
    "silero_vad",
]
"""The keys of `probe.LAYOUTS`."""

_HUB_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")  # huggingface_hub utils/_validators.py, in short


def language_models(written: str | None) -> str | None:
    """Return language models as somebody wrote them, if they can be read; a pydantic validator.

    Raises:
        ValueError: they cannot.
    """
    try:
        parse(written or "")
    except ConfigError as exc:
        raise ValueError(str(exc)) from exc
    return written


class SegmentLimits(Section):
    """How long a piece of audio the model takes."""

    min_s: float = Field(default=0.1, gt=0)
    """Shorter segments are padded with silence; below 0.01 s sherpa-onnx has no feature frame."""

    best_s: float = Field(default=15.0, gt=0)
    """Length up to which the model is at its best; 15 is what the seed's users run."""

    max_s: float = Field(default=20.0, gt=0)
    """The longest segment; sherpa-onnx itself takes 200 s (5000 encoder frames of 40 ms)."""

    lead_in_s: float | None = Field(default=None, ge=0)
    """Silence wanted before the first word, added by its engine; null: no need was published."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.min_s <= self.best_s <= self.max_s:
            raise ValueError(f"min_s {self.min_s} <= best_s {self.best_s} <= max_s {self.max_s}")
        return self


class SourceFile(Section):
    """One file as its source publishes it."""

    path: str
    """Where it lies below the source's root and below the model's folder, with `/`."""

    size_bytes: int | None = Field(default=None, gt=0)
    """Its size; null: unpublished to us."""

    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """Its digest; null: unpublished to us. A download is checked against the hub's own, too."""

    optional: bool = False
    """Whether the model works without it; it is brought where the source has it."""

    precision: Precision = "any"
    """`int8` and `full` are the same part of a model twice; one of them is enough."""

    @field_validator("path")
    @classmethod
    def _inside(cls, path: str) -> str:
        parts = PurePosixPath(path).parts
        if not parts or path.startswith("/") or ".." in parts or "\\" in path:
            raise ValueError(f"{path!r} is no path below a folder")
        return path


class Source(Section):
    """Where a model's files come from."""

    page: str
    """What to read about it."""

    hub: str | None = None
    """Repository on the hub, `owner/name`."""

    revision: str | None = Field(default=None, pattern=r"^[0-9a-f]{40}$")
    """The pinned commit of the repository; null: unpublished to us, its main branch is taken."""

    archive: str | None = Field(default=None, pattern=r"^https://\S+$")
    """Address of an archive that holds the model's folder."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.hub is not None and self.archive is not None:
            raise ValueError("either hub or archive, not both")
        if self.hub is not None and not _HUB_REPOSITORY.fullmatch(self.hub):
            raise ValueError(f"{self.hub!r} is no repository like owner/name")
        if self.revision is not None and self.hub is None:
            raise ValueError("a revision needs a hub")
        return self


class Result(Section):
    """One published measurement of a model."""

    test_set: str
    """The recordings it was measured on."""

    wer: float | None = Field(default=None, ge=0, le=100)
    """Word error rate, per cent."""

    cer: float | None = Field(default=None, ge=0, le=100)
    """Character error rate, per cent."""

    source: str
    """Who says so."""


class ModelEntry(Section):
    """One model of the catalogue."""

    name: str
    """Its name in configuration and logs."""

    aliases: tuple[str, ...] = ()
    """Other names it answers to, such as the seed's MODEL_NAME values."""

    engine: str = "sherpa"
    """Entry point of group `ruasr_tel.engines` that runs it, unless configured otherwise."""

    other_engines: tuple[str, ...] = ()
    """Engines that run the same files, for `engine.engine` in the configuration."""

    family: Family
    """What kind of networks it consists of."""

    folder: str
    """Its folder below the models folder."""

    files: Mapping[str, tuple[str, ...]]
    """Role -> candidate names or globs, in order of preference."""

    content: tuple[SourceFile, ...] = ()
    """The files that are brought; of an archive, those that are known; empty: all of it."""

    sample_rate_hz: int = Field(default=16000, ge=8000, le=48000)
    """Rate of the audio handed to the engine."""

    features: Literal["gigaam_v2", "gigaam_v3", "sherpa"] | None = None
    """Front end it was trained with, engine `onnx` (engines/features.py); None: see its files."""

    segment: SegmentLimits = SegmentLimits()
    """How long a piece of audio it takes."""

    languages: tuple[str, ...] = ("ru",)
    """ISO 639-1 codes of what it recognises."""

    punctuation: bool = False
    """Whether its text has capitals, punctuation and numbers in digits."""

    streaming: bool = False
    """Whether it hears audio as it comes, and so has partials of its own."""

    licence: str
    """SPDX name of its licence; `unknown` where none is stated."""

    licence_source: str = ""
    """Where that is stated."""

    commercial: bool | None = None
    """Whether the licence allows commercial use; null: unclear."""

    source: Source
    """Where it comes from."""

    accuracy: str = ""
    """How accurate it is in a sentence, and who measured that."""

    results: tuple[Result, ...] = ()
    """Published measurements, those on telephone speech first."""

    about_mb: int | None = Field(default=None, gt=0)
    """Megabytes to download where the sizes of the files are unpublished; a figure of its page."""

    memory_mb: int | None = Field(default=None, gt=0)
    """Megabytes of memory the engine's process needs on the CPU, int8 if it is; null: unknown."""

    embedded: bool = False
    """Whether it comes with ruasr-tel."""

    lm: str = ""
    """Its own language models, decoded with unless configured otherwise: files in its folder, each
    with weight and bonus (language/choice.py)."""

    calibration: tuple[tuple[float, float], ...] = ()
    """Points (token probability, share of right words) of the map that makes confidence true,
    rising in both; straight lines between them. Empty: none was measured."""

    _lm = field_validator("lm")(language_models)

    @field_validator("calibration")
    @classmethod
    def _rising(cls, points: tuple[tuple[float, float], ...]) -> tuple[tuple[float, float], ...]:
        inside = all(0 <= value <= 1 for point in points for value in point)
        steps = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(points)]
        if not inside or any(x <= 0 or y < 0 for x, y in steps):
            raise ValueError("points of probabilities, rising in both")
        return points

    @property
    def recognises(self) -> bool:
        """Whether it makes text of speech; the voice activity detector does not."""
        return self.family != "silero_vad"

    @property
    def fetchable(self) -> bool:
        """Whether its source gives its files to a program."""
        return self.source.hub is not None or self.source.archive is not None

    @property
    def needs_consent(self) -> bool:
        """Whether somebody must accept the licence: it forbids commercial use or is unclear."""
        return self.commercial is not True

    def download_bytes(self, precision: Precision = "int8") -> int | None:
        """Return the size of what is brought in that precision, or None if it is unpublished."""
        sizes = [each.size_bytes for each in self.wanted(precision)]
        if not sizes or any(size is None for size in sizes):
            return None
        return sum(size for size in sizes if size is not None)

    @property
    def precisions(self) -> frozenset[Precision]:
        """`int8`, `full` or both, as far as its files are known to be one of them."""
        return frozenset(each.precision for each in self.content) - {"any"}

    def wanted(self, precision: Precision) -> tuple[SourceFile, ...]:
        """Return the files to bring: one precision of each part, or `any` for both."""
        if precision not in self.precisions:
            return self.content  # both, or published in one precision only
        return tuple(each for each in self.content if each.precision in (precision, "any"))

    def plays_a_role(self, file: SourceFile) -> bool:
        """Return whether `file` is one of those that a role may be played by, such as `encoder`.

        Another may be there in its place: of another precision, or of another export.
        """
        return any(fnmatchcase(file.path, name) for names in self.files.values() for name in names)

    def engine_named(self, wanted: str | None) -> str:
        """Return the engine to run it with: the wanted one, or its first.

        Raises:
            ConfigError: it does not run on that engine.
        """
        engines = (self.engine, *self.other_engines)
        if wanted is None or wanted in engines:
            return wanted or self.engine
        raise ConfigError(
            f"engine.engine is {wanted!r}, but {self.name} runs on {' or '.join(engines)}"
        )


class CatalogFile(Section):
    """What catalog.yaml holds."""

    default: str
    """Name of the model used when none is configured."""
    recommended: str
    """Name of the model to bring in place of an embedded one."""
    models: tuple[ModelEntry, ...]
    """Every known model."""

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
