"""Simulated phones keep the pace they are asked for."""

from ruasr_tel.plugins import PhoneCall
from ruasr_tel.testing import tone
from ruasr_tel.testing.phone import TAIL_S, paced
from ruasr_tel.types import Samples


def call(samples: Samples, pace: float, started: list[float]) -> PhoneCall:
    return PhoneCall("", "", samples, 8000, pace, None, lambda _heard: None, started.append)


async def test_all_audio_and_a_silent_tail_come_out_in_messages() -> None:
    audio = tone(0.25)
    started: list[float] = []
    messages = [message async for message in paced(call(audio, 100.0, started), 0.1)]
    whole = b"".join(messages)
    assert [len(message) for message in messages] == [1600] * 12 + [800]
    assert whole == audio.astype("<i2").tobytes() + bytes(round(TAIL_S * 8000) * 2)
    assert len(started) == 1
