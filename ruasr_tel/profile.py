"""Named ways to listen: where to cut, what to show early, what to listen for."""

from pydantic import Field, field_validator

from ruasr_tel.boundary import BoundaryConfig
from ruasr_tel.ending import EndConfig
from ruasr_tel.engines.base import DecodeOptions, EngineInfo
from ruasr_tel.models.entries import language_models
from ruasr_tel.partials import PartialsConfig
from ruasr_tel.progress.config import ProgressConfig
from ruasr_tel.section import Section

MAX_PHRASES = 10_000
"""Phrases of one profile or caller: a longer list is a language model, not a list (our choice)."""
MAX_ALTERNATIVES = 100
"""Readings of one segment that anybody may ask for (our choice; peers ask for 1 to 10)."""


class Profile(Section):
    """A named way to listen, chosen per connection."""

    model: str | None = Field(None, min_length=1)
    """The model for finals: a name of the catalogue or a folder; null is `engine.model`."""
    boundary: BoundaryConfig = BoundaryConfig()
    """Where to cut."""
    partials: PartialsConfig = PartialsConfig()
    """What to show before a final."""
    end: EndConfig = EndConfig()
    """When to hand the call back to its PBX."""
    phrases: tuple[str, ...] = Field((), max_length=MAX_PHRASES)
    """Words or phrases to prefer, lower case; a caller's own list takes their place."""
    closed: bool = False
    """Whether nothing but `phrases` can be heard; `[unk]` among them stands for anything else."""
    boost: float = Field(1.5, ge=0.0, le=100.0)
    """Natural log added per token of a preferred phrase; ignored with `closed`."""
    alternatives: int = Field(1, ge=1, le=MAX_ALTERNATIVES)
    """Readings of each segment at most, the best one included, where the model has them."""
    lm: str | None = None
    """Language models for finals, as `engine.lm` has them; null is what the model has anyway."""
    progress: ProgressConfig = ProgressConfig()
    """What else to listen for: tones, beeps and operator messages."""

    _lm = field_validator("lm")(language_models)

    @property
    def options(self) -> DecodeOptions:
        """What it asks of every decode."""
        return DecodeOptions(
            self.phrases, self.closed, self.boost, self.alternatives, lm=self.lm or ""
        )

    def fitted(self, info: EngineInfo) -> "Profile":
        """Return the profile with no segment longer than the model takes."""
        if self.boundary.max_segment_s <= info.max_segment_s:
            return self
        boundary = self.boundary.model_copy(update={"max_segment_s": info.max_segment_s})
        return self.model_copy(update={"boundary": boundary})

    def quiet(self) -> "Profile":
        """Return the profile without partials."""
        if not self.partials.enabled:
            return self
        return self.model_copy(update={"partials": PartialsConfig(enabled=False)})

    def asking(self, options: DecodeOptions) -> "Profile":
        """Return the profile with other options."""
        return self.model_copy(
            update={
                "phrases": options.phrases,
                "closed": options.closed,
                "boost": options.boost,
                "alternatives": options.alternatives,
                "lm": options.lm or self.lm,
            }
        )


DEFAULT_PROFILES: dict[str, Profile] = {
    "default": Profile(),
    "yesno": Profile(
        boundary=BoundaryConfig(endpoint_ms=300, hangover_ms=200, max_segment_s=5),
        partials=PartialsConfig(first_ms=200, interval_ms=300),
    ),
    "digits": Profile(boundary=BoundaryConfig(endpoint_ms=1000)),
    "dialogue": Profile(),
    "dictation": Profile(
        boundary=BoundaryConfig(endpoint_ms=1200), partials=PartialsConfig(interval_ms=1000)
    ),
}
"""Short answers end fast, dictated digits and text come with longer pauses."""
