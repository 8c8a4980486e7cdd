"""Sounds of a telephone network, made."""

import numpy as np

from ruasr_tel.types import Waveform


def sounds(
    *parts: tuple[float, float], level_db: float = -20.0, off: float = 1.0, noise: bool = False
) -> Waveform:
    """Return tones in a row at 8 kHz.

    Args:
        parts: (Hz, seconds) each; 0 Hz is a pause.
        level_db: peak of the tones, dBFS.
        off: what their frequencies are multiplied by.
        noise: whether there is white noise 15 dB below the tones, all the time.
    """
    pieces = [np.zeros(0)]
    for hz, seconds in parts:
        at = np.arange(round(seconds * 8000)) / 8000
        pieces.append(10 ** (level_db / 20) * np.sin(2 * np.pi * hz * off * at))
    sound = np.concatenate(pieces)
    if noise:
        power = 10 ** (level_db / 10) / 2 * 10 ** (-15 / 10)
        sound += np.random.default_rng(1).normal(0, power**0.5, len(sound))
    return sound.astype(np.float32)
