import gzip
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ruasr_tel.cli.root import app
from ruasr_tel.language import arpa


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(app, ["lm", *map(str, args)])


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("Ёлка зелёная. Ёлка, 5 штук!\nелка\n", "utf-8")
    return path


def test_words_are_counted_as_models_write_them(tmp_path: Path, text: Path) -> None:
    result = run("build", text, "-o", tmp_path / "m.arpa", "--order", "2")
    assert result.exit_code == 0, result.output
    assert "3 sentences; n-grams by words: 6 of 1, 7 of 2;" in result.stderr
    assert set(arpa.read(tmp_path / "m.arpa").words[3:]) == {"елка", "зеленая", "штук"}


def test_letters_are_counted_with_the_space(tmp_path: Path, text: Path) -> None:
    packed = tmp_path / "text.gz"
    packed.write_bytes(gzip.compress(text.read_bytes()))
    result = run("build", packed, text, "-o", tmp_path / "m.arpa.gz", "--kind", "char")
    assert result.exit_code == 0, result.output
    model = arpa.read(tmp_path / "m.arpa.gz")
    assert model.order == 6
    assert set(model.words[3:]) == {*"елказня▁штук"}


def test_numbers_may_become_words(tmp_path: Path, text: Path) -> None:
    result = run("build", text, "-o", tmp_path / "m.arpa", "--numbers-as-words")
    assert result.exit_code == 0, result.output
    assert "пять" in arpa.read(tmp_path / "m.arpa").words


def test_a_text_like_its_own_is_foretold_better_than_another(tmp_path: Path, text: Path) -> None:
    other = tmp_path / "other.txt"
    other.write_text("штук зелёная стол", "utf-8")
    run("build", text, "-o", tmp_path / "m.arpa")
    own, foreign = (run("eval", tmp_path / "m.arpa", each) for each in (text, other))
    assert own.exit_code == foreign.exit_code == 0
    perplexity = [float(one.stdout.split("perplexity ")[1].split(",")[0]) for one in (own, foreign)]
    assert perplexity[0] < perplexity[1]
    assert "word model of order 3, 3 words known" in own.stdout
    assert "sentences 3, words 6, unknown 1 (16.67%)" in own.stdout
    assert "sentences 1, words 3, unknown 1 (33.33%)" in foreign.stdout


def test_a_model_of_letters_is_seen_as_such(tmp_path: Path, text: Path) -> None:
    run("build", text, "-o", tmp_path / "m.arpa", "--kind", "char")
    result = run("eval", tmp_path / "m.arpa", text)
    assert "char model of order 6, 11 letters known" in result.stdout
    assert "sentences 3, letters 27, unknown 1 (3.70%)" in result.stdout


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["build", "{}/nowhere.txt", "-o", "{}/m"], "nowhere.txt cannot be read: No such file"),
        (["build", "{}/latin1.txt", "-o", "{}/m"], "latin1.txt is no text in UTF-8"),
        (["build", "{}/cut.gz", "-o", "{}/m"], "cut.gz cannot be read"),
        (["build", "{}/empty.txt", "-o", "{}/m"], "no language model comes of this: there is no"),
        (["build", "{}/text.txt", "-o", "{}"], "cannot be written: Is a directory"),
        (["build", "{}/text.txt", "-o", "{}/m", "--prune", "x"], "--prune takes numbers like"),
        (["build", "{}/text.txt", "-o", "{}/m", "--prune", "2"], "must begin with 0"),
        (["eval", "{}/text.txt", "{}/text.txt"], "it is no ARPA file"),
        (["eval", "{}/m.arpa", "{}/empty.txt"], "there is no sentence in this text"),
    ],
)
def test_what_cannot_be_used_is_said(
    tmp_path: Path, text: Path, args: list[str], sentence: str
) -> None:
    (tmp_path / "latin1.txt").write_bytes("ёж".encode("koi8-r"))
    (tmp_path / "cut.gz").write_bytes(gzip.compress(text.read_bytes())[:-9])
    (tmp_path / "empty.txt").write_text("\n", "utf-8")
    run("build", text, "-o", tmp_path / "m.arpa")
    result = run(*(arg.format(tmp_path) for arg in args))
    assert result.exit_code == 2
    assert sentence in result.stderr
