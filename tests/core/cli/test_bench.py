"""Error rates by the real engine, in its process."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from typer.testing import CliRunner, Result

from ruasr_tel.cli.root import app

WAV = Path(__file__).parents[2] / "data/wav"


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["bench", "wer", *map(str, words)])


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "mine.tsv"
    lines = [
        f"{WAV / 'digits_8.wav'}\tВосемь!",
        f"{WAV / 'agent-loggedoff.wav'}\tрегистрация оператора удалена",
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_rates_of_two_lines_as_table_json_and_picture(manifest: Path, tmp_path: Path) -> None:
    figures, picture = tmp_path / "out.json", tmp_path / "out.svg"
    options = ("--conditions", "clean,alaw", "--json", figures, "--plot", picture)
    result = run(manifest, *options)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "ru-mini-ctc-8k (engine onnx, profile default) on mine.tsv" in result.stdout
    assert "| clean | 0.0 (0.0 to 0.0) | 0.0 (0.0 to 0.0) | 0 / 0 / 0 | 2 of 2 |" in result.stdout
    found = json.loads(figures.read_text("utf-8"))
    assert list(found["conditions"]) == ["clean", "alaw"]
    assert found["texts"][0]["said"] == "Восемь!"
    assert found["texts"][0]["heard"] == {"clean": "восемь", "alaw": "восемь"}
    assert found["audio_s"] == pytest.approx(0.656 + 2.252, abs=0.01)
    assert ElementTree.fromstring(picture.read_text("utf-8")).tag.endswith("svg")


def test_greedy_and_led_search_stand_in_one_report(manifest: Path, tmp_path: Path) -> None:
    figures = tmp_path / "out.json"
    lms = ("--lm", "none", "--lm", "letters.npz:0.25:0.4 + words.npz")
    result = run(manifest, "--conditions", "clean", *lms, "--json", figures)
    assert (result.exit_code, result.stderr) == (0, "")
    names = ["clean, lm none", "clean, lm letters.npz:0.25:0.4 + words.npz"]
    found = json.loads(figures.read_text("utf-8"))
    assert list(found["conditions"]) == list(found["texts"][0]["heard"]) == names
    assert all(f"| {name} |" in result.stdout for name in names)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (("--conditions", "clean,opus"), "--conditions takes clean, alaw, gsm, loss1"),
        (("--conditions", ","), "--conditions takes clean"),
        (("--conditions", "clean", "--lm", "nowhere.arpa"), "nowhere.arpa is not there; make it"),
        (("--profile", "none"), "none"),
        (("--model", "none"), "none"),
        (("--conditions", "clean", "--plot", "/nowhere/at/all.svg"), "cannot be written"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    manifest: Path, options: tuple[str, ...], error: str
) -> None:
    result = run(manifest, *options)
    assert result.exit_code == 2
    assert error in result.stderr


def test_a_recording_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"no audio")
    (tmp_path / "m.tsv").write_text("a.wav\tда\n", encoding="utf-8")
    result = run(tmp_path / "m.tsv")
    assert result.exit_code == 1
    assert "a.wav" in result.stderr
