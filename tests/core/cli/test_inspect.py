"""`doctor`, `config show` and `config docs`, on the models of the repository."""

import errno
import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from ruasr_tel.cli.root import app
from ruasr_tel.config import config_tree
from ruasr_tel.config_show import reference
from ruasr_tel.engines import cuda
from ruasr_tel.plugins import adapters
from tests.layouts_online import write_toy_tone, write_toy_zipformer

ROOT = Path(__file__).parents[3]
MODELS = ROOT / "models"
FREE = (
    *("-s", "doors.vosk_ws.port=0"),
    *("-s", "doors.audiosocket.port=0"),
    *("-s", "doors.rest.port=0"),
)


def run(*words: str) -> Result:
    return CliRunner().invoke(app, words)


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def lines(result: Result, mark: str) -> list[str]:
    return [line[5:] for line in result.stdout.splitlines() if line.startswith(mark)]


# doctor


def test_a_healthy_installation() -> None:
    result = run("doctor", *FREE, "-s", "metrics.enabled=true", "-s", "metrics.port=0")
    assert result.exit_code == 0, result.output
    assert lines(result, "bad") == []
    good = lines(result, "ok")
    assert good[-5:] == [
        "ru-mini-ctc-8k loads and decodes a second of audio, on cpu",
        "doors.audiosocket can listen on 127.0.0.1:0",
        "doors.rest can listen on 127.0.0.1:0",
        "doors.vosk_ws can listen on 127.0.0.1:0",
        "metrics can listen on 127.0.0.1:0",
    ]
    assert any(line.startswith("Python ") for line in good)
    assert "voice activity detector loads" in good
    assert "small model for trying out and testing" in result.stderr
    assert len(result.stdout.splitlines()) == len(good)  # nothing but checks: no log lines


def test_a_taken_port_is_named_with_the_cure(taken: int) -> None:
    result = run("doctor", *FREE, "-s", f"doors.vosk_ws.port={taken}")
    assert result.exit_code == 1
    assert lines(result, "bad") == [
        f"doors.vosk_ws cannot listen on 127.0.0.1:{taken}: {os.strerror(errno.EADDRINUSE)}; "
        "stop what listens there (`ss -ltnp`), or set doors.vosk_ws.port"
    ]


def test_two_doors_on_one_port_are_noticed(taken: int) -> None:
    port = taken + 1 if taken < 65535 else taken - 1
    settings = [f"doors.{name}.port={port}" for name in ("vosk_ws", "audiosocket")]
    result = run("doctor", *(word for each in settings for word in ("-s", each)))
    assert result.exit_code == 1
    assert any(line.startswith("doors.vosk_ws cannot listen") for line in lines(result, "bad"))


def test_an_address_that_is_not_ours_is_named_with_the_cure() -> None:
    result = run("doctor", *FREE, "-s", "doors.vosk_ws.host=192.0.2.1")
    assert result.exit_code == 1
    assert lines(result, "bad") == [
        f"doors.vosk_ws cannot listen on 192.0.2.1:0: {os.strerror(errno.EADDRNOTAVAIL)}; "
        "set doors.vosk_ws.host and doors.vosk_ws.port to a free address of this machine"
    ]


def test_a_door_that_is_switched_off_is_not_tried(taken: int) -> None:
    off = ("-s", f"doors.vosk_ws.port={taken}", "-s", "doors.vosk_ws.enabled=false")
    result = run("doctor", *FREE[2:], *off)
    assert result.exit_code == 0, result.output
    assert "vosk_ws" not in result.stdout


def test_an_empty_folder_is_no_model(tmp_path: Path) -> None:
    result = run("doctor", "--model", str(tmp_path), *FREE)
    assert result.exit_code == 2
    (bad,) = lines(result, "bad")
    assert bad.startswith(f"{tmp_path} holds no model: expected ")


def test_a_git_lfs_pointer_is_named_with_the_cure(tmp_path: Path) -> None:
    shutil.copy(MODELS / "ru-mini-ctc-8k/tokens.txt", tmp_path)
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4300000\n"
    (tmp_path / "model.int8.onnx").write_text(pointer)
    result = run("doctor", "--model", str(tmp_path), *FREE)
    assert result.exit_code == 2
    (bad,) = lines(result, "bad")
    assert bad.startswith(f"{tmp_path}/model.int8.onnx is a git-lfs pointer of {len(pointer)} byte")
    assert f"run `git lfs pull` in {tmp_path}" in bad


@pytest.mark.parametrize(
    ("folder", "names"),
    [
        ("gigaam-v3-ctc", ["v3_ctc.int8.onnx", "v3_vocab.txt"]),
        ("vosk-model-small-streaming-ru", ["encoder.onnx", "decoder.onnx", "joiner.onnx"]),
        ("T-one", ["model.onnx", "vocab.json"]),
        ("vosk-model-ru-0.42", ["am/final.mdl", "conf/mfcc.conf", "graph/HCLG.fst"]),
    ],
)
def test_a_clone_without_git_lfs_is_unusable_whatever_it_was(
    tmp_path: Path, folder: str, names: list[str]
) -> None:
    for name in names:
        path = tmp_path / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 43\n")
    (tmp_path / folder / "tokens.txt").write_text("<blk> 0\nа 1\n", "utf-8")
    result = run("doctor", "--model", str(tmp_path / folder), *FREE)
    assert result.exit_code == 2
    (bad,) = lines(result, "bad")
    assert f"{tmp_path / folder / names[0]} is a git-lfs pointer" in bad
    assert '"protobuf parsing failed"' in bad


