"""Somebody who wants to be told of every call: takes what the server posts."""

import asyncio
from collections import defaultdict
from typing import Any

from aiohttp import web

from ruasr_tel.recordings.deliver import DELIVERY_HEADER
from ruasr_tel.testing import TIMEOUT_S


class Receiver:
    """Takes deliveries on loopback."""

    def __init__(self) -> None:
        self.url = ""
        self._told: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
        self._more = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def open(self) -> None:
        """Listen on any free port."""
        app = web.Application()
        app.router.add_post("/hook", self._take)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/hook"

    async def close(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def told(self, call_id: str) -> list[dict[str, Any]]:
        """Wait for everything about a call up to its end; return it in the order it was said."""
        async with asyncio.timeout(4 * TIMEOUT_S):
            while not (told := self._whole(call_id)):
                self._more.clear()
                await self._more.wait()
        return told

    def _whole(self, call_id: str) -> list[dict[str, Any]]:
        told = sorted(self._told[call_id].values(), key=lambda each: int(each["number"]))
        ended = bool(told) and told[-1]["event"] == "call.ended"
        return told if ended and told[-1]["number"] == len(told) else []

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.json()
        self._told[body["call_id"]][request.headers[DELIVERY_HEADER]] = body
        self._more.set()
        return web.Response()
