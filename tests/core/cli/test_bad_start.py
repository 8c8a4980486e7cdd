"""What must not start ends in one sentence and its exit code."""

import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from ruasr_tel.cli.root import app
from tests.core.broken_models import good_model
from tests.core.model_faults import FILE_FAULTS, GRAPH_FAULTS

ROOT = Path(__file__).parents[3]

FREE = (
    *("-s", "doors.vosk_ws.port=0"),
    *("-s", "doors.audiosocket.port=0"),
    *("-s", "doors.rest.port=0"),
    *("-s", "log.level=error"),
)


def run(*words: str | Path, **variables: str) -> Result:
    return CliRunner().invoke(app, [*map(str, words)], env=variables)


def refused(*words: str | Path, code: int = 2, **variables: str) -> str:
    """Run a command that must fail; return its one sentence."""
    result = run(*words, **variables)
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    (sentence,) = result.stderr.splitlines()
    assert sentence.startswith("error: ")
    return sentence.removeprefix("error: ")


def yaml(folder: Path, text: str) -> Path:
    file = folder / "ruasr.yaml"
    file.write_text(text)
    return file


def test_an_unknown_key_is_named_with_the_nearest_and_its_place(tmp_path: Path) -> None:
    file = yaml(tmp_path, "doors:\n  vosk_ws:\n    prot: 2700\n")
    sentence = refused("serve", "-c", file)
    assert sentence.startswith("unknown key doors.vosk_ws.prot (")
    assert "ruasr.yaml, line 3" in sentence
    assert "did you mean doors.vosk_ws.port?" in sentence


def test_a_wrong_type_is_named_with_its_place(tmp_path: Path) -> None:
    file = yaml(tmp_path, "calls:\n  max_calls: many\n")
    sentence = refused("serve", RUASR_CONFIG=str(file))
    assert sentence.startswith("calls.max_calls is 'many' (")
    assert "ruasr.yaml, line 2" in sentence


def test_a_wrong_variable_is_named() -> None:
    sentence = refused("doctor", RUASR__ENGINE__THREADS="0")
    assert sentence.startswith("engine.threads is '0' (")
    assert "RUASR__ENGINE__THREADS" in sentence


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    sentence = refused("serve", "-c", tmp_path / "none.yaml")
    assert sentence == (
        f"cannot read the configuration {tmp_path}/none.yaml: No such file or directory"
    )


@pytest.fixture(params=["empty", "pointer", "cut"])
def bad_model(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str]:
    """Return a folder that holds no usable model, and what must be said of it."""
    good = ROOT / "models/ru-mini-ctc-8k"
    if request.param == "empty":
        return tmp_path, f"{tmp_path} holds no model: "
    shutil.copy(good / "tokens.txt", tmp_path)
    file = tmp_path / "model.int8.onnx"
    if request.param == "pointer":
        file.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{0:064}\nsize 9\n")
        return tmp_path, f"{file} is a git-lfs pointer of "
    shutil.copy(good / file.name, tmp_path)
    os.truncate(file, 1_000_000)
    return tmp_path, f"{file} is damaged or no ONNX model (1000000 bytes"


def test_a_bad_model_keeps_the_server_from_starting(bad_model: tuple[Path, str]) -> None:
    folder, said = bad_model
    assert refused("serve", *FREE, "-s", f"engine.model={folder}").startswith(said)


@pytest.mark.parametrize(
    "name", ["tokens malformed", "CTC without vocab_size", "decoder given as CTC"]
)
def test_no_other_fault_of_a_model_lets_the_server_start(name: str, tmp_path: Path) -> None:
    (fault,) = [each for each in (*FILE_FAULTS, *GRAPH_FAULTS) if each.name.startswith(name)]
    folder = good_model(tmp_path / "model", fault.family)
    fault.damage(folder)
    how = ("-s", f"engine.model={folder}", "-s", "engine.family=nemo_ctc")
    sentence = refused("serve", *FREE, *how)
    for words in (str(folder), *fault.says):
        assert words in sentence


def test_doctor_says_the_same_of_a_bad_model(bad_model: tuple[Path, str]) -> None:
    folder, said = bad_model
    result = run("doctor", "--model", folder, *FREE)
    assert result.exit_code == 2
    (bad,) = [line for line in result.stdout.splitlines() if line.startswith("bad")]
    assert bad.removeprefix("bad  ").startswith(said)


def test_cuda_without_cuda_refuses_to_start() -> None:
    sentence = refused("serve", *FREE, "-s", "engine.provider=cuda")
    assert sentence.startswith("provider cuda needs onnxruntime-gpu, installed is the CPU build")
