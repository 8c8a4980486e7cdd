"""Lets many readers follow the events of calls as they happen, and catch up on the last ones."""

import asyncio
import itertools
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field

from ruasr_tel.events import CallEnded, CallStarted, Event, Final, Partial
from ruasr_tel.types import CallId

KEPT_CALLS = 1000
"""Calls whose events are kept; the oldest ended ones go first."""
KEPT_EVENTS = 2000
"""Events kept per call; an hour and more of finals. Partials, most of all events, while it runs."""


@dataclass(slots=True)
class Latest:
    """How a call stands.

    Attributes:
        started: how it began, or None if that is not known any more.
        text: its last final that has text.
        partial: text of the open segment, may still change.
    """

    started: CallStarted | None = None
    text: str = ""
    partial: str = ""

    def take(self, event: Event) -> None:
        """Note one more event."""
        match event:
            case CallStarted():
                self.started = event
            case Partial(text=text):
                self.partial = text
            case Final(text=text):
                self.text, self.partial = text or self.text, ""


@dataclass(eq=False)
class _Line:
    """Numbered events, and who waits for more."""

    following: int = 0  # number of the next event
    numbered: deque[tuple[int, Event]] = field(default_factory=lambda: deque(maxlen=KEPT_EVENTS))
    latest: Latest = field(default_factory=Latest)
    ended: bool = False
    followers: int = 0
    more: asyncio.Event = field(default_factory=asyncio.Event)

    def push(self, event: Event) -> None:
        self.numbered.append((self.following, event))
        self.following += 1
        self.latest.take(event)
        waiting, self.more = self.more, asyncio.Event()
        waiting.set()

    def end(self) -> None:
        """Let go of what is only of use while the call runs; the others keep their numbers."""
        self.ended = True
        kept = [one for one in self.numbered if not isinstance(one[1], Partial)]
        self.numbered = deque(kept, KEPT_EVENTS)

    def since(self, number: int) -> list[tuple[int, Event]]:
        """Return the kept events from a number on; costs what it returns, not what is kept."""
        newer = list(itertools.takewhile(lambda one: one[0] >= number, reversed(self.numbered)))
        return newer[::-1]

    async def follow(self, following: int) -> AsyncGenerator[tuple[int, Event], None]:
        """Yield events from number `following` on, to the end of the line."""
        while True:
            more = self.more
            for number, event in self.since(following):
                following = number + 1
                yield number, event
            if self.ended and not more.is_set():  # set: more came while the reader was slow
                return
            await more.wait()


class Hub:
    """Keeps the last events in memory; history is the store's business."""

    def __init__(self) -> None:
        self._lines: OrderedDict[CallId, _Line] = OrderedDict()
        self._all = _Line()

    def publish(self, event: Event) -> None:
        """Take one event, in the event loop; never blocks."""
        line = self._lines.setdefault(event.call_id, _Line())
        line.ended = False
        line.push(event)
        if isinstance(event, CallEnded):
            line.end()
        self._all.push(event)
        if len(self._lines) > KEPT_CALLS:
            self._forget()

    def running(self) -> list[CallId]:
        """Return the calls that have not ended."""
        return [call_id for call_id in self._lines if self.is_running(call_id)]

    def is_running(self, call_id: CallId) -> bool:
        """Whether a call has begun and not ended."""
        line = self._lines.get(call_id)
        return line is not None and bool(line.numbered) and not line.ended

    def latest(self, call_id: CallId) -> Latest:
        """Return how a call stands; nothing is known of one that has not come."""
        line = self._lines.get(call_id)
        return Latest() if line is None else line.latest

    def since_start(self, call_id: CallId) -> tuple[Event, ...]:
        """Return the kept events of the call that last had this id, the oldest first.

        The first one is its `CallStarted`, unless that is not kept any more.
        """
        line = self._lines.get(call_id)
        events = () if line is None else tuple(event for _, event in line.numbered)
        starts = [n for n, event in enumerate(events) if isinstance(event, CallStarted)]
        return events[starts[-1] :] if starts else events

    def __contains__(self, call_id: CallId) -> bool:
        line = self._lines.get(call_id)
        return line is not None and bool(line.numbered)

    async def follow(
        self, call_id: CallId, after: int = -1
    ) -> AsyncGenerator[tuple[int, Event], None]:
        """Yield the numbered events of one call, those kept and then new ones, to its end.

        Args:
            call_id: the call; one that has not come yet is waited for.
            after: number of the last event already seen, -1 for none.
        """
        line = self._lines.setdefault(call_id, _Line())
        line.followers += 1
        try:
            async for numbered in line.follow(after + 1):
                yield numbered
        finally:
            line.followers -= 1
            if not line.followers and not line.numbered:  # it never came
                self._lines.pop(call_id, None)

    async def follow_all(self, after: int | None = None) -> AsyncGenerator[tuple[int, Event], None]:
        """Yield the events of all calls, numbered in one row, without an end.

        Args:
            after: number of the last event already seen; None begins with the next one.
        """
        line = self._all
        following = line.following if after is None else after + 1
        async for numbered in line.follow(following):
            yield numbered

    def _forget(self) -> None:
        for call_id, line in self._lines.items():
            if line.ended:
                del self._lines[call_id]
                return
