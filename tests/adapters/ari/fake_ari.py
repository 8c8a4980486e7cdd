"""An Asterisk that speaks ARI as Asterisk 22 does: its channels, bridges and events, no audio."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

from aiohttp import web

from ruasr_tel.testing.calls import TIMEOUT_S

Json = dict[str, Any]


class FakeAri:
    """One Asterisk; answers with the status codes of the real one."""

    def __init__(self) -> None:
        self.channels: dict[str, Json] = {}
        self.bridges: dict[str, list[str]] = {}
        self.variables: dict[str, dict[str, str]] = {}
        self.requests: list[tuple[str, str, Json]] = []
        self.peers: list[object] = []  # address of who asked, by request
        self.user_events: list[tuple[str, Json]] = []
        self.subscriptions: set[str] = set()
        self.in_app: set[str] = set()
        self.fail: dict[str, int] = {}  # part of a path -> HTTP status
        self.silent: str | None = None  # part of a path: what it asks is done, not answered
        self.speaks = asyncio.Event()  # answers that are held back are given now
        self.mute = False  # channels never enter the application
        self.rtp_source: tuple[str, int] | None = None
        self.port = 0
        self._sockets: set[web.WebSocketResponse] = set()
        self._changed = asyncio.Condition()
        self._runner: web.AppRunner | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/ari"

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/ari/events", self._events)
        app.router.add_route("*", "/ari/{path:.*}", self._rest)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """End as `core stop now`: everything is gone."""
        for socket in tuple(self._sockets):
            await socket.close()
        assert self._runner is not None
        await self._runner.cleanup()
        self.channels.clear()
        self.bridges.clear()
        self.in_app.clear()
        self.subscriptions.clear()

    async def until(self, is_so: Callable[[], object]) -> None:
        """Wait until something is so.

        Raises:
            TimeoutError: it did not come.
        """
        async with asyncio.timeout(TIMEOUT_S), self._changed:
            await self._changed.wait_for(is_so)

    async def call(self, channel_id: str = "1795346040.1", *args: str, linked: str = "") -> None:
        """Let a channel run Stasis()."""
        shown = {
            "id": channel_id,
            "name": f"PJSIP/100-{channel_id}",
            "caller": {"name": "", "number": "100"},
            "dialplan": {"context": "in", "exten": "200", "priority": 2},
        }
        self.channels[channel_id] = shown
        self.variables[channel_id] = {"CHANNEL(linkedid)": linked or channel_id}
        await self.enter(channel_id, *args)

    async def enter(self, channel_id: str, *args: str) -> None:
        self.in_app.add(channel_id)
        said = {"app_name": "Stasis", "app_data": ",".join(("ruasr", *args))}
        self.channels[channel_id].setdefault("dialplan", {}).update(said)
        await self.tell({"type": "StasisStart", "args": args, "channel": self.channels[channel_id]})

    async def leave(self, channel_id: str) -> None:
        """Take a channel out of the application, into the next line of its dialplan."""
        shown = self.channels[channel_id]
        self.in_app.discard(channel_id)
        shown["dialplan"].update({"app_name": "Dial", "app_data": "PJSIP/200"})
        await self.tell({"type": "StasisEnd", "channel": shown})

    async def hang_up(self, channel_id: str) -> None:
        """End a channel; its snoops go with it, as their audiohooks do."""
        shown = self.channels.pop(channel_id, None)
        if shown is None:
            return
        for members in self.bridges.values():
            if channel_id in members:
                members.remove(channel_id)
        if channel_id in self.in_app:
            self.in_app.discard(channel_id)
            await self.tell({"type": "StasisEnd", "channel": shown})
        await self.tell({"type": "ChannelDestroyed", "channel": shown, "cause": 16})
        for snoop in [key for key, each in self.channels.items() if each.get("of") == channel_id]:
            await self.hang_up(snoop)

    async def tell(self, event: Json | str) -> None:
        text = event if isinstance(event, str) else json.dumps(event)
        for socket in tuple(self._sockets):
            await socket.send_str(text)
        await self._note()

    async def drop_connections(self) -> None:
        for socket in tuple(self._sockets):
            await socket.close()

    def media(self, spy: str) -> Json:
        """Return what was asked of externalMedia for one direction."""
        (body,) = [
            body
            for method, path, body in self.requests
            if path == "channels/externalMedia" and f".{spy}." in body["channelId"]
        ]
        return body

    def posted(self, path: str) -> list[Json]:
        return [body for method, at, body in self.requests if (method, at) == ("POST", path)]

    # HTTP.

    async def _note(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _events(self, request: web.Request) -> web.StreamResponse:
        if not _is_user(request):
            return web.json_response({"message": "Authentication required"}, status=401)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._sockets.add(socket)
        await self._note()
        async for _ in socket:
            pass
        self._sockets.discard(socket)
        return socket

    @property
    def connections(self) -> int:
        return len(self._sockets)

    async def _rest(self, request: web.Request) -> web.Response:
        if not _is_user(request):
            return web.json_response({"message": "Authentication required"}, status=401)
        parts = [unquote(part) for part in request.rel_url.raw_path.split("/")[2:]]
        path = "/".join(parts)
        body = dict(request.query) | (await request.json() if request.can_read_body else {})
        self.peers.append(request.transport and request.transport.get_extra_info("peername"))
        self.requests.append((request.method, path, body))
        for part, status in self.fail.items():
            if part in path:
                await self._note()
                return web.json_response({"message": "as told"}, status=status)
        status, answer = await self._do(request.method, parts, body)
        await self._note()
        if self.silent is not None and self.silent in path:
            await self.speaks.wait()
        if status == 204:
            return web.Response(status=204)
        return web.json_response(answer, status=status)

    async def _do(self, method: str, path: list[str], body: Json) -> tuple[int, Any]:
        match method, path:
            case "GET", ["channels"]:
                return 200, list(self.channels.values())
            case "GET", ["bridges"]:
                return 200, [{"id": each} for each in self.bridges]
            case "POST", ["applications", _, "subscription"]:
                self.subscriptions.add(body["eventSource"])
                return 200, {}
            case "DELETE", ["applications", _, "subscription"]:
                self.subscriptions.discard(body["eventSource"])
                return 200, {}
            case "POST", ["events", "user", name]:
                self.user_events.append((name, body))
                return 204, None
            case _, ["bridges", *rest]:
                return await self._bridge(method, rest, body)
            case _, ["channels", *rest]:
                return await self._channel(method, rest, body)
        return 404, {"message": "Resource not found"}

    async def _bridge(self, method: str, path: list[str], body: Json) -> tuple[int, Any]:
        if method == "POST" and len(path) == 1:
            self.bridges[path[0]] = []
            return 200, {"id": path[0]}
        if path[0] not in self.bridges:
            return 404, {"message": "Bridge not found"}
        if method == "DELETE":
            del self.bridges[path[0]]
            return 204, None
        members = body["channel"]
        if not isinstance(members, list):  # a list as JSON; commas are for the query alone
            return 400, {"message": "Channel not found"}
        if not set(members) <= self.in_app:
            return 422, {"message": "Channel not in Stasis application"}
        self.bridges[path[0]] += members
        return 204, None

    async def _channel(self, method: str, path: list[str], body: Json) -> tuple[int, Any]:
        match method, path:
            case "POST", ["externalMedia"]:
                return 200, self._born(body["channelId"], f"X/{body['external_host']}", rtp=True)
            case _, [channel_id, *_] if channel_id not in self.channels:
                return 404, {"message": "Channel not found"}
            case "POST", [of, "snoop", snoop]:
                return 200, self._born(snoop, f"Snoop/{of}", of=of)
            case "DELETE", [channel_id]:
                await self.hang_up(channel_id)
                return 204, None
            case "POST", [channel_id, "continue"]:
                if channel_id not in self.in_app:
                    return 409, {"message": "Channel not in Stasis application"}
                await self.leave(channel_id)
                return 204, None
            case "POST", [channel_id, "variable"] if channel_id not in self.in_app:
                return 409, {"message": "Channel not in Stasis application"}
            case "POST", [channel_id, "variable"]:
                self.variables[channel_id][body["variable"]] = body["value"]
                return 204, None
            case "GET", [channel_id, "variable"]:
                value = self.variables[channel_id].get(body["variable"])
                return (404, {}) if value is None else (200, {"value": value})
        return 404, {"message": "Resource not found"}

    def _born(self, channel_id: str, name: str, of: str = "", rtp: bool = False) -> Json:
        shown: Json = {"id": channel_id, "name": name, "of": of}
        if rtp and self.rtp_source is not None:
            host, port = self.rtp_source
            shown["channelvars"] = {
                "UNICASTRTP_LOCAL_ADDRESS": host,
                "UNICASTRTP_LOCAL_PORT": str(port),
            }
        self.channels[channel_id] = shown
        if not self.mute:
            task = asyncio.create_task(self.enter(channel_id))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return shown


def _is_user(request: web.Request) -> bool:
    expected = "Basic " + base64.b64encode(b"ruasr:secret").decode()
    return request.headers.get("Authorization") == expected


@asynccontextmanager
async def fake_ari() -> AsyncIterator[FakeAri]:
    """Run one for as long as the context lasts."""
    asterisk = FakeAri()
    await asterisk.start()
    try:
        yield asterisk
    finally:
        await asterisk.stop()
