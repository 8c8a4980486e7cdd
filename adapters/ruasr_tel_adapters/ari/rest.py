"""Requests to ARI, and its stream of events; the only module here that knows HTTP."""

import asyncio
from base64 import b64encode
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import quote

import aiohttp

from ruasr_tel.errors import ProtocolError, RuasrError
from ruasr_tel_adapters.ari.config import AriConfig

EVENT_BYTES_MAX: Final = 2**20
"""Longest event; a channel with all its variables has a few kilobytes."""

MESSAGE_CHARS_MAX: Final = 200
"""As much of an error's text as the log gets."""

KEEP_ALIVE_S: Final = 5.0
"""How long an idle connection is used again. Asterisk closes one after 15 s (http.conf,
session_keep_alive), and a POST that meets its close would be lost: aiohttp repeats none."""

HEARTBEAT_S: Final = 20.0
"""Seconds between pings: a dead connection is noticed after one and a half of them."""


class AriAway(RuasrError):
    """Asterisk does not answer; the door tries again."""


class AriRefused(ProtocolError):
    """Asterisk answered a request with an error.

    Attributes:
        status: HTTP's.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Ari:
    """One Asterisk.

    Args:
        config: the door's section.
    """

    def __init__(self, config: AriConfig) -> None:
        self._config = config
        self._client: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make the client; connects to nothing yet."""
        user = f"{self._config.username}:{self._config.password.get_secret_value()}"
        self._client = aiohttp.ClientSession(
            headers={"Authorization": f"Basic {b64encode(user.encode()).decode()}"},
            connector=aiohttp.TCPConnector(keepalive_timeout=KEEP_ALIVE_S),
            timeout=aiohttp.ClientTimeout(total=self._config.request_timeout_s),
        )

    async def close(self) -> None:
        """Close every connection."""
        if self._client is not None:
            await self._client.close()

    async def request(self, method: str, *path: str, **body: object) -> Any:
        """Return the JSON that a request is answered with, None for an empty answer.

        Args:
            method: GET, POST or DELETE.
            path: its parts; what is in them is quoted.
            body: the parameters, sent as JSON, so that no text is too long for a URL.

        Raises:
            AriAway: no answer.
            AriRefused: an error as answer.
        """
        assert self._client is not None
        target = "/".join(quote(part, safe="") for part in path)
        url = f"{self._config.url.rstrip('/')}/{target}"
        try:
            # allow_redirects: a redirect would carry the password along
            async with self._client.request(
                method, url, json=body or None, allow_redirects=False
            ) as answer:
                if answer.status >= 300:
                    said = (await answer.text())[:MESSAGE_CHARS_MAX]
                    raise AriRefused(answer.status, _complaint(target, answer.status, said))
                return await answer.json() if answer.status != 204 else None
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise AriAway(f"{method} {target}: {str(error) or type(error).__name__}") from error

    async def variable(self, channel_id: str, name: str) -> str | None:
        """Return a variable or function of a channel, None where there is none.

        Raises:
            AriAway: no answer.
        """
        assert self._client is not None
        url = f"{self._config.url.rstrip('/')}/channels/{quote(channel_id, safe='')}/variable"
        try:
            async with self._client.get(
                url, params={"variable": name}, allow_redirects=False
            ) as answer:
                said = await answer.json() if answer.status == 200 else {}
                return str(said["value"]) if said.get("value") else None
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise AriAway(f"variable {name}: {str(error) or type(error).__name__}") from error

    @asynccontextmanager
    async def events(self) -> AsyncGenerator[AsyncGenerator[str | bytes, None], None]:
        """Register the application and give its events for as long as the connection lasts.

        Raises:
            AriAway: no connection.
            AriRefused: wrong user or password, or no ARI there.
        """
        assert self._client is not None
        url = f"{self._config.url.rstrip('/')}/events"
        params: Mapping[str, str] = {"app": self._config.app, "subscribeAll": "false"}
        try:
            async with asyncio.timeout(self._config.request_timeout_s):
                socket = await self._client.ws_connect(
                    url, params=params, heartbeat=HEARTBEAT_S, max_msg_size=EVENT_BYTES_MAX
                )
        except aiohttp.WSServerHandshakeError as error:
            raise AriRefused(
                error.status, _complaint("events", error.status, error.message)
            ) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise AriAway(f"events: {str(error) or type(error).__name__}") from error
        try:
            yield _texts(socket)
        finally:
            await socket.close()


async def _texts(socket: aiohttp.ClientWebSocketResponse) -> AsyncGenerator[str | bytes, None]:
    async for message in socket:
        if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            yield message.data


def _complaint(target: str, status: int, said: str) -> str:
    cure = {
        401: ": doors.ari.username and doors.ari.password must be a user of ari.conf",
        403: ": the user of ari.conf must not be read_only",
        404: ": no such channel, bridge or page; doors.ari.url must end in /ari",
    }.get(status, "")
    return f"Asterisk answered {target} with HTTP {status} {said}{cure}"
