"""Commands that reach a running server by its socket."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ruasr_tel.control import Control, ControlConfig, ask_to_use
from ruasr_tel.errors import ConfigError, ModelLoadError
from ruasr_tel.testing import TIMEOUT_S

CURE = "start it with `ruasr-tel serve`, or say where its socket is: --set control.socket=FILE"


async def use(name: str) -> str:
    if name == "bad":
        raise ModelLoadError("bad/model.onnx is empty; fetch it again")
    return f"{name} takes new calls"


@asynccontextmanager
async def listening(path: Path) -> AsyncIterator[Control]:
    control = Control(path, use)
    await control.start()
    try:
        yield control
    finally:
        await control.close()


async def asked(path: Path, name: str) -> str:
    async with asyncio.timeout(TIMEOUT_S):
        return await ask_to_use(path, name)


async def test_the_outcome_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "state" / "control.sock"
    async with listening(path):
        assert path.stat().st_mode & 0o777 == 0o600
        assert await asked(path, "модель") == "модель takes new calls"
        with pytest.raises(ConfigError, match=r"^bad/model\.onnx is empty; fetch it again$"):
            await asked(path, "bad")
    assert not path.exists()


async def test_without_a_server_the_command_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with pytest.raises(ConfigError) as refused:
        await asked(path, "x")
    assert str(refused.value) == f"no server listens on {path}; {CURE}"


async def test_the_socket_of_a_killed_server_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with listening(path):
        assert await asked(path, "x") == "x takes new calls"


async def test_the_socket_of_another_server_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with listening(path):
        with capture_logs() as logs:
            async with listening(path):
                assert await asked(path, "x") == "x takes new calls"
        assert await asked(path, "y") == "y takes new calls"
    assert [(line["log_level"], line["reason"]) for line in logs] == [
        ("warning", "another server of this user listens there")
    ]


@pytest.mark.parametrize("line", [b"\n", b"{}\n", b"[1]\n", b'{"use"\n', b"\xff\n", b"7\n"])
async def test_what_is_no_command_is_refused(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "control.sock"
    async with listening(path), asyncio.timeout(TIMEOUT_S):
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(line)
        answer = json.loads(await reader.readline())
        writer.close()
        assert answer == {"refused": 'this server understands {"use": "MODEL"} only'}


async def test_a_peer_that_says_too_much_or_goes_hurts_nobody(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with listening(path), asyncio.timeout(TIMEOUT_S):
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b"x" * 200_000)
        assert await reader.read() == b""
        writer.close()
        _, writer = await asyncio.open_unix_connection(str(path))
        writer.close()
        assert await asked(path, "x") == "x takes new calls"


async def test_a_server_that_ends_before_it_answers_is_told(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"

    async def end(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_unix_server(end, str(path))
    with pytest.raises(ConfigError, match="ended before it answered; see its log"):
        await asked(path, "x")
    server.close()


def test_the_socket_lies_in_the_state_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    assert ControlConfig().path() == tmp_path / "control.sock"
    assert ControlConfig(socket=Path("/run/x.sock")).path() == Path("/run/x.sock")
