import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ruasr_tel import cli
from ruasr_tel.cli.root import app


def test_the_version_is_that_of_the_distribution() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"ruasr-tel {version('ruasr-tel')}\n")


def test_the_commands_are_a_public_list() -> None:
    commands = {command.name for command in app.registered_commands}
    groups = {group.name for group in app.registered_groups}
    assert commands == {"serve", "transcribe", "call", "doctor", "install-service"}
    assert groups == {"bench", "config", "history", "lm", "models", "recordings"}


def test_only_commands_that_need_databases_load_them() -> None:
    code = (
        "import sys, ruasr_tel.cli.root; print({'alembic', 'dbos', 'sqlalchemy'} & {*sys.modules})"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert loaded.stdout == "set()\n"


def test_without_a_command_it_helps() -> None:
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 2
    assert "transcribe" in result.stderr + result.stdout


@pytest.mark.parametrize("command", ["serve", "transcribe", "call", "doctor", "models", "config"])
def test_every_command_explains_itself(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.stdout


def test_main_runs_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["ruasr-tel", "--version"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith("ruasr-tel ")


def test_russian_is_printed_where_the_locale_knows_ascii_alone(tmp_path: Path) -> None:
    file = tmp_path / "ruasr.yaml"
    file.write_text("engine: {model: слух}\n", "utf-8")
    environ = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    shown = subprocess.run(
        [sys.executable, "-m", "ruasr_tel", "config", "show", "-c", str(file)],
        capture_output=True,
        env=os.environ | environ,
        check=False,
    )
    assert shown.stderr.decode() == ""
    assert "слух" in shown.stdout.decode("utf-8")
