"""The whole server in this process, so that a test sees every sample that a leg got."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from contextlib import AsyncExitStack

import numpy as np
import pytest

from ruasr_tel.app import Running, serving
from ruasr_tel.config import load_config
from ruasr_tel.events import CallEnded, CallStarted, Dtmf, Event, Final
from ruasr_tel.hub import Hub
from ruasr_tel.leg import Leg
from ruasr_tel.testing import TIMEOUT_S
from ruasr_tel.types import Samples

WAIT_S = 4 * TIMEOUT_S


class House:
    """Every door on a port of its own, with the embedded model; its legs are tapped.

    Args:
        ports: by door.
        asterisk_http: port of Asterisk's HTTP server, for WebSocket/INCOMING.
        patch: for the taps.
    """

    def __init__(
        self, ports: Mapping[str, int], asterisk_http: int, patch: pytest.MonkeyPatch
    ) -> None:
        self.heard: dict[str, list[Samples]] = defaultdict(list)
        self.events: dict[str, list[Event]] = defaultdict(list)
        self._audio = asyncio.Event()
        self._more = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stack = AsyncExitStack()
        self.running: Running | None = None
        overrides: dict[str, object] = {f"doors.{door}.port": port for door, port in ports.items()}
        overrides |= {"doors.aeap.enabled": True, "doors.asterisk_ws.enabled": True}
        overrides |= {
            "calls.drain_s": 0,
            "profiles.question.end.after_final": True,
            "sinks.log.enabled": False,
        }
        overrides |= {"doors.asterisk_ws.asterisks.pbx.url": f"ws://127.0.0.1:{asterisk_http}"}
        overrides |= {
            "doors.ari.enabled": True,
            "doors.ari.url": f"http://127.0.0.1:{asterisk_http}/ari",
            "doors.ari.username": "suite",
            "doors.ari.password": "suite",
            "doors.ari.format": "slin",
            "doors.ari.reconnect_max_s": 0.5,
        }
        self._config = load_config(environ={}, overrides=overrides).config
        self._tap(patch)

    async def open(self) -> None:
        """Start the server."""
        self.running = await self._stack.enter_async_context(serving(self._config))

    async def close(self) -> None:
        """Stop it; running calls are ended in each door's own way."""
        await self._stack.aclose()
        self.running = None

    def audio(self, call_id: str) -> Samples:
        """Return every sample that a call's legs got, in order."""
        return np.concatenate([np.zeros(0, np.int16), *self.heard[call_id]])

    def text(self, call_id: str) -> str:
        """Return what was said in a call."""
        finals = [event for event in self.events[call_id] if isinstance(event, Final)]
        return " ".join(final.text for final in finals if final.text)

    def digits(self, call_id: str) -> str:
        """Return the keys that were pressed."""
        return "".join(e.digit for e in self.events[call_id] if isinstance(e, Dtmf))

    def door(self, call_id: str) -> str:
        """Return the door that a call came through."""
        (started,) = [e for e in self.events[call_id] if isinstance(e, CallStarted)]
        return started.door

    async def ended(self, call_id: str) -> CallEnded:
        """Wait for a call's end."""

        def found() -> list[CallEnded]:
            return [e for e in self.events[call_id] if isinstance(e, CallEnded)]

        async with asyncio.timeout(WAIT_S), self._more:
            await self._more.wait_for(lambda: bool(found()))
        return found()[-1]

    async def until_heard(self, call_id: str, samples: int) -> None:
        """Wait until a call's legs got so much audio."""
        async with asyncio.timeout(WAIT_S):
            while sum(map(len, self.heard[call_id])) < samples:
                self._audio.clear()
                await self._audio.wait()

    def _tap(self, patch: pytest.MonkeyPatch) -> None:
        push, publish = Leg.push, Hub.publish

        def tapped_push(leg: Leg, samples: Samples) -> None:
            self.heard[leg.call_id].append(samples)
            self._audio.set()
            push(leg, samples)

        def tapped_publish(hub: Hub, event: Event) -> None:
            self.events[event.call_id].append(event)
            task = asyncio.get_running_loop().create_task(self._tell())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            publish(hub, event)

        patch.setattr(Leg, "push", tapped_push)
        patch.setattr(Hub, "publish", tapped_publish)

    async def _tell(self) -> None:
        async with self._more:
            self._more.notify_all()
