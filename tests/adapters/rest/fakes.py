"""What the REST door sees of recordings and the store, in memory; and a door that listens."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import aiohttp

from ruasr_tel.call import Calls
from ruasr_tel.errors import BadCursor, ConfigError
from ruasr_tel.events import Event, Final, Word
from ruasr_tel.hub import Hub
from ruasr_tel.metrics import Metrics
from ruasr_tel.plugins import Server
from ruasr_tel.recordings.config import RecordingsConfig
from ruasr_tel.recordings.jobs import Recordings
from ruasr_tel.recordings.model import (
    Dialogue,
    Order,
    Recording,
    Segment,
    Side,
    State,
    Transcript,
    Turn,
)
from ruasr_tel.store import CallHistory, CallRow, Page, Store
from ruasr_tel.testing import TIMEOUT_S, running_calls
from ruasr_tel.types import CallId
from ruasr_tel_adapters.rest import RestConfig, RestDoor

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

_WORDS = (Word("алло", 0.36, 0.72, 0.9), Word("да", 0.8, 1.0, None))

DIALOGUE = Dialogue(
    duration_s=4.0,
    turns=(
        Turn(0, 0.36, 1.0, "алло да", _WORDS),
        Turn(1, 1.5, 2.0, "слушаю", crosstalk=False),
        Turn(1, 2.5, 3.0, "алло", crosstalk=True),
    ),
    sides=(Side(0, 0.56, 3.44, 0.0, 0, 1, 2), Side(1, 0.5, 3.5, 0.0, 0, 1, 1)),
    transcript=Transcript(
        4.0,
        2,
        (Segment(0, 0.3, 1.1, "алло да", _WORDS), Segment(1, 1.4, 2.1, "слушаю")),
    ),
)


class FakeRecordings:
    """Does nothing with a recording until the test moves it on."""

    def __init__(self, folder: Path) -> None:
        self.config = RecordingsConfig()
        self.uploads = folder / "uploads"
        self.uploads.mkdir()
        self.all: dict[str, Recording] = {}
        self.orders: list[Order] = []
        self.files: dict[str, Path] = {}
        self.refusal: Exception | None = None
        self.at_once: Dialogue | str | None = None
        self.waited: list[float] = []
        self.somebody_waits = asyncio.Event()
        self._changed = asyncio.Event()

    async def submit(self, order: Order) -> tuple[Recording, bool]:
        if self.refusal is not None:
            raise self.refusal
        if order.model not in (None, "Vosk5"):
            raise ConfigError(f"this server has no model {order.model!r}")
        for each in self.all.values():
            if order.idempotency_key and each.order.idempotency_key == order.idempotency_key:
                return each, False
        self.orders.append(order)
        id = str(uuid4())
        kept = replace(order, callback_secret=None)
        self.all[id] = Recording(id, kept, State.QUEUED, 0.0, NOW, NOW)
        if order.upload is not None:
            self.files[id] = order.upload
        if isinstance(self.at_once, Dialogue):
            self.move(id, State.DONE, result=self.at_once)
        elif self.at_once is not None:
            self.move(id, State.FAILED, reason=self.at_once)
        return replace(self.all[id], state=State.QUEUED, result=None), True

    def move(self, id: str, state: State, **changes: Any) -> None:
        self.all[id] = replace(self.all[id], state=state, **changes)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def get(self, id: str, *, with_result: bool = True) -> Recording | None:
        found = self.all.get(id)
        return found if found is None or with_result else replace(found, result=None)

    async def list(
        self,
        *,
        state: State | None = None,
        since: datetime | None = None,
        limit: int = 50,
        cursor: str | None = None,
        text: str | None = None,
    ) -> Page[Recording]:
        if cursor not in (None, "next"):
            raise BadCursor(f"{cursor!r} is no cursor of ours")
        found = [each for each in self.all.values() if state in (None, each.state)]
        return Page(tuple(replace(each, result=None) for each in found[:limit]), "next")

    async def cancel(self, id: str) -> bool:
        if self.all[id].state.ended:
            return False
        self.move(id, State.CANCELLED)
        return True

    async def wait(self, id: str, seconds: float) -> Recording:
        self.waited.append(seconds)
        self.somebody_waits.set()
        async with asyncio.timeout(TIMEOUT_S):
            while not self.all[id].state.ended and seconds > 1:
                await self._changed.wait()
        return self.all[id]

    async def follow(
        self, id: str, after: int = -1
    ) -> AsyncGenerator[tuple[int, dict[str, object]], None]:
        number = after
        while True:
            changed, now = self._changed, self.all[id]
            number += 1
            yield number, {"state": now.state.value, "progress": now.progress}
            if now.state.ended:
                return
            await changed.wait()

    def audio(self, id: str) -> Path | None:
        return self.files.get(id)

    async def queued(self) -> dict[str, int]:
        return {"recording": sum(not each.state.ended for each in self.all.values())}


class FakeStore:
    """Knows one call."""

    def __init__(self) -> None:
        self.row = CallRow(CallId("old"), "vosk_ws", "127.0.0.1:1", "default", {}, NOW)
        self.asked: list[Mapping[str, Any]] = []
        self.finals: tuple[Final, ...] = ()

    async def calls(self, **asked: Any) -> Page[CallRow]:
        self.asked.append(asked)
        if asked["cursor"] is not None:
            raise BadCursor(f"{asked['cursor']!r} is no cursor of ours")
        return Page((self.row,), None)

    async def call(self, call_id: str) -> CallHistory | None:
        return CallHistory(self.row, (), self.finals, ()) if call_id == self.row.call_id else None


@dataclass
class Rest:
    """A door that listens, and a client of it."""

    door: RestDoor
    client: aiohttp.ClientSession
    calls: Calls
    hub: Hub
    recordings: FakeRecordings
    store: FakeStore
    ready: bool = True
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)

    async def json(
        self, method: str, path: str, status: int = 200, **request: Any
    ) -> dict[str, Any]:
        """Return the JSON answer; its status must be that."""
        async with self.client.request(method, path, **request) as response:
            body: dict[str, Any] = json.loads(await response.text())
            assert response.status == status, body
            if status >= 400:
                assert response.content_type == "application/problem+json"
                assert body["status"] == status
            return body


@asynccontextmanager
async def listening(
    folder: Path,
    config: RestConfig | None = None,
    *,
    recordings: bool = True,
    store: bool = True,
    publish: Callable[[Event], None] = lambda _event: None,
    door_urls: Mapping[str, str] | None = None,
) -> AsyncIterator[Rest]:
    """Run a door before fakes, on a free port."""
    hub = Hub()
    fake_recordings, fake_store = FakeRecordings(folder), FakeStore()

    def publish_all(event: Event) -> None:
        hub.publish(event)
        publish(event)

    async with running_calls(publish=publish_all) as calls:
        rest = cast("Rest", None)

        def ready() -> bool:
            return rest.ready

        server = Server(
            calls,
            hub,
            Metrics(),
            cast(Store, fake_store) if store else None,
            cast(Recordings, fake_recordings) if recordings else None,
            ready,
            lambda: door_urls or {},
        )
        door = RestDoor((config or RestConfig()).model_copy(update={"port": 0}), server)
        await door.start()
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        async with aiohttp.ClientSession(door.url, timeout=timeout) as client:
            rest = Rest(door, client, calls, hub, fake_recordings, fake_store)
            try:
                yield rest
            finally:
                await door.close()
