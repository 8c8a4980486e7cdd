"""The real thing behind the door: embedded model, Silero, scheduler, in a thread of its own."""

import asyncio
import threading
from collections import defaultdict
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import numpy as np

from ruasr_tel import plugins
from ruasr_tel.app_models import recognition
from ruasr_tel.call import Calls
from ruasr_tel.config import Config, EngineConfig
from ruasr_tel.events import CallEnded, Event, Final
from ruasr_tel.hub import Hub
from ruasr_tel.metrics import Metrics
from ruasr_tel.testing import TIMEOUT_S
from ruasr_tel.types import CallId
from ruasr_tel_adapters.vosk_ws import VoskWsConfig, create

T = TypeVar("T")

DATA = Path(__file__).parents[1] / "data"


class Server:
    """A Vosk door on loopback, and everything that its calls said."""

    def __init__(self) -> None:
        self.address = ("127.0.0.1", 0)
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready: Future[None] = Future()
        self._events: defaultdict[str, list[Event]] = defaultdict(list)
        self._more = threading.Condition()
        self._references: dict[tuple[bytes, int], str] = {}
        self._calls: Calls | None = None
        self._thread = threading.Thread(target=self._run, name="server")

    def start(self) -> None:
        """Return when the door is open."""
        self._thread.start()
        self._ready.result(3 * TIMEOUT_S)

    def stop(self) -> None:
        """Close the door, end the engine."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(3 * TIMEOUT_S)

    def finals(self, call_id: str) -> list[Final]:
        """Wait for the call's end and return its finals that have text."""
        with self._more:
            assert self._more.wait_for(lambda: self._has_ended(call_id), 3 * TIMEOUT_S), call_id
            events = list(self._events[call_id])
        ledgers = [
            ledger
            for event in events
            if isinstance(event, CallEnded)
            for ledger in event.ledgers.values()
        ]
        assert all(ledger.difference == 0 and not ledger.dropped for ledger in ledgers)
        return [event for event in events if isinstance(event, Final) and event.text]

    def text(self, call_id: str) -> str:
        """Wait for the call's end and return all its text."""
        return " ".join(final.text for final in self.finals(call_id))

    def text_so_far(self, call_id: str) -> str:
        """Return the final text of a running call."""
        with self._more:
            events = list(self._events[call_id])
        return " ".join(event.text for event in events if isinstance(event, Final) and event.text)

    def reference(self, pcm: bytes, rate_hz: int = 8000) -> str:
        """Return what the same audio gives without any door, pushed at once."""
        key = (pcm, rate_hz)
        if key not in self._references:
            call_id = f"reference-{uuid4()}"
            self._call(lambda: self._decode(CallId(call_id), pcm, rate_hz))
            self._references[key] = self.text(call_id)
        return self._references[key]

    async def _decode(self, call_id: CallId, pcm: bytes, rate_hz: int) -> None:
        assert self._calls is not None
        call = self._calls.open(door="reference", call_id=call_id, peer="")
        call.open_leg(rate_hz).push(np.frombuffer(pcm[: len(pcm) // 2 * 2], "<i2"))
        await call.end("eof")

    def _call(self, work: Callable[[], Awaitable[T]]) -> T:
        async def run() -> T:
            return await work()

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(3 * TIMEOUT_S)

    def _has_ended(self, call_id: str) -> bool:
        return any(isinstance(event, CallEnded) for event in self._events[call_id])

    def _publish(self, event: Event) -> None:
        with self._more:
            self._events[event.call_id].append(event)
            self._more.notify_all()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:
            if self._ready.done():
                raise
            self._ready.set_exception(error)
        finally:
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    async def _serve(self) -> None:
        # An engine that hears all clients alike: others heed phrase lists and give readings.
        config = Config(engine=EngineConfig(engine="sherpa"))
        async with recognition(config) as parts:
            calls = Calls(
                config.calls,
                config.profiles,
                parts.recognisers,
                parts.batcher,
                self._publish,
                Metrics(),
            )
            await calls.start()
            door = create(VoskWsConfig(port=0), plugins.Server(calls, Hub(), Metrics()))
            await door.start()
            self._calls = calls
            self.address = ("127.0.0.1", int(door.url.rpartition(":")[2]))
            self._ready.set_result(None)
            await self._stop.wait()
            await door.close()
            await calls.close()
