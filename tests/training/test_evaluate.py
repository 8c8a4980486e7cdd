import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from models.training import evaluate, guard
from models.training.evaluate import OWN, UNSEEN, Task, measure, real_time_factor, table, tasks
from ruasr_tel.errors import ConfigError
from ruasr_tel.language.choice import NONE

ROOT = Path(__file__).parents[2]


def figures(**rates: float) -> dict[str, Any]:
    def rate(value: float) -> dict[str, float]:
        return {"rate": value, "low": value - 0.05, "high": value + 0.05}

    scores = {
        name: {"recordings": 16, "wer": rate(value), "cer": rate(value / 2)}
        for name, value in rates.items()
    }
    return {"conditions": scores}


def test_figures_become_a_row_each() -> None:
    found = {"prompts, greedy": figures(clean=0.5, alaw=0.6), "festvox": figures(clean=0.2)}
    assert table(found).splitlines() == [
        "| WER / CER, % | recordings | clean | alaw |",
        "| --- | --- | --- | --- |",
        "| prompts, greedy | 16 | 50.0 (45.0 to 55.0) / 25.0 (20.0 to 30.0) "
        "| 60.0 (55.0 to 65.0) / 30.0 (25.0 to 35.0) |",
        "| festvox | 16 | 20.0 (15.0 to 25.0) / 10.0 (5.0 to 15.0) | left out |",
    ]


def test_what_is_here_is_measured_with_and_without_a_language_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unseen = tmp_path / UNSEEN
    unseen.parent.mkdir()
    unseen.write_text("000.wav\tда\n", "utf-8")
    (unseen.parent / "000.wav").write_bytes(b"RIFF")
    for name in ("PROMPTS", "FESTVOX"):
        manifest = tmp_path / f"{name}.tsv"
        manifest.write_text("/nowhere/a.wav\tда\n", "utf-8")
        monkeypatch.setattr(guard, name, manifest)
    lm = str(tmp_path / "a.arpa")
    todo, left_out = tasks(tmp_path, lm)
    assert tasks(tmp_path, NONE)[0] == todo[:1]
    assert todo == [
        Task("unseen synthetic voice", unseen),
        Task("unseen synthetic voice", unseen, lm),
    ]
    assert [task.title for task in todo] == [
        "unseen synthetic voice, greedy",
        "unseen synthetic voice with a language model",
    ]
    assert left_out == [
        "held-out prompts: asterisk-core-sounds-ru-wav is not installed",
        "held-out festvox sentences: festvox-ru is not installed",
        "unseen real voice: the step `stamps` has not been run",
    ]


def test_the_command_is_ours_and_its_failure_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[list[str]] = []

    def run(command: list[str], **_more: object) -> "subprocess.CompletedProcess[str]":
        ran.append(command[3:])
        if "fails" in command:
            return subprocess.CompletedProcess(command, 2, "", "error: no such model\n")
        Path(command[command.index("--json") + 1]).write_text(json.dumps(figures(clean=1)), "utf-8")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(subprocess, "run", run)
    task = Task("prompts", tmp_path / "m.tsv", "a.arpa")
    file = tmp_path / "new/figures.json"
    assert measure(task, "mini", file, engine="onnx", conditions=["clean"]) == figures(clean=1)
    assert " ".join(ran[0]) == (
        f"bench wer {tmp_path}/m.tsv --model mini --json {file} --conditions clean "
        f"--engine onnx --set engine.lm=a.arpa"
    )
    own = Task("prompts", tmp_path / "m.tsv", OWN)
    assert own.title == "prompts with its language models"
    measure(own, "mini", file)
    assert "--set" not in ran[-1]
    with pytest.raises(ConfigError) as caught:
        measure(Task("prompts", tmp_path / "m.tsv"), "fails", file)
    assert ran[-1][-2:] == ["--set", "engine.lm=none"]
    assert str(caught.value) == "prompts, greedy was not measured: error: no such model"


def test_the_embedded_model_is_faster_than_speech(tmp_path: Path) -> None:
    wav = ROOT / "tests/data/wav/digits_8.wav"
    manifest = tmp_path / "m.tsv"
    manifest.write_text(f"{wav}\tвосемь\n", "utf-8")
    factor = real_time_factor(ROOT / "models/ru-mini-ctc-8k/model.int8.onnx", manifest)
    assert 0 < factor < 1


def test_the_conditions_are_those_of_bench_wer() -> None:
    from ruasr_tel.accuracy import conditions

    assert set(evaluate.CONDITIONS) <= set(conditions.names())