def test_a_model_that_is_not_here_comes_with_the_command_that_brings_it() -> None:
    result = run("doctor", "--model", "Vosk5", *FREE)
    assert result.exit_code == 2
    (bad,) = lines(result, "bad")
    assert bad.startswith("model vosk-model-ru is not in ")
    assert bad.endswith("bring it with: ruasr-tel models pull vosk-model-ru")
    assert "doors.vosk_ws can listen on 127.0.0.1:0" in lines(result, "ok")  # it goes on


def test_every_model_of_the_profiles_is_checked() -> None:
    named = {
        "default.model": "Vosk5",
        "yesno.model": "ru-mini-transducer-8k",
        "yesno.partials.model": "gigaam-v3-ctc",
    }
    settings = [word for key, name in named.items() for word in ("-s", f"profiles.{key}={name}")]
    result = run("doctor", *FREE, *settings)
    assert result.exit_code == 2
    assert [line.split(" is not in ")[0] for line in lines(result, "bad")] == [
        "model vosk-model-ru",
        "model gigaam-v3-ctc",
    ]
    assert any(line.startswith("ru-mini-transducer-8k, encoder: ") for line in lines(result, "ok"))


def test_what_the_server_refuses_when_it_starts_is_bad() -> None:
    named = "profiles.default.partials.model"
    result = run("doctor", *FREE, "-s", f"{named}=ru-mini-transducer-8k", "-s", "engine.threads=1")
    assert result.exit_code == 2
    (bad,) = lines(result, "bad")
    assert bad.startswith(f"{named} is 'ru-mini-transducer-8k', which hears whole segments only")


def test_cuda_without_cuda_is_unusable() -> None:
    settings = ("engine.provider=cuda", "engine.engine=sherpa")
    result = run("doctor", *FREE, *(word for each in settings for word in ("-s", each)))
    assert result.exit_code == 2
    (bad,) = lines(result, "bad")
    assert bad.startswith("provider cuda needs the CUDA build of sherpa-onnx")


@pytest.mark.parametrize("engine", ["onnx", "tone"])
def test_cuda_for_engines_on_onnxruntime_is_explained(tmp_path: Path, engine: str) -> None:
    settings = ["engine.provider=cuda", f"engine.engine={engine}"]
    if engine == "tone":
        settings.append(f"engine.model={write_toy_tone(tmp_path, sherpa=False)}")
    result = run("doctor", *FREE, *(word for each in settings for word in ("-s", each)))
    assert result.exit_code == 2
    *explained, last = lines(result, "bad")
    assert any("onnxruntime-gpu" in line for line in explained)
    assert last.startswith("provider cuda needs onnxruntime-gpu, installed is the CPU build")


def test_a_model_on_the_cpu_beside_cuda_is_a_note(tmp_path: Path) -> None:
    folder = tmp_path / "x-streaming-ru"
    write_toy_zipformer(folder)
    named = f"profiles.default.partials.model={folder}"
    result = run("doctor", *FREE, "-s", "engine.provider=cuda", "-s", named)
    assert result.exit_code == 2  # the main model, which comes first, has no CUDA here
    assert "note: x-streaming-ru runs on the CPU, for engine sherpa_online has no " in result.stderr
    assert not any("sherpa_online" in line for line in lines(result, "bad"))


def test_a_gpu_that_lacks_something_is_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = cuda.Facts("580.65", ("NVIDIA L4",), {"onnxruntime": "1.32.0"})
    monkeypatch.setattr(cuda, "gather", lambda: facts)
    result = run("doctor", *FREE, "-s", "engine.engine=onnx")
    assert result.exit_code == 0, result.output
    assert "NVIDIA driver 580.65" in lines(result, "ok")
    assert "note: onnxruntime 1.32.0 is the build for the CPU only" in result.stderr


def test_a_bad_configuration_is_one_sentence() -> None:
    result = run("doctor", "-s", "engine.thread=1")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("error: unknown key engine.thread (command line)")


def test_a_foreign_variable_that_is_ignored_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECOGNITION_ATTEMPTS", "3")
    result = run("doctor", *FREE)
    assert result.exit_code == 0
    assert "warning: " in result.stderr
    assert "RECOGNITION_ATTEMPTS" in result.stderr


# config


def test_the_effective_configuration_is_yaml_with_origins() -> None:
    result = run("config", "show", "-s", "engine.threads=3")
    assert result.exit_code == 0
    shown = yaml.safe_load(result.stdout)
    assert shown["engine"]["threads"] == 3
    assert set(shown["doors"]) == set(adapters())
    (line,) = [line for line in result.stdout.splitlines() if "threads: 3" in line]
    assert "command line" in line


def test_what_is_shown_can_be_used_again(tmp_path: Path) -> None:
    file = tmp_path / "shown.yaml"
    file.write_text(run("config", "show", "-s", "engine.threads=3").stdout)
    again = yaml.safe_load(run("config", "show", "-c", str(file)).stdout)
    assert again == yaml.safe_load(file.read_text())


def test_warnings_do_not_mix_with_the_yaml(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECOGNITION_ATTEMPTS", "3")
    result = run("config", "show")
    assert "RECOGNITION_ATTEMPTS" in result.stderr
    assert yaml.safe_load(result.stdout)["engine"]["model"] == "ru-mini-ctc-8k"


def test_the_reference_of_every_key_is_printed() -> None:
    result = run("config", "docs")
    assert (result.exit_code, result.stdout) == (0, reference(config_tree()))
