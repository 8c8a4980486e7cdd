"""What simulated phones have in common: audio at the pace of a call."""

import asyncio
from collections.abc import AsyncIterator

import numpy as np

from ruasr_tel.plugins import PhoneCall

TAIL_S = 1.0
"""Silence after the file, so that its last phrase ends by itself."""


async def paced(call: PhoneCall, message_s: float) -> AsyncIterator[bytes]:
    """Yield a call's audio and a silent tail, s16le, a message at a time, each when it is due.

    Args:
        call: what to play; it is told when the first sample is due.
        message_s: audio per message, in seconds; the last one may be shorter.
    """
    loop = asyncio.get_running_loop()
    message = round(call.sample_rate_hz * message_s)
    tail = np.zeros(round(TAIL_S * call.sample_rate_hz), np.int16)
    audio = np.concatenate([call.samples, tail]).astype("<i2")
    start_s = loop.time()
    call.started(start_s)
    for at in range(0, len(audio), message):
        yield audio[at : at + message].tobytes()
        due_s = start_s + (at + message) / call.sample_rate_hz / call.pace
        await asyncio.sleep(max(due_s - loop.time(), 0))
