"""What must not start ends in one sentence and its exit code, in a process of its own.

tests/core/cli/test_bad_start.py has all the sentences.
"""

import socket
from pathlib import Path

from tests.e2e.server import ruasr_tel

FREE = (
    *("-s", "doors.vosk_ws.port=0"),
    *("-s", "doors.audiosocket.port=0"),
    *("-s", "doors.rest.port=0"),
    *("-s", "log.level=error"),
)


def refused(*words: str | Path, code: int = 2, **variables: str) -> str:
    """Run a command that must fail; return its one sentence."""
    result = ruasr_tel(*words, **variables)
    assert result.returncode == code, result
    assert result.stdout == ""
    (sentence,) = result.stderr.splitlines()
    assert sentence.startswith("error: ")
    return sentence.removeprefix("error: ")


def test_a_configuration_that_cannot_be_used(tmp_path: Path) -> None:
    file = tmp_path / "ruasr.yaml"
    file.write_text("calls:\n  max_calls: many\n")
    assert refused("serve", RUASR_CONFIG=str(file)).startswith("calls.max_calls is 'many' (")


def test_a_taken_port_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        sentence = refused("serve", *FREE, "-s", f"doors.audiosocket.port={port}", code=1)
    assert sentence.startswith(f"tcp://127.0.0.1:{port} (doors.audiosocket) is in use")
    assert sentence.endswith("set doors.audiosocket.port")


def test_a_model_that_cannot_be_used(tmp_path: Path) -> None:
    sentence = refused("serve", *FREE, "-s", f"engine.model={tmp_path}")
    assert sentence.startswith(f"{tmp_path} holds no model: ")


def test_doctor_is_content_with_what_comes_with_the_repository() -> None:
    result = ruasr_tel("doctor", *FREE)
    assert result.returncode == 0, result
    assert all(line.startswith("ok ") for line in result.stdout.splitlines())
