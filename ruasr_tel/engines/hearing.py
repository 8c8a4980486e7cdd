"""Streams through the engine process, seen from the server; no sockets, no processes.

What a peer sends cannot be slowed down, so audio that the engine does not keep up with is not kept
for it: its stream is given up, and whoever waits for it decodes the whole segment instead.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

import numpy as np

from ruasr_tel.engines import wire
from ruasr_tel.engines.base import DecodeOptions, Hypothesis
from ruasr_tel.errors import DecodeError, EngineDied
from ruasr_tel.types import Samples

MAX_BEHIND_S = 5.0
"""How long audio of a stream may wait for the engine: later its text is no partial any more, and
the final is sooner there by a decode of the whole (our choice; as calls.max_wait_s)."""


class Hearing:
    """One stream; made by `Hearings.open`.

    Attributes:
        result: what was heard to the last piece; DecodeError or EngineDied if the stream is lost;
            cancelled by `cancel`.
        on_text: told what is heard so far, whenever it changes.
        on_work: told how many seconds the engine worked on how many seconds of it.
    """

    def __init__(
        self, around: "Hearings", number: int, sample_rate_hz: int, options: DecodeOptions
    ) -> None:
        self.result: asyncio.Future[Hypothesis] = asyncio.get_running_loop().create_future()
        self.result.add_done_callback(_retrieve)
        self.on_text: Callable[[str], None] | None = None
        self.on_work: Callable[[float, float], None] | None = None
        self._around = around
        self._number = number
        self._rate_hz = sample_rate_hz
        self._options: DecodeOptions | None = options  # until the first piece is sent
        self._pieces = 0  # that were heard
        self._unheard: deque[tuple[int, float]] = deque()  # samples of each other, and since when
        self._unheard_samples = 0
        self._ended = False

    @property
    def lost(self) -> bool:
        """Whether nothing more comes of it, or it is over."""
        return self.result.done()

    @property
    def died(self) -> bool:
        """Whether it is lost because the engine process ended: a new one may hear its audio."""
        over = self.lost and not self.result.cancelled()
        return over and isinstance(self.result.exception(), EngineDied)

    @property
    def unheard_s(self) -> float:
        """Seconds of audio that the engine has not heard yet."""
        return self._unheard_samples / self._rate_hz

    def push(self, samples: Samples, *, last: bool = False) -> None:
        """Send new audio; nothing happens when the stream is lost.

        Args:
            samples: int16, shape (n,), n >= 0; must not change any more.
            last: whether the stream ends with it.
        """
        if self.lost or self._ended:
            return
        flags = wire.Flag.LAST if last else wire.Flag.MIDDLE
        now_s = self._around.clock()
        self._unheard.append((len(samples), now_s))
        self._unheard_samples += len(samples)
        self._ended = last
        self._send(flags, samples)
        behind_s = now_s - self._unheard[0][1]
        if behind_s > MAX_BEHIND_S:
            self._drop()
            self.fail(DecodeError(f"the engine is {behind_s:.1f} s behind this stream"))

    def cancel(self) -> None:
        """Give the stream up: nobody waits for it any more. No effect once it is over."""
        if not self.lost:
            self._drop()
            self.result.cancel()

    def heard(self, pieces: int, text: str | None) -> float:
        """The engine took pieces in.

        Args:
            pieces: of it, how many so far.
            text: what it heard so far, None if as before.

        Returns:
            The seconds of audio in the new ones.
        """
        before_s = self.unheard_s
        while self._unheard and self._pieces < pieces:
            self._unheard_samples -= self._unheard.popleft()[0]
            self._pieces += 1
        if text is not None and self.on_text is not None and not self.lost:
            self.on_text(text)
        return before_s - self.unheard_s

    def finish(self, hypothesis: Hypothesis) -> None:
        """The engine heard it to the end."""
        if not self.lost:
            self.result.set_result(hypothesis)

    def fail(self, error: Exception) -> None:
        """The stream is lost."""
        if not self.lost:
            self.result.set_exception(error)

    def _drop(self) -> None:
        self._around.forget(self._number)
        self._send(wire.Flag.DROP, np.zeros(0, np.int16))

    def _send(self, flags: wire.Flag, samples: Samples) -> None:
        if self._options is None:
            self._around.send(wire.Audio(self._number, samples, self._rate_hz, flags))
            return
        options, self._options = self._options, None
        flags |= wire.Flag.FIRST
        self._around.send(wire.Audio(self._number, samples, self._rate_hz, flags, options))


class Hearings:
    """The streams of one engine process.

    Args:
        send: sends one piece; must not fail.
        clock: monotonic seconds.
    """

    def __init__(
        self, send: Callable[[wire.Audio], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._write = send
        self.clock = clock
        self._open: dict[int, Hearing] = {}
        self._numbers = 0
        self._sent = 0
        self._owed_s = 0.0
        self._waiting_since_s: float | None = None
        self._worked: list[tuple[Hearing, float]] = []  # seconds heard since the last `Heard`
        self._spent_s = 0.0  # of work that no stream has been told of

    def __len__(self) -> int:
        return len(self._open)

    def open(self, sample_rate_hz: int, options: DecodeOptions) -> Hearing:
        """Return a new stream; the engine learns of it with its first piece."""
        self._numbers += 1
        hearing = Hearing(self, self._numbers, sample_rate_hz, options)
        self._open[self._numbers] = hearing
        return hearing

    @property
    def lag_s(self) -> float:
        """For how long the engine took nothing in although audio waits; 0 if none waits."""
        waiting_since_s = self._waiting_since_s
        return 0.0 if waiting_since_s is None else self.clock() - waiting_since_s

    @property
    def waits(self) -> bool:
        """Whether audio waits that the engine has not taken in."""
        return self._waiting_since_s is not None

    @property
    def owed_s(self) -> float:
        """Seconds of audio that the engine holds, that of streams given up included."""
        return self._owed_s

    def receive(self, message: wire.Heard | wire.Finished | wire.Lost) -> None:
        """Take what the engine process tells; what concerns no open stream is ignored."""
        match message:
            case wire.Heard(pieces=pieces, streams=streams, busy_s=busy_s):
                for number, count, text in streams:
                    if (hearing := self._open.get(number)) is not None:
                        self._worked.append((hearing, hearing.heard(count, text)))
                self._share(busy_s)
                all_heard = pieces >= self._sent
                self._waiting_since_s = None if all_heard else self.clock()
                self._owed_s = sum(each.unheard_s for each in self._open.values())
            case wire.Finished(stream=number, hypothesis=hypothesis):
                if number in self._open:
                    ended = self._open.pop(number)
                    self._worked.append((ended, ended.unheard_s))
                    ended.finish(hypothesis)
            case wire.Lost(stream=number, reason=reason):
                if number in self._open:
                    self._open.pop(number).fail(DecodeError(reason))

    def _share(self, busy_s: float) -> None:
        """Tell the streams that were heard of the work on them, each by its audio.

        Work on streams that nobody waited for any more is shared by those that are heard next.
        """
        self._spent_s += busy_s
        worked, self._worked = self._worked, []
        audio_s = sum(heard_s for _, heard_s in worked)
        if not audio_s:
            return
        for hearing, heard_s in worked:
            if hearing.on_work is not None:
                hearing.on_work(self._spent_s * heard_s / audio_s, heard_s)
        self._spent_s = 0.0

    def fail(self, error: Exception) -> None:
        """Every stream is lost: the engine process ended."""
        lost, self._open = list(self._open.values()), {}
        self._waiting_since_s = None
        for hearing in lost:
            hearing.fail(error)

    def forget(self, number: int) -> None:
        """Nobody waits for a stream any more."""
        self._open.pop(number, None)

    def send(self, piece: wire.Audio) -> None:
        """Send one piece."""
        self._sent += 1
        self._owed_s += len(piece.samples) / piece.sample_rate_hz
        if self._waiting_since_s is None:
            self._waiting_since_s = self.clock()
        self._write(piece)


def _retrieve(result: "asyncio.Future[Hypothesis]") -> None:
    """Look at a result that nobody may be waiting for, so that asyncio does not complain."""
    if not result.cancelled():
        result.exception()
