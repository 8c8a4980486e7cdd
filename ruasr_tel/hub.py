"""Lets many readers follow the events of calls as they happen, and catch up on the last ones."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from ruasr_tel.events import CallEnded, Event
from ruasr_tel.types import CallId

KEPT_CALLS = 1000
"""Calls whose events are kept; the oldest ended ones go first."""
KEPT_EVENTS = 2000
"""Events kept per call: more than an hour of dialogue."""


@dataclass(eq=False)
class _Line:
    """The events of one call, and who waits for more."""

    first: int = 0  # number of the oldest kept event
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=KEPT_EVENTS))
    ended: bool = False
    more: asyncio.Event = field(default_factory=asyncio.Event)


class Hub:
    """Keeps the last events in memory; history is the store's business."""

    def __init__(self) -> None:
        self._lines: OrderedDict[CallId, _Line] = OrderedDict()

    def publish(self, event: Event) -> None:
        """Take one event, in the event loop; never blocks."""
        line = self._lines.setdefault(event.call_id, _Line())
        if len(line.events) == KEPT_EVENTS:
            line.first += 1
        line.events.append(event)
        line.ended = isinstance(event, CallEnded)
        waiting, line.more = line.more, asyncio.Event()
        waiting.set()
        if len(self._lines) > KEPT_CALLS:
            self._forget()

    def running(self) -> list[CallId]:
        """Return the calls that have not ended."""
        return [call_id for call_id, line in self._lines.items() if not line.ended]

    def __contains__(self, call_id: CallId) -> bool:
        return call_id in self._lines

    async def follow(self, call_id: CallId, after: int = -1) -> AsyncIterator[tuple[int, Event]]:
        """Yield the numbered events of one call, those kept and then new ones, to its end.

        Args:
            call_id: the call; one that has not come yet is waited for.
            after: number of the last event already seen, -1 for none.
        """
        line = self._lines.setdefault(call_id, _Line())
        following = after + 1
        while True:
            more = line.more
            for number, event in enumerate(list(line.events), line.first):
                if number >= following:
                    following = number + 1
                    yield number, event
            if line.ended:
                return
            await more.wait()

    def _forget(self) -> None:
        for call_id, line in self._lines.items():
            if line.ended:
                del self._lines[call_id]
                return
