"""States of recordings as they change, for whoever waits for them."""

import asyncio
import contextlib
import math
from collections.abc import AsyncGenerator
from weakref import WeakValueDictionary

from ruasr_tel.recordings.model import Recording, State
from ruasr_tel.store import Store

WORKED_ON = (State.QUEUED, State.FETCHING, State.RECOGNISING)
"""States in which a recording takes its turn."""
LOOK_S = 2.0
"""How often to look for what another server changed; what this one changes is told at once."""


class States:
    """Changes states in the store and tells who follows.

    Args:
        store: where they are kept.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self.worked_on: set[str] = set()
        """Recordings that wait for their turn or have it, as far as this server knows."""
        self._changed: WeakValueDictionary[str, asyncio.Event] = WeakValueDictionary()

    async def set(
        self, id: str, state: State, progress: float | None = None, reason: str | None = None
    ) -> bool:
        """Move a recording on; return False if it has ended before or is gone."""
        moved = await self._store.set_state(id, state, progress, reason)
        if state not in WORKED_ON or not moved:
            self.worked_on.discard(id)
        self._tell(id)
        return moved

    async def cancel(self, id: str) -> bool:
        """End a recording; return False if it has ended before or is not known."""
        return await self.set(id, State.CANCELLED)

    def _tell(self, id: str) -> None:
        """Wake up who follows a recording."""
        if (changed := self._changed.pop(id, None)) is not None:
            changed.set()

    async def follow(
        self, id: str, after: int = -1
    ) -> AsyncGenerator[tuple[int, dict[str, object]], None]:
        """Yield what a recording is at now, and then every change, to its end.

        Numbers grow with time over restarts and servers, so any of them can be resumed from;
        changes that come faster than they are taken are left out.

        Args:
            id: the recording.
            after: number of the last change already seen.
        """
        while True:
            changed = self._changed.setdefault(id, asyncio.Event())
            recording = await self._store.recording(id, with_result=False)
            if recording is None:
                return
            number = int(recording.updated_at.timestamp() * 1_000_000)
            if number > after:
                after = number
                yield number, _shown(recording)
            if recording.state.ended:
                return
            await _pause(changed, LOOK_S)

    async def wait(self, id: str, seconds: float) -> Recording | None:
        """Return a recording when it has ended or has a result, or as it is after that long."""
        now_s = asyncio.get_running_loop().time
        deadline_s = now_s() + seconds
        while True:
            changed = self._changed.setdefault(id, asyncio.Event())
            recording = await self._store.recording(id, with_result=False)
            left_s = deadline_s - now_s()
            if recording is None or recording.state not in WORKED_ON or left_s <= 0:
                return await self._store.recording(id)
            await _pause(changed, min(left_s, LOOK_S))


async def _pause(changed: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await changed.wait()


def _shown(recording: Recording) -> dict[str, object]:
    shown: dict[str, object] = {
        "id": recording.id,
        "state": recording.state.value,
        "progress": math.floor(recording.progress * 1000) / 1000,
    }
    if recording.reason is not None:
        shown["reason"] = recording.reason
    return shown
