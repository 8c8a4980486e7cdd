"""What an AudioSocket session sees of the core and of the event loop, as recorders."""

import asyncio
from collections.abc import Callable
from typing import cast

import numpy as np

from ruasr_tel.call import Calls
from ruasr_tel.errors import ConfigError, RuasrError
from ruasr_tel.types import CallId, Samples


class FakeLeg:
    def __init__(self, sample_rate_hz: int, news: asyncio.Event) -> None:
        self.sample_rate_hz = sample_rate_hz
        self.news = news
        self.backlog_s = 0.0
        self.pushed: list[Samples] = []
        self.dropped: list[tuple[int, str]] = []
        self.error: Exception | None = None

    def push(self, samples: Samples) -> None:
        if self.error is not None:
            raise self.error
        self.pushed.append(samples.copy())
        self.news.set()

    def drop(self, samples_count: int, reason: str) -> None:
        self.dropped.append((samples_count, reason))

    @property
    def audio(self) -> list[int]:
        return [int(sample) for sample in np.concatenate([*self.pushed, np.zeros(0, np.int16)])]


class FakeCall:
    def __init__(
        self,
        call_id: CallId,
        opened_with: dict[str, str | None],
        hang_up: Callable[[str], None],
        news: asyncio.Event,
    ) -> None:
        self.call_id = call_id
        self.opened_with = opened_with
        self.hang_up = hang_up
        self.news = news
        self.legs: list[FakeLeg] = []
        self.digits: list[tuple[FakeLeg, str]] = []
        self.ended: list[str] = []
        self.has_ended = asyncio.Event()
        self.may_end = asyncio.Event()
        self.may_end.set()
        self.end_error: Exception | None = None

    def open_leg(self, sample_rate_hz: int, channel: int = 0) -> FakeLeg:
        assert channel == 0
        self.legs.append(FakeLeg(sample_rate_hz, self.news))
        return self.legs[-1]

    def dtmf(self, leg: FakeLeg, digit: str) -> None:
        self.digits.append((leg, digit))

    async def end(self, reason: str) -> None:
        self.ended.append(reason)
        await self.may_end.wait()
        self.has_ended.set()
        if self.end_error is not None:
            raise self.end_error

    @property
    def leg(self) -> FakeLeg:
        (leg,) = self.legs
        return leg


class FakeCalls:
    def __init__(self) -> None:
        self.all: list[FakeCall] = []
        self.news = asyncio.Event()
        self.refusal: RuasrError | None = None

    def __contains__(self, call_id: CallId) -> bool:
        return any(call.call_id == call_id and not call.has_ended.is_set() for call in self.all)

    def profile(self, name: str | None) -> None:
        if name not in (None, "default", "yesno"):
            raise ConfigError(f"there is no profile {name!r}; known profiles: default, yesno")

    def open(
        self,
        *,
        door: str,
        call_id: CallId,
        peer: str,
        door_profile: str | None,
        hang_up: Callable[[str], None],
        hand_back: Callable[[str], None],
    ) -> FakeCall:
        if self.refusal is not None:
            raise self.refusal
        opened_with = {"door": door, "peer": peer, "door_profile": door_profile}
        self.all.append(FakeCall(call_id, opened_with, hang_up, self.news))
        self.news.set()
        return self.all[-1]

    @property
    def call(self) -> FakeCall:
        (call,) = self.all
        return call

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds: looked at whenever a call opens or audio comes."""
        while not condition():
            self.news.clear()
            await self.news.wait()

    def as_calls(self) -> Calls:
        return cast(Calls, self)


class FakeSocket:
    def __init__(self) -> None:
        self.options: list[tuple[int, int, int]] = []

    def setsockopt(self, level: int, option: int, value: int) -> None:
        self.options.append((level, option, value))


class FakeTransport(asyncio.Transport):
    """Records what is written; `abort` and `peer_closes` are told to the protocol by the test."""

    def __init__(self, peername: tuple[str, int] | None = ("127.0.0.1", 40000)) -> None:
        self.socket = FakeSocket()
        super().__init__({"peername": peername, "socket": self.socket})
        self.writes: list[bytes] = []
        self.high: int | None = None
        self.eof_written = False
        self.aborted = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.high = high

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.eof_written
        assert not self.aborted
        self.writes.append(bytes(data))

    def write_eof(self) -> None:
        assert not self.aborted
        self.eof_written = True

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True
