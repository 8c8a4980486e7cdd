"""`ruasr-tel models use`, against a socket that answers as a server does."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ruasr_tel.cli.root import app
from ruasr_tel.control import Control
from ruasr_tel.errors import ModelLoadError
from ruasr_tel.testing import TIMEOUT_S
from tests.core.broken_models import MODELS_DIR


@contextmanager
def server(path: Path) -> Iterator[None]:
    """Run a control socket in a thread; the command has an event loop of its own."""
    up, stop = threading.Event(), threading.Event()

    async def use(name: str) -> str:
        if name == "bad":
            raise ModelLoadError("bad/model.onnx is empty; fetch it again")
        return f"{name} takes new calls"

    async def serve() -> None:
        control = Control(path, use)
        await control.start()
        up.set()
        await asyncio.to_thread(stop.wait, TIMEOUT_S)
        await control.close()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert up.wait(TIMEOUT_S)
    try:
        yield
    finally:
        stop.set()
        thread.join(TIMEOUT_S)


def test_it_says_what_came_of_it(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    at = ["--set", f"control.socket={path}"]
    with server(path):
        done = CliRunner().invoke(app, ["models", "use", "vosk5", *at])
        refused = CliRunner().invoke(app, ["models", "use", "bad", *at])
    assert (done.exit_code, done.stdout) == (0, "vosk5 takes new calls\n")
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "bad/model.onnx is empty; fetch it again" in refused.stderr


def test_a_folder_here_is_named_as_the_server_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "control.sock"
    for name in ("mine", "vosk5"):
        (tmp_path / name).mkdir()
    at = ["--set", f"control.socket={path}", "--set", f"models.dir={MODELS_DIR}"]
    monkeypatch.chdir(tmp_path)
    with server(path):
        for name, told in {
            "mine": f"{tmp_path}/mine",
            "./mine": f"{tmp_path}/mine",
            f"{tmp_path}/mine": f"{tmp_path}/mine",
            "vosk5": "vosk5",  # as in the configuration, a name goes before a folder
            "./vosk5": f"{tmp_path}/vosk5",
            "yours": "yours",
        }.items():
            done = CliRunner().invoke(app, ["models", "use", name, *at])
            assert done.stdout == f"{told} takes new calls\n"


def test_without_a_server_it_says_so(tmp_path: Path) -> None:
    at = ["--set", f"control.socket={tmp_path / 'none.sock'}"]
    refused = CliRunner().invoke(app, ["models", "use", "vosk5", *at])
    assert refused.exit_code == 2
    assert "no server listens on" in refused.stderr
