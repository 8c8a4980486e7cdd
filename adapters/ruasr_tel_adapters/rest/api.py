"""What every handler may use, and how a handler waits: not past the server's stop."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import TypeVar
from uuid import uuid4

from aiohttp import web

from ruasr_tel.plugins import Server
from ruasr_tel_adapters.rest.config import RestConfig
from ruasr_tel_adapters.rest.problems import Problem

T = TypeVar("T")

STOPPING = "the server is stopping and takes no new work"


@dataclass(eq=False)
class Api:
    """One door's state.

    Attributes:
        config: the door's section.
        server: the rest of the server.
        accepting: whether new work is taken.
        closing: set when every stream and every wait has to end.
        on_loopback: whether only this machine reaches the door.
        streams: event streams that are open.
        epoch: tells the event numbers of this run of the server from those of another.
    """

    config: RestConfig
    server: Server
    accepting: bool = True
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    on_loopback: bool = False
    streams: int = 0
    epoch: str = field(default_factory=lambda: uuid4().hex[:8])

    def admit(self) -> None:
        """Say whether new work is taken.

        Raises:
            Problem: 503, the server is stopping.
        """
        if not self.accepting:
            raise Problem(503, STOPPING)

    async def unless_closing(self, action: Awaitable[T]) -> T:
        """Wait for something, but no longer than the server lives.

        Raises:
            Problem: 503, the server is stopping.
        """
        task = asyncio.ensure_future(action)
        closing = asyncio.ensure_future(self.closing.wait())
        try:
            await asyncio.wait({task, closing}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise Problem(503, STOPPING)
            return task.result()
        finally:
            closing.cancel()
            task.cancel()


API = web.AppKey("API", Api)
