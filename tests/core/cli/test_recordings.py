"""`ruasr-tel recordings` against a real door with real jobs, in a thread of its own."""

import asyncio
import json
import logging
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from typer.testing import CliRunner, Result

from ruasr_tel.cli import app
from ruasr_tel.hub import Hub
from ruasr_tel.log import LogConfig, set_up_logging
from ruasr_tel.metrics import Metrics
from ruasr_tel.plugins import Server
from ruasr_tel.testing import TIMEOUT_S, phrase, running_calls
from ruasr_tel_adapters.rest import RestConfig, RestDoor
from tests.core.recordings.kit import running
from tests.core.recordings.sounds import write_wav


async def serve(folder: Path, told: list[str], ready: threading.Event, over: asyncio.Event) -> None:
    async with running_calls() as calls, running(folder) as recordings:
        server = Server(calls, Hub(), Metrics(), recordings._store, recordings)
        door = RestDoor(RestConfig(port=0), server)
        await door.start()
        told.append(door.url)
        ready.set()
        await over.wait()
        await door.close()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    structlog.configure(wrapper_class=quiet)  # the server's lines would go to the command's output
    folder = tmp_path_factory.mktemp("server")
    told: list[str] = []
    ready, over = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(
        target=lambda: loop.run_until_complete(serve(folder, told, ready, over))
    )
    thread.start()
    assert ready.wait(3 * TIMEOUT_S)
    yield told[0]
    loop.call_soon_threadsafe(over.set)
    thread.join()
    loop.close()
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _silent_server() -> None:
    """The server's log lines must not come between the command's."""
    set_up_logging(LogConfig(level="critical"))


@pytest.fixture
def call(tmp_path: Path) -> str:
    return str(write_wav(tmp_path / "call.wav", phrase((1.0, 1.0))))


def recordings(url: str, *args: str) -> Result:
    return CliRunner(env={"COLUMNS": "200", "RUASR_URL": url}).invoke(app, ["recordings", *args])


def test_a_file_is_sent_and_its_text_comes_back(url: str, call: str) -> None:
    result = recordings(url, "submit", call)
    assert (result.exit_code, result.stdout) == (0, "слово слово\n")


def test_several_are_named_and_a_bad_one_fails_alone(url: str, call: str, tmp_path: Path) -> None:
    page = tmp_path / "page.wav"
    page.write_text("<html>")
    result = recordings(url, "submit", call, str(page))
    assert result.exit_code == 1
    assert result.stdout == f"{call}:\nслово слово\n"
    assert f"error: {page}: page.wav: not a recording that can be read" in result.stderr


def test_nobody_waits_where_nobody_wants_to(url: str, call: str) -> None:
    result = recordings(url, "submit", "--detach", call)
    assert result.exit_code == 0
    id = result.stdout.strip()
    page = recordings(url, "list", "--limit", "1")
    assert id in page.stdout
    assert "call.wav" in page.stdout
    assert "there is more: --cursor" in page.stdout
    assert recordings(url, "show", id).exit_code == 0


def test_a_recording_is_shown_in_any_form(url: str, call: str) -> None:
    result = recordings(url, "submit", "-f", "json", "--channels", "mix", call)
    recording = json.loads(result.stdout)
    assert (recording["state"], recording["channels"]) == ("done", "mix")
    assert "-->" in recordings(url, "show", "-f", "srt", recording["id"]).stdout
    assert recordings(url, "show", recording["id"]).stdout == "слово слово\n"


def test_phrases_go_with_the_order(url: str, call: str) -> None:
    asked = ("--phrases", "Да,не знаю", "--closed", "-f", "json")
    recording = json.loads(recordings(url, "submit", *asked, call).stdout)
    assert (recording["phrases"], recording["closed"]) == (["да", "не знаю"], True)
    id = recordings(url, "submit", "-d", *asked, "http://10.0.0.1/call.wav").stdout.strip()
    ordered = json.loads(recordings(url, "show", "-f", "json", id).stdout)
    assert (ordered["phrases"], ordered["closed"]) == (["да", "не знаю"], True)


def test_what_has_no_text_says_why(url: str) -> None:
    submitted = recordings(url, "submit", "http://10.0.0.1/call.wav")
    assert submitted.exit_code == 1
    assert "error: http://10.0.0.1/call.wav: 10.0.0.1" in submitted.stderr
    failed = recordings(url, "list", "--state", "failed")
    assert "10.0.0.1" in failed.stdout


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["show", "6f1b1f4e-0000-4000-8000-000000000000"], "there is no recording 6f1b1f4e-"),
        (["submit", "--profile", "opera", "http://h/a.wav"], "there is no profile 'opera'"),
        (["submit", "/no/such/file"], "/no/such/file: No such file or directory"),
    ],
)
def test_what_the_server_refuses_is_said(url: str, args: list[str], sentence: str) -> None:
    result = recordings(url, *args)
    assert result.exit_code == 1
    assert sentence in result.stderr.replace("\n", " ")


def test_a_server_that_is_not_there_is_named(call: str) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        result = recordings(url, "submit", call)
    assert result.exit_code == 1
    assert f"error: {url} cannot be reached" in result.stderr
    assert "is `ruasr-tel serve` running there, with doors.rest?" in result.stderr
