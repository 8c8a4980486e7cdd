"""Sounds of a telephone network and music, made."""

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


def melody(seed: int, seconds: float, beat_s: float = 0.3, level_db: float = -20.0) -> Waveform:
    """Return music at 8 kHz: three plucked strings, a note of C major for each at every beat.

    Args:
        seed: of the tune.
        seconds: its length.
        beat_s: from note to note.
        level_db: its peak, dBFS.
    """
    chance = np.random.default_rng(seed)
    scale = 261.63 * 2 ** (np.array([0, 2, 4, 5, 7, 9, 11, 12]) / 12)
    sound = np.zeros(round(seconds * 8000))
    for octave in (0.5, 1.0, 2.0):
        for start in np.arange(0, seconds, beat_s):
            at = np.arange(min(round(2 * beat_s * 8000), len(sound) - round(start * 8000))) / 8000
            pitch = octave * chance.choice(scale)
            overtones = [k for k in range(1, 12) if k * pitch < 3800]
            note = np.sum([np.sin(2 * np.pi * k * pitch * at) / k for k in overtones], axis=0)
            sound[round(start * 8000) :][: len(at)] += note * np.exp(-3 * at)
    scaled: Waveform = (10 ** (level_db / 20) / np.abs(sound).max() * sound).astype(np.float32)
    return scaled
