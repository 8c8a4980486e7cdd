from pathlib import Path

import pytest
import typer

from ruasr_tel.cli.common import FAILED, UNUSABLE, fail, one_sentence, read_config
from ruasr_tel.errors import AudioFormatError, ConfigError, ModelLoadError, PortTaken


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("engine.thread: unknown key"), UNUSABLE),
        (ModelLoadError("models/x/tokens.txt is missing"), UNUSABLE),
        (PortTaken("port 2700 is in use"), FAILED),
        (AudioFormatError("x.wav: holds no audio"), FAILED),
    ],
)
def test_an_error_of_ours_is_one_sentence_and_a_code(
    error: Exception, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended, one_sentence():
        raise error
    assert ended.value.exit_code == code
    assert capsys.readouterr() == ("", f"error: {error}\n")


def test_an_error_that_is_a_bug_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError), one_sentence():
        raise ZeroDivisionError


def test_a_sentence_is_printed_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    sentence = "[bold]file[/bold] [" + "x" * 200 + "]: no such file"
    with pytest.raises(typer.Exit):
        fail(sentence)
    assert capsys.readouterr().err == f"error: {sentence}\n"


def test_keys_are_set_on_the_command_line() -> None:
    settings = ["engine.threads=3", " profiles.yesno.boundary.endpoint_ms = 350 "]
    config = read_config(None, settings, engine__model="Vosk5", engine__family=None).config
    assert config.engine.threads == 3
    assert config.profiles["yesno"].boundary.endpoint_ms == 350
    assert config.engine.model == "Vosk5"


def test_a_setting_without_a_value_says_how_to_write_one() -> None:
    with pytest.raises(ConfigError) as refused:
        read_config(None, ["engine.threads"])
    assert str(refused.value) == (
        "--set takes KEY=VALUE, like engine.threads=4, not 'engine.threads'"
    )


def test_an_unknown_key_is_refused_with_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "ruasr.yaml"
    file.write_text("engine:\n  thread: 4\n")
    with pytest.raises(ConfigError, match=r"engine\.thread .*did you mean engine\.threads\?"):
        read_config(file, None)
