"""Lost packets, and what a receiver puts in their place. Pure."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from ruasr_tel.types import Waveform

PACKET_SAMPLES = 160  # 20 ms, the ptime of nearly every PBX
Lost: TypeAlias = npt.NDArray[np.bool_]
"""Which packets are lost, shape (packets,)."""

_FADE = 0.5  # of a repeated packet, each time (G.711 appendix I fades 20 % in 10 ms)


def draw_losses(packets: int, share: float, burst: float, rng: np.random.Generator) -> Lost:
    """Return which packets are lost, by Gilbert's model of two states.

    Args:
        packets: how many there are.
        share: of lost ones in the long run, 0 to below 1.
        burst: mean length of a run of lost ones, 1 or more; 1 / (1 - share) is independent loss.
        rng: of the choices.
    """
    leave = 1.0 / burst
    enter = min(1.0, leave * share / (1.0 - share))
    draws = rng.random(packets + 1)
    lost = np.zeros(packets, np.bool_)
    now = bool(draws[0] < share)
    for at in range(packets):
        lost[at] = now
        now = bool(draws[at + 1] >= leave) if now else bool(draws[at + 1] < enter)
    return lost


def with_silence(sound: Waveform, lost: Lost) -> Waveform:
    """Return a sound with silence in place of lost packets, as Asterisk leaves it.

    Args:
        sound: float32, shape (n,), at 8 kHz.
        lost: shape (packets,), at least n / PACKET_SAMPLES.
    """
    return np.where(np.repeat(lost, PACKET_SAMPLES)[: len(sound)], np.float32(0), sound)


def with_repetition(sound: Waveform, lost: Lost) -> Waveform:
    """Return a sound with the packet before, ever softer, in place of lost ones, as telephones do.

    Args:
        sound: float32, shape (n,), at 8 kHz.
        lost: shape (packets,), at least n / PACKET_SAMPLES.
    """
    whole = np.pad(sound, (0, -len(sound) % PACKET_SAMPLES)).reshape(-1, PACKET_SAMPLES)
    for at in np.flatnonzero(lost[: len(whole)]):
        whole[at] = whole[at - 1] * _FADE if at else 0
    return whole.reshape(-1)[: len(sound)]
