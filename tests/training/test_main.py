from pathlib import Path

from typer.testing import CliRunner

from models.training.__main__ import app


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.output


def test_sentences_are_written_a_line_each(tmp_path: Path) -> None:
    words = tmp_path / "ru.dic"
    words.write_text("2\nстол\nокно\n", "utf-8")
    to = tmp_path / "text.txt"
    code, _ = run("sentences", str(to), "--count", "40", "--dictionary", str(words))
    assert code == 0
    assert len(to.read_text("utf-8").splitlines()) == 40


def test_what_is_missing_is_said_in_one_sentence(tmp_path: Path) -> None:
    missing = str(tmp_path / "ru.dic")
    code, output = run("sentences", str(tmp_path / "text.txt"), "--dictionary", missing)
    assert code == 2
    assert "install Debian's hunspell-ru" in output
