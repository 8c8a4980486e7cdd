"""Voice activity detection: windows of all legs in, speech probabilities out."""

from pathlib import Path

from ruasr_tel.vad.base import Vad, VadConfig
from ruasr_tel.vad.batcher import VadBatcher

__all__ = ["Vad", "VadBatcher", "VadConfig", "create_vad"]


def create_vad(config: VadConfig, default_model: Path) -> Vad:
    """Return the configured detector.

    Args:
        config: which one, and from which file.
        default_model: Silero's file where `config.model` is unset.

    Raises:
        ModelLoadError: the file is missing or not a Silero model; names it and the cure.
    """
    if config.engine == "energy":
        from ruasr_tel.vad.energy import EnergyVad

        return EnergyVad()
    from ruasr_tel.vad.silero import SileroVad

    return SileroVad(config.model or default_model)
