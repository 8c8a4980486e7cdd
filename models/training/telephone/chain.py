"""One call's line, drawn at random: who hears how, through what. Pure; seeded."""

from collections.abc import Callable, Sequence
from functools import cache, partial

import numpy as np

from models.training.telephone import codecs, line, loss
from models.training.telephone.line import Band, Bump, Response
from ruasr_tel.errors import ConfigError
from ruasr_tel.types import Waveform

Rng = np.random.Generator
_SILENCE_S = 0.4  # at most, around the speech
_SPEED = 0.1, 0.14  # log of the factor: always, and more at full strength


def paced(sound: Waveform, rng: Rng, strength: float) -> Waveform:
    """Return speech at another speed, with silence around it.

    Args:
        sound: float32 in [-1, 1], shape (n,), at 8 kHz, n > 0.
        rng: of all choices.
        strength: 0 to 1, how often and how much.
    """
    if rng.random() < 0.3 + 0.6 * strength:
        widest = _SPEED[0] + _SPEED[1] * strength
        sound = line.faster(sound, float(np.exp(rng.uniform(-widest, widest))))
    return _with_silence_around(sound, rng)


def through_a_line(
    sound: Waveform, rng: Rng, strength: float, others: Sequence[Waveform] = ()
) -> Waveform:
    """Return speech as it comes out of a telephone call drawn at random.

    Every step is one of the functions of this package; here is how often and how much (our choice,
    from the calls that the model is for; the shares are in the code beside each step).

    Args:
        sound: float32 in [-1, 1], shape (n,), at 8 kHz, n > 0.
        rng: of all choices: the same state gives the same line.
        strength: 0 to 1, how often and how much; 0 changes the level only.
        others: speech of other talkers for the background, may be empty.

    Returns:
        float32 in [-1, 1], of the same length.
    """
    responses = _responses(line.fft_length(len(sound)), rng, strength)
    if responses:
        sound = line.filtered(sound, responses)
    sound = _with_background(sound, rng, strength, others)
    clipped_db = float(rng.uniform(0, 12)) if rng.random() < 0.08 * strength else 0.0
    sound = line.at_level(sound, float(rng.uniform(-26, 0)), clipped_db)
    return _with_losses(_coded(sound, rng, strength), rng, strength)


def _with_silence_around(sound: Waveform, rng: Rng) -> Waveform:
    if rng.random() >= 0.7:
        return sound
    before, after = (rng.uniform(0, _SILENCE_S, 2) * line.RATE_HZ).astype(int)
    return np.pad(sound, (before, after))


def _responses(length: int, rng: Rng, strength: float) -> list[Response]:
    found = []
    if rng.random() < 0.75 * strength:
        found.append(_band(rng).response(length))
    if rng.random() < 0.35 * strength:
        t60_s, share = float(rng.uniform(0.1, 0.5)), float(rng.uniform(0.05, 0.3))
        found.append(line.echo(length, t60_s, share, rng))
    return found


def _band(rng: Rng) -> Band:
    low = rng.random() < 0.7
    high = rng.random() < 0.7
    return Band(
        low_hz=float(rng.uniform(80, 400)) if low else 0.0,
        low_order=2 * int(rng.integers(1, 4)),
        high_hz=float(rng.uniform(2800, 3900)) if high else line.RATE_HZ / 2,
        high_order=2 * int(rng.integers(4, 12)),
        tilt_db=float(rng.uniform(-8, 8)),
        bumps=[_bump(rng) for _ in range(rng.integers(0, 4))],
    )


def _bump(rng: Rng) -> Bump:
    return Bump(
        centre_hz=float(rng.uniform(200, 3600)),
        width_hz=float(rng.uniform(150, 600)),
        gain_db=float(rng.uniform(-8, 8)),
    )


def _with_background(
    sound: Waveform, rng: Rng, strength: float, others: Sequence[Waveform]
) -> Waveform:
    if rng.random() < 0.75 * strength:
        loudest = 3 if rng.random() < 0.3 else 12
        hum = line.noise(len(sound), float(rng.uniform(0, 1.2)), rng)
        sound = line.mixed(sound, hum, float(rng.uniform(loudest, 40)))
    if others and rng.random() < 0.15 * strength:
        talkers = line.babble(len(sound), others, rng)
        sound = line.mixed(sound, talkers, float(rng.uniform(10, 25)))
    return sound


def _coded(sound: Waveform, rng: Rng, strength: float) -> Waveform:
    """Most calls pass G.711; a mobile leg passes GSM or AMR before it."""
    if rng.random() < 0.3 * strength:
        mobile = _mobile_codecs()
        sound = mobile[int(rng.integers(len(mobile)))](sound)
    if rng.random() < 0.6 * strength:
        return codecs.g711(sound, codecs.LAWS[int(rng.integers(2))])
    return codecs.to_float(codecs.to_int16(sound))


@cache
def _mobile_codecs() -> tuple[Callable[[Waveform], Waveform], ...]:
    """Return what this machine can do: GSM needs libgsm."""
    amr = tuple(partial(codecs.amr_like, bit_rate=rate) for rate in codecs.AMR_PULSES)
    try:
        codecs.gsm(np.zeros(160, np.float32))
    except ConfigError:
        return amr
    return (*amr, *[codecs.gsm] * len(amr))


def _with_losses(sound: Waveform, rng: Rng, strength: float) -> Waveform:
    if rng.random() >= 0.25 * strength:
        return sound
    packets = -(-len(sound) // loss.PACKET_SAMPLES)
    share, burst = float(rng.uniform(0.01, 0.05)), float(rng.uniform(1.05, 3))
    lost = loss.draw_losses(packets, share, burst, rng)
    conceal = loss.with_silence if rng.random() < 0.5 else loss.with_repetition
    return conceal(sound, lost)
