import json
from pathlib import Path

import pytest

from ruasr_tel.accuracy.manifest import Item, read_manifest
from ruasr_tel.errors import ConfigError

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.wav", "б в.wav", "wav/c.wav"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"RIFF")
    return tmp_path


def write(folder: Path, name: str, *lines: str) -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_the_transcripts_of_the_prompts_are_a_manifest() -> None:
    items = read_manifest(DATA / "transcripts.tsv")
    assert len(items) == 12
    assert items[5] == Item(DATA / "wav/digits_8.wav", "восемь")


def test_a_table_has_the_file_first_and_the_text_last(folder: Path) -> None:
    lines = ("path\tseconds\ttext", "a.wav\t1.5\tда нет", "", "б в.wav\tДа!", "c.wav\t")
    assert read_manifest(write(folder, "m.tsv", *lines)) == [
        Item(folder / "a.wav", "да нет"),
        Item(folder / "б в.wav", "Да!"),
        Item(folder / "wav/c.wav", ""),
    ]


def test_json_lines_of_other_projects(folder: Path) -> None:
    lines = (
        json.dumps({"audio_filepath": str(folder / "a.wav"), "duration": 1, "text": "да"}),
        json.dumps({"path": "б в.wav", "sentence": "нет"}),
    )
    assert read_manifest(write(folder, "m.jsonl", *lines)) == [
        Item(folder / "a.wav", "да"),
        Item(folder / "б в.wav", "нет"),
    ]


@pytest.mark.parametrize(
    ("name", "lines", "error"),
    [
        ("m.tsv", ["a.wav\tда", "z.wav\tда"], r"m\.tsv, line 2: there is no recording z\.wav"),
        ("m.tsv", ["a.wav\tда", "a.wav"], "line 2: expected the file, a tab and the transcript"),
        ("m.tsv", [""], "lists no recording"),
        ("m.tsv", ["path\ttext"], "lists no recording"),
        ("m.jsonl", ["{"], "line 1 is not JSON"),
        ("m.jsonl", ['{"audio": "a.wav"}'], "line 1: expected an object with audio or "),
        ("m.jsonl", ["[]"], "line 1: expected an object with audio or "),
        ("m.jsonl", ['{"audio": "z.wav", "text": ""}'], "line 1: there is no recording"),
    ],
)
def test_what_is_wrong_is_named(folder: Path, name: str, lines: list[str], error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        read_manifest(write(folder, name, *lines))


def test_a_manifest_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_manifest(tmp_path / "none.tsv")
