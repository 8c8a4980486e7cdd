"""`serve` in this process: it starts, says where, and stops at a signal."""

import errno
import io
import json
import re
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from ruasr_tel import app as serving_in
from ruasr_tel.app import Running
from ruasr_tel.cli import serve as command
from ruasr_tel.cli.root import app
from ruasr_tel.config import Loaded
from ruasr_tel.plugins import adapters

OnReady: TypeAlias = Callable[[Running], None]

FREE = (
    *("-s", "doors.vosk_ws.port=0"),
    *("-s", "doors.audiosocket.port=0"),
    *("-s", "doors.rest.port=0"),
)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["serve", *words])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_and_stops_at_a_signal(
    monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    say_where = command._say_where

    def stop_when_ready(running: Running) -> None:
        say_where(running)
        signal.raise_signal(number)

    monkeypatch.setattr(command, "_say_where", stop_when_ready)
    result = run(*FREE, "-s", "log.level=warning", "-s", "log.format=console")
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    said = result.stderr.splitlines()
    assert any(re.fullmatch(r"audiosocket tcp://127\.0\.0\.1:\d+", line) for line in said)
    assert any(re.fullmatch(r"vosk_ws ws://127\.0\.0\.1:\d+", line) for line in said)
    assert said[-1].startswith("ready: `ruasr-tel call FILE` ")
    assert "small model for trying out and testing" in result.stderr


def test_where_programs_read_the_log_every_line_is_one_object(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = serving_in.serve

    async def until_ready(loaded: Loaded, on_ready: OnReady, read: Callable[[], Loaded]) -> None:
        def ready(running: Running) -> None:
            on_ready(running)
            signal.raise_signal(signal.SIGTERM)

        await real(loaded, ready, read)

    monkeypatch.setattr(serving_in, "serve", until_ready)
    result = run(*FREE)
    assert result.exit_code == 0, result.output
    said = [json.loads(line) for line in result.stderr.splitlines()]
    doors = {line["door"]: line["url"] for line in said if line["event"] == "door open"}
    assert re.fullmatch(r"ws://127\.0\.0\.1:\d+", doors["vosk_ws"])
    assert [line["event"] for line in said].count("ready") == 1


def test_a_terminal_that_was_closed_meanwhile_is_not_missed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            tried.append(text)
            raise OSError(errno.EIO, "Input/output error")

    tried: list[str] = []
    nothing: Any = None
    monkeypatch.setattr(command, "err", Console(file=Closed()))
    command._say_where(Running({"rest": "http://127.0.0.1:1"}, nothing, nothing, nothing))
    assert "rest" in "".join(tried)


@pytest.mark.parametrize("door", ["vosk_ws", "audiosocket"])
def test_a_taken_port_is_named(door: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = run(*FREE, "-s", f"doors.{door}.port={port}", "-s", "log.level=error")
    assert result.exit_code == 1
    assert f"127.0.0.1:{port} (doors.{door}) is in use by another program" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_taken_port_of_the_metrics_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        taken = ("-s", "metrics.enabled=true", "-s", f"metrics.port={port}")
        result = run(*FREE, *taken, "-s", "log.level=error")
    assert result.exit_code == 1
    assert result.stderr == (
        f"error: http://127.0.0.1:{port} (metrics) is in use by another program: "
        "stop that one or set metrics.port\n"
    )


def test_an_address_of_the_metrics_that_is_not_this_machines_is_named() -> None:
    elsewhere = ("-s", "metrics.enabled=true", "-s", "metrics.host=192.0.2.7")  # RFC 5737
    result = run(*FREE, *elsewhere, "-s", "log.level=error")
    assert result.exit_code == 2
    assert result.stderr == (
        "error: metrics.host and port: cannot listen on http://192.0.2.7:9464: "
        "Cannot assign requested address\n"
    )


def test_without_a_door_there_is_nothing_to_serve() -> None:
    off = [word for name in adapters() for word in ("-s", f"doors.{name}.enabled=false")]
    result = run(*off, "-s", "log.level=error")
    assert result.exit_code == 2
    assert result.stderr == (
        "error: every door is switched off: set doors.NAME.enabled of one to true\n"
    )


def test_a_file_of_events_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    result = run(*FREE, "-s", f"sinks.jsonl.path={tmp_path}")
    assert result.exit_code == 2
    assert result.stderr == f"error: sinks.jsonl.path: cannot write {tmp_path}: Is a directory\n"
