"""How a command reaches the running server of this machine: a Unix socket of its user alone.

One connection asks one thing: a line of JSON, `{"use": "MODEL"}`, answered by a line of JSON,
`{"done": "sentence"}` or `{"refused": "sentence"}`, when the outcome is known.
"""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from ruasr_tel.errors import ConfigError, RuasrError
from ruasr_tel.section import Section
from ruasr_tel.store import state_dir

MAX_LINE_BYTES = 65_536
"""A longer line is none of ours: names of models are paths at most (asyncio's own default)."""
ASK_TIMEOUT_S = 10.0
"""How long a connection may take to ask (our choice; our own command asks at once)."""
CURE = "start it with `ruasr-tel serve`, or say where its socket is: --set control.socket=FILE"

_log = structlog.get_logger(__name__)


class ControlConfig(Section):
    """How `ruasr-tel models use` reaches the running server."""

    enabled: bool = True
    """Whether the server listens for commands of its own user."""
    socket: Path | None = None
    """Its Unix socket; null is `control.sock` in the state folder."""

    def path(self) -> Path:
        """Return `socket`, absolute."""
        return (self.socket or state_dir() / "control.sock").absolute()


class Control:
    """Listens for commands.

    Args:
        path: the socket.
        use: does what `{"use": name}` asks; returns a sentence, raises RuasrError or OSError.
    """

    def __init__(self, path: Path, use: Callable[[str], Awaitable[str]]) -> None:
        self._path = path
        self._use = use
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Begin to listen, unless another server does there: that is said, and nothing is wrong.

        A socket file that a killed server left behind is replaced.
        """
        try:
            await asyncio.to_thread(_make_way, self._path)
            listening = socket.socket(socket.AF_UNIX)
            listening.bind(str(self._path))
            self._path.chmod(0o600)
        except OSError as error:
            _log.warning(
                "`ruasr-tel models use` cannot reach this server",
                socket=str(self._path),
                reason=error.strerror or str(error),
            )
            return
        self._server = await asyncio.start_unix_server(
            self._serve, sock=listening, limit=MAX_LINE_BYTES
        )

    async def close(self) -> None:
        """Stop listening; what is being done goes on."""
        if self._server is not None:
            self._server.close()
            self._server = None
            self._path.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, TimeoutError, ValueError, asyncio.CancelledError):
            async with asyncio.timeout(ASK_TIMEOUT_S):
                line = await reader.readline()
            answer = await self._answer(line)
            writer.write(json.dumps(answer, ensure_ascii=False).encode() + b"\n")
            await writer.drain()
        writer.close()

    async def _answer(self, line: bytes) -> dict[str, str]:
        try:
            asked = json.loads(line)
            name = asked["use"]
        except (ValueError, TypeError, KeyError):
            return {"refused": 'this server understands {"use": "MODEL"} only'}
        try:
            return {"done": await self._use(str(name))}
        except (RuasrError, OSError) as error:
            return {"refused": str(error)}


async def ask_to_use(path: Path, name: str) -> str:
    """Ask the server behind a socket to use a model; return what it says.

    Raises:
        ConfigError: nobody listens there, or the server refused; its sentence.
    """
    try:
        reader, writer = await asyncio.open_unix_connection(str(path))
    except PermissionError as error:
        raise ConfigError(f"{path} belongs to another user: run this as the server's") from error
    except OSError as error:
        raise ConfigError(f"no server listens on {path}; {CURE}") from error
    try:
        writer.write(json.dumps({"use": name}, ensure_ascii=False).encode() + b"\n")
        await writer.drain()
        line = await reader.readline()
    except OSError:
        line = b""
    finally:
        writer.close()
    if not line:
        raise ConfigError(f"the server on {path} ended before it answered; see its log")
    answer = json.loads(line)
    if "done" not in answer:
        raise ConfigError(str(answer["refused"]))
    return str(answer["done"])


def _make_way(path: Path) -> None:
    """Make the socket's folder, and take away a socket that nobody listens on.

    Raises:
        OSError: another server listens there, or the folder cannot be written.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(os.fspath(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
        else:
            raise OSError("another server of this user listens there")
