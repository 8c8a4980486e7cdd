"""The open segment on its way through a streaming engine, while it is being spoken."""

from collections.abc import Callable

from ruasr_tel.boundary import Reason, SegmentReady
from ruasr_tel.engines.hearing import Hearing
from ruasr_tel.types import Samples

PIECE_S = 0.1
"""Audio is sent in pieces of at least this: a tenth of the messages, and a third of the shortest
chunk of a streaming model (T-one takes 300 ms, streaming zipformers 320 ms and more)."""


class LiveSegment:
    """One open segment that a streaming engine hears; positions are samples of the leg's buffer.

    Args:
        hearing: a new stream at the leg's rate.
        start: the segment's first sample.
        sample_rate_hz: the leg's rate.
    """

    def __init__(self, hearing: Hearing, start: int, sample_rate_hz: int) -> None:
        self._hearing = hearing
        self._start = self._sent = start
        self._piece = int(PIECE_S * sample_rate_hz)

    @property
    def sent(self) -> int:
        """One past the newest sample that was sent."""
        return self._sent

    @property
    def hearing(self) -> Hearing:
        """Its stream."""
        return self._hearing

    def grow(self, end: int, audio: Callable[[int], Samples]) -> None:
        """Send what is new, if it is enough.

        Args:
            end: one past the newest sample that the detector has heard: what comes after it may
                belong to the next segment, and a stream cannot take back what it heard.
            audio: gives the segment's audio from a sample up to `end`, int16, shape (n,).
        """
        if end - self._sent >= self._piece:
            self._hearing.push(audio(self._sent))
            self._sent = end

    def close(self, segment: SegmentReady) -> Hearing | None:
        """End the stream with the segment; return it, or None if the segment must be decoded.

        The stream may have heard more than the segment has. Past an endpoint that is silence, as it
        heard only what the detector had heard, too. A segment that was cut for its length was cut
        back in time, and the rest of its stream belongs to the next one: then it is decoded by
        itself.
        """
        assert segment.start == self._start
        ahead = self._sent > segment.end and segment.reason is Reason.LENGTH
        if ahead or self._hearing.lost:
            self._hearing.cancel()
            return None
        self._hearing.push(segment.samples[self._sent - segment.start :], last=True)
        return self._hearing

    def cancel(self) -> None:
        """Nobody waits for the stream any more."""
        self._hearing.cancel()
