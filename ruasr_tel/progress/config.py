"""How call progress is followed."""

from pydantic import Field

from ruasr_tel.progress.phrases import OperatorPhrases
from ruasr_tel.section import Section


class ProgressConfig(Section):
    """Tones of the network, beeps of machines, music, operator messages: events `CallProgress`."""

    enabled: bool = False
    """Whether to look for them; ordinary calls pay nothing."""
    music: bool = True
    """Whether to look for music, too; costs as much again as the tones."""
    likeness: float = Field(0.8, ge=0.5, le=1.0)
    """Share of letters that must be right in a phrase (our choice: one in five may be wrong)."""
    phrases: OperatorPhrases = OperatorPhrases()
    """What operator messages say, by meaning."""
