"""The speech-boundary buffer (being written)."""

from pydantic import Field

from ruasr_tel.section import Section


class BoundaryConfig(Section):
    """Where a leg's audio is cut into segments."""

    threshold: float = Field(0.5, gt=0, lt=1)
    """Speech probability at which a window counts as speech (engines.md 7: 0.5)."""
    threshold_off: float = Field(0.35, gt=0, lt=1)
    """Probability below which a window inside speech counts as silence (engines.md 7: 0.35)."""
    pre_roll_ms: int = Field(250, ge=0, le=2000)
    """Non-speech kept before speech; Silero reports onsets up to 143 ms late at 8 dB SNR."""
    hangover_ms: int = Field(300, ge=0, le=2000)
    """Audio kept in a segment after the last speech window."""
    endpoint_ms: int = Field(500, ge=100, le=10000)
    """Silence after which the speaker is judged to have finished."""
    max_segment_s: float = Field(15.0, ge=2.0, le=25.0)
    """Longest segment; Vosk5 takes 2 to 18 s, GigaAM loses words from 15 to 25 s."""
    overlap_ms: int = Field(400, ge=0, le=1000)
    """Doubled audio at a hard cut, where no pause was found; `assemble` merges its words."""
