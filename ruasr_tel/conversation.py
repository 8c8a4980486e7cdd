"""One call: its legs, its end, its ledger."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from ruasr_tel.events import CallEnded, Dtmf, Event, Final
from ruasr_tel.leg import Leg
from ruasr_tel.profile import Profile
from ruasr_tel.segments import Surroundings
from ruasr_tel.types import CallId, LegId


class Call:
    """One conversation as the PBX knows it; made by `Calls.open`."""

    def __init__(
        self,
        call_id: CallId,
        door: str,
        profile: Profile,
        around: Callable[[Callable[[Event], None]], Surroundings],
        publish: Callable[["Call", Event], None],
        hang_up: Callable[[str], None] | None,
        hand_back: Callable[[str], None] | None = None,
    ) -> None:
        self.call_id = call_id
        self.door = door
        self.profile = profile
        self.finals = 0
        self.hang_up = hang_up
        self.hand_back = hand_back
        self._publish = publish
        self._around = around(self._emit)
        self.started_s = self._around.mono()
        self._legs: list[Leg] = []
        self._open: dict[int, Leg] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._end: asyncio.Task[None] | None = None

    def open_leg(self, sample_rate_hz: int, channel: int = 0, *, offset_s: float = 0.0) -> Leg:
        """Open one party's audio.

        A second leg on the same channel (the peer changed its rate) takes over where the first
        one stopped; the first one's finals still come.

        Args:
            sample_rate_hz: rate of the samples that will be pushed.
            channel: audio channel index, 0-based.
            offset_s: call time of its first sample, for a party that comes later.
        """
        before = self._open.get(channel)
        nth = sum(leg.channel == channel for leg in self._legs)
        leg_id = LegId(f"{self.call_id}/{channel}" + (f".{nth + 1}" if nth else ""))
        offset_s = offset_s if before is None else before.clock_s
        leg = Leg(
            self.call_id, leg_id, sample_rate_hz, self.profile, self._around, channel, offset_s
        )
        if before is not None:
            self._close(before)
        self._legs.append(leg)
        self._open[channel] = leg
        return leg

    async def close_leg(self, leg: Leg) -> None:
        """End one party's audio while the call goes on; its finals are out when this returns.

        Args:
            leg: an open one; its ledger is told with the call's end.
        """
        if self._open.get(leg.channel) is leg:
            del self._open[leg.channel]
            await asyncio.shield(self._close(leg))

    @property
    def legs(self) -> list[Leg]:
        """The open legs, by channel."""
        return [leg for _, leg in sorted(self._open.items())]

    def dtmf(self, leg: Leg, digit: str) -> None:
        """Report a key press, at the leg's present time."""
        self._emit(Dtmf(self.call_id, leg.leg_id, _utc(), digit, leg.clock_s))

    async def end(self, reason: str) -> None:
        """Flush every leg, wait for its finals (bounded), account for its audio; idempotent.

        Args:
            reason: why, for the log and the sinks: `hangup`, `eof`, `close`, `drain`, …
        """
        if self._end is None:
            self._end = asyncio.create_task(self._finish(reason))
        await asyncio.shield(self._end)

    async def settle(self, timeout_s: float) -> None:
        """Wait until the call has ended, if its end has begun; a running one is not waited for."""
        if self._end is not None:
            await asyncio.wait({self._end}, timeout=timeout_s)

    def tick(self, now_s: float) -> None:
        """Let the legs look at the clock."""
        for leg in self._open.values():
            leg.tick(now_s)

    def _close(self, leg: Leg) -> "asyncio.Task[None]":
        task = asyncio.create_task(_finish(leg))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        return task

    async def _finish(self, reason: str) -> None:
        ends = [*self._closing, *(_finish(leg) for leg in self._open.values())]
        answers = await asyncio.gather(*ends, return_exceptions=True)
        ledgers = {leg.leg_id: leg.ledger() for leg in self._legs}
        heard = {leg.leg_id: leg.outcome() for leg in self._legs}
        outcomes = {leg_id: each for leg_id, each in heard.items() if each is not None}
        duration_s = max((leg.clock_s for leg in self._legs), default=0.0)
        self._emit(
            CallEnded(self.call_id, _utc(), reason, duration_s, self.finals, ledgers, outcomes)
        )
        for answer in answers:  # after the end, without which the call would count as running
            if isinstance(answer, BaseException):
                raise answer

    def _emit(self, event: Event) -> None:
        self.finals += isinstance(event, Final)
        self._publish(self, event)


async def _finish(leg: Leg) -> None:
    try:
        await leg.flush()
    finally:
        leg.close()


def _utc() -> datetime:
    return datetime.now(UTC)
