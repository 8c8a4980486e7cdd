"""Calls without voice activity, engine or clock: a test says what is heard, and when."""

import asyncio
import math
from collections import Counter
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, TypeAlias, cast

import numpy as np

from ruasr_tel.call import Calls
from ruasr_tel.engines.base import DecodeOptions
from ruasr_tel.errors import ConfigError, Overloaded
from ruasr_tel.events import Alternative, CallEnded, CallStarted, Event, Final, Partial, Word
from ruasr_tel.hub import Hub
from ruasr_tel.metrics import Metrics
from ruasr_tel.plugins import Server
from ruasr_tel.profile import Profile
from ruasr_tel.types import CallId, LegId, Samples
from ruasr_tel.websocket import Listener

Serve: TypeAlias = Callable[..., Coroutine[Any, Any, Listener]]
"""Starts a door with these settings of its section."""

AT = datetime(2026, 1, 1, tzinfo=UTC)


class FakeLeg:
    """Remembers its audio; its backlog is what a test sets it to."""

    def __init__(self, call: "FakeCall", sample_rate_hz: int) -> None:
        self.sample_rate_hz = sample_rate_hz
        self.audio: list[Samples] = []
        self.dropped: Counter[str] = Counter()
        self.backlog_s = 0.0
        self.bounds_s: list[float] = []
        self.waited_for = asyncio.Event()
        self.room = asyncio.Event()
        self.tail: list[str] = []
        self.never_flushes = False
        self.options: list[DecodeOptions] = []
        self._call = call

    def set_options(self, options: DecodeOptions) -> None:
        self.options.append(options)

    @property
    def samples(self) -> Samples:
        return np.concatenate([np.zeros(0, np.int16), *self.audio])

    @property
    def clock_s(self) -> float:
        return len(self.samples) / self.sample_rate_hz

    def push(self, samples: Samples) -> None:
        self.audio.append(samples.copy())
        self._call.hears(len(self.audio))

    def drop(self, samples_count: int, reason: str) -> None:
        self.dropped[reason] += samples_count

    async def flush(self) -> None:
        for text in self.tail:
            self._call.say(text)
        self.tail = []
        if self.never_flushes:
            await asyncio.Event().wait()

    async def backlog_below(self, seconds: float) -> None:
        self.bounds_s.append(seconds)
        self.waited_for.set()
        await self.room.wait()
        self.backlog_s = 0.0


class FakeCall:
    """Its legs, and what it says to the door."""

    def __init__(
        self,
        calls: "FakeCalls",
        call_id: CallId,
        peer: str,
        profile_name: str,
        on_event: Callable[[Event], None],
        hang_up: Callable[[str], None],
    ) -> None:
        self.call_id = call_id
        self.peer = peer
        self.profile_name = profile_name
        self.profile = calls.profile(profile_name)
        self.hang_up = hang_up
        self.legs: list[FakeLeg] = []
        self.reason: str | None = None
        self.ended = asyncio.Event()
        self.opened = asyncio.Event()
        self.fails = False
        self._calls = calls
        self._emit = on_event
        self._heard_s = 0.0
        self._emit(CallStarted(call_id, AT, "vosk_ws", peer, profile_name))

    @property
    def leg(self) -> FakeLeg:
        assert len(self.legs) == 1
        return self.legs[0]

    def open_leg(self, sample_rate_hz: int, channel: int = 0) -> FakeLeg:
        if self.fails:
            raise RuntimeError("a fault of ours")
        self.legs.append(FakeLeg(self, sample_rate_hz))
        for text in self._calls.tail:
            self.legs[-1].tail.append(text)
        self.opened.set()
        return self.legs[-1]

    def hears(self, pushes: int) -> None:
        self._calls.on_push(self, pushes)

    def say(self, text: str, *others: str) -> None:
        """Emit a final of one word per half second; each other reading is half as probable."""
        start_s = self._heard_s
        words = tuple(
            Word(word, start_s + n / 2, start_s + n / 2 + 0.4, None)
            for n, word in enumerate(text.split())
        )
        self._heard_s += max(len(words), 1) / 2
        leg_id = LegId(f"{self.call_id}/0")
        self._emit(
            Final(
                *(self.call_id, leg_id, AT, 0, text, words, start_s, self._heard_s, "endpoint"),
                score=-1.0,
                alternatives=tuple(
                    Alternative(other, (), None, -1.0 - n * math.log(2))
                    for n, other in enumerate(others, 1)
                ),
            )
        )

    def say_partial(self, text: str) -> None:
        leg_id = LegId(f"{self.call_id}/0")
        self._emit(Partial(self.call_id, leg_id, AT, text, self._heard_s, self._heard_s + 1))

    async def end(self, reason: str) -> None:
        for leg in self.legs:
            leg.never_flushes = False
            await leg.flush()
        self.reason = reason
        self._calls.running.pop(self.call_id, None)
        self._emit(CallEnded(self.call_id, AT, reason, 0.0, 0, {}))
        self.ended.set()


class FakeCalls:
    """Admits until told otherwise."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.profiles = {"default": Profile(), "yesno": Profile(phrases=("да", "нет"), closed=True)}
        self.announced: dict[CallId, str] = {}
        self.full = False
        self.full_after_handshake = False
        self.tail: list[str] = []
        self.on_push: Callable[[FakeCall, int], None] = lambda _call, _pushes: None
        self.running: dict[CallId, FakeCall] = {}
        self.calls: asyncio.Queue[FakeCall] = asyncio.Queue()

    def __contains__(self, call_id: CallId) -> bool:
        return call_id in self.running

    def profile(self, name: str | None) -> Profile:
        if (name or "default") not in self.profiles:
            raise ConfigError(f"there is no profile {name!r}")
        return self.profiles[name or "default"]

    def admit(self) -> None:
        if self.full:
            raise Overloaded("2 calls are running, the limit (calls.max_calls)")

    def open(
        self,
        *,
        door: str,
        call_id: CallId,
        peer: str,
        profile: str | None,
        on_event: Callable[[Event], None],
        hang_up: Callable[[str], None],
        door_profile: str | None = None,
    ) -> FakeCall:
        assert door == "vosk_ws"
        assert call_id not in self.running
        if self.full_after_handshake:
            raise Overloaded("2 calls are running, the limit (calls.max_calls)")
        name = profile or self.announced.get(call_id) or door_profile or "default"
        call = FakeCall(self, call_id, peer, name, on_event, hang_up)
        self.running[call_id] = call
        self.calls.put_nowait(call)
        return call

    @property
    def server(self) -> Server:
        """What a door is made with; the calls in it are these."""
        return Server(cast(Calls, self), Hub(), self.metrics)

    def bad(self, kind: str) -> float | None:
        """Return how often something against the protocol was counted."""
        return self.metrics.registry.get_sample_value(
            "ruasr_bad_messages_total", {"door": "vosk_ws", "kind": kind}
        )
