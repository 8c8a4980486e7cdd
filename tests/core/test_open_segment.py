import numpy as np
import pytest

from ruasr_tel.boundary import Reason, SegmentReady
from ruasr_tel.engines.base import PLAIN
from ruasr_tel.engines.hearing import Hearings
from ruasr_tel.engines.wire import Audio, Flag
from ruasr_tel.open_segment import LiveSegment
from ruasr_tel.types import Samples

RATE_HZ = 8000
TAPE: Samples = np.arange(3 * RATE_HZ, dtype=np.int16)


def segment(start: int, end: int, reason: Reason = Reason.ENDPOINT) -> SegmentReady:
    ends = reason is not Reason.LENGTH
    return SegmentReady(0, start, end, reason, 0, 0, ends, TAPE[start:end])


class Rig:
    def __init__(self, start: int) -> None:
        self.sent: list[Audio] = []
        hearing = Hearings(self.sent.append).open(RATE_HZ, PLAIN)
        self.live = LiveSegment(hearing, start, RATE_HZ)

    def grow(self, end: int) -> None:
        self.live.grow(end, lambda since: TAPE[since:end])

    def heard(self) -> list[int]:
        return [int(sample) for piece in self.sent for sample in piece.samples]


async def test_audio_goes_in_pieces_and_ends_with_the_segment() -> None:
    rig = Rig(start=100)
    for end in (300, 899, 900, 1600, 1800):
        rig.grow(end)
    assert [len(piece.samples) for piece in rig.sent] == [800, 900]
    assert rig.live.close(segment(100, 2000)) is rig.live.hearing
    assert rig.heard() == list(range(100, 2000))
    assert [piece.flags for piece in rig.sent] == [Flag.FIRST, Flag.MIDDLE, Flag.LAST]


@pytest.mark.parametrize("reason", [Reason.ENDPOINT, Reason.FLUSH])
async def test_silence_past_an_endpoint_does_no_harm(reason: Reason) -> None:
    rig = Rig(start=0)
    rig.grow(4000)
    assert rig.live.close(segment(0, 3000, reason)) is rig.live.hearing
    assert rig.heard() == list(range(4000))
    assert rig.sent[-1].flags == Flag.LAST


async def test_a_segment_that_was_cut_back_in_time_is_decoded_by_itself() -> None:
    rig = Rig(start=0)
    rig.grow(4000)
    assert rig.live.close(segment(0, 3000, Reason.LENGTH)) is None
    assert rig.live.hearing.result.cancelled()
    assert rig.sent[-1].flags == Flag.DROP


async def test_a_cut_that_lies_ahead_ends_the_stream() -> None:
    rig = Rig(start=0)
    rig.grow(4000)
    assert rig.live.close(segment(0, 4500, Reason.LENGTH)) is not None
    assert rig.heard() == list(range(4500))


async def test_a_lost_stream_gives_no_final() -> None:
    rig = Rig(start=0)
    rig.grow(4000)
    rig.live.cancel()
    rig.grow(8000)
    assert rig.live.sent == 8000
    assert rig.live.close(segment(0, 8000)) is None
