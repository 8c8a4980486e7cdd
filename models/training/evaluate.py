"""Figures to publish: `ruasr-tel bench wer` on everything held out, greedy and with a beam."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnxruntime

from models.training import guard, views
from models.training.audio import read_wav, to_8k
from ruasr_tel.errors import ConfigError
from ruasr_tel.language.choice import NONE

CONDITIONS = ("clean", "alaw", "gsm", "loss3")
UNSEEN = "irina/manifest.tsv"
"""Under the evaluation's folder: a synthetic voice never trained on (the step `unseen`)."""
STAMPS = "stamps/manifest.tsv"
"""The same: a real voice never trained on (the step `stamps`)."""
OWN = "own"
"""Decoding with the language models that the catalogue names for a model."""
Figures: TypeAlias = Mapping[str, Any]
"""What `bench wer --json` writes."""


@dataclass(frozen=True, slots=True)
class Task:
    """One measurement.

    Attributes:
        name: of the set.
        manifest: what is heard.
        lm: language models for the beam, NONE for none: greedy, OWN for the model's own.
    """

    name: str
    manifest: Path
    lm: str = NONE

    @property
    def title(self) -> str:
        """For the tables and the files."""
        ways = {NONE: f"{self.name}, greedy", OWN: f"{self.name} with its language models"}
        return ways.get(self.lm, f"{self.name} with a language model")


def tasks(folder: Path, lm: str) -> tuple[list[Task], list[str]]:
    """Return what can be measured on this machine, and why the rest cannot.

    Args:
        folder: of the evaluation.
        lm: as in `Task`; besides greedy.
    """
    sets = {
        "held-out prompts": (guard.PROMPTS, "asterisk-core-sounds-ru-wav is not installed"),
        "held-out festvox sentences": (guard.FESTVOX, "festvox-ru is not installed"),
        "unseen real voice": (folder / STAMPS, "the step `stamps` has not been run"),
        "unseen synthetic voice": (folder / UNSEEN, "the step `unseen` has not been run"),
    }
    found: list[Task] = []
    left_out: list[str] = []
    for name, (manifest, reason) in sets.items():
        if manifest.is_file() and _installed(manifest):
            found += [Task(name, manifest, way) for way in dict.fromkeys((NONE, lm))]
        else:
            left_out.append(f"{name}: {reason}")
    return found, left_out


def _installed(manifest: Path) -> bool:
    first, _ = guard.rows([manifest])[0]
    return (manifest.parent / first).is_file()


def measure(
    task: Task,
    model: Path | str,
    json_file: Path,
    *,
    engine: str | None = None,
    conditions: Sequence[str] = CONDITIONS,
) -> Figures:
    """Run `ruasr-tel bench wer` in a process of its own and return its figures.

    Args:
        task: what to measure.
        model: folder, or name in the catalogue.
        json_file: where the figures and all texts are kept.
        engine: or None for the usual one.
        conditions: telephone lines.

    Raises:
        ConfigError: it failed; its own sentence.
    """
    command = [sys.executable, "-m", "ruasr_tel", "bench", "wer", str(task.manifest)]
    command += ["--model", str(model), "--json", str(json_file)]
    command += ["--conditions", ",".join(conditions)]
    command += ["--engine", engine] if engine else []
    command += ["--set", f"engine.lm={task.lm}"] if task.lm != OWN else []
    json_file.parent.mkdir(parents=True, exist_ok=True)
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise ConfigError(f"{task.title} was not measured: {ran.stderr.strip()}")
    figures: Figures = json.loads(json_file.read_text("utf-8"))
    return figures


def table(found: Mapping[str, Figures]) -> str:
    """Return figures as Markdown: a row per set, `WER / CER` with 95 % intervals per condition.

    Args:
        found: title -> figures, at least one.
    """
    conditions = list(next(iter(found.values()))["conditions"])
    head = f"| WER / CER, % | recordings | {' | '.join(conditions)} |"
    rows = [head, "|" + " --- |" * (len(conditions) + 2)]
    for title, figures in found.items():
        scores = figures["conditions"]
        count = next(iter(scores.values()))["recordings"]
        cells = [_cell(scores[name]) if name in scores else "left out" for name in conditions]
        rows.append(f"| {title} | {count} | {' | '.join(cells)} |")
    return "\n".join(rows) + "\n"


def _cell(score: Mapping[str, Any]) -> str:
    return " / ".join(
        f"{100 * rate['rate']:.1f} ({100 * rate['low']:.1f} to {100 * rate['high']:.1f})"
        for rate in (score["wer"], score["cer"])
    )


def real_time_factor(model: Path, manifest: Path = guard.PROMPTS, most: int = 40) -> float:
    """Return CPU seconds a second of audio on one core: features and network, without search.

    Args:
        model: a file in the CTC layout.
        manifest: recordings to time.
        most: of them.

    Raises:
        ConfigError: a recording cannot be read.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    heard = [to_8k(*read_wav(manifest.parent / audio)) for audio, _ in guard.rows([manifest])]
    audio_s = sum(len(one) for one in heard[:most]) / 8000
    views.compute(heard[0])  # the front end is made at its first use
    began_s = time.process_time()
    for one in heard[:most]:
        seen = views.compute(one)[None]
        frames = np.array([seen.shape[2]])
        session.run(None, {"features": seen, "feature_lengths": frames})
    return (time.process_time() - began_s) / audio_s
