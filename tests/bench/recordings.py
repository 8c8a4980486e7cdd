"""What recordings cost live calls: with and without them in turn, on the same machine."""

import json
import statistics
import tempfile
import time
import urllib.request
import wave
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench import report
from tests.bench.load import Plan, Run, run
from tests.bench.script import PAUSE_S, RAMP_S, RATE_HZ, prompt_samples
from tests.bench.verdict import Verdict, judge

ROUNDS = 2
COUNT = 100
"""Recordings, all submitted at the first moment: they must last for the whole run."""
LENGTH_S = 120.0
"""Of each: two parties in turn."""
TAIL_S = 2.0
"""The recordings are counted so long before the calls end."""


def recordings(count: int, seconds: float, seed: int) -> bool:
    """Run `count` calls without and with recordings, twice; return whether nothing was lost."""
    report.head(f"{count} calls with {COUNT} recordings and without, in turn")
    pairs: dict[str, list[tuple[Run, Verdict]]] = {"without": [], "with": []}
    made = report.table(
        *("", "recordings done", "slots' time % of finals", "engine ms", "rest ms", "phones ms"),
        *("delay p50", "delay p95", "delay p99", "worst", "load"),
    )
    for _ in range(ROUNDS):
        for name, runs in pairs.items():
            done, found, ended = _one(name == "with", count, seconds, seed)
            runs.append((done, found))
            made.add_row(name, ended, *_row(done, found))
    report.out.print(made)
    p95 = {
        name: [report.percentile(found.delays_s, 0.95) for _, found in runs]
        for name, runs in pairs.items()
    }
    report.out.print(f"with to without: p95 delay {_ratio(p95)}, by pair {_by_pair(p95)}")
    faults = [fault for runs in pairs.values() for _, found in runs for fault in found.faults]
    for fault in faults[:20]:
        report.out.print(f"  {fault}", markup=False)
    return not faults


def _one(busy: bool, count: int, seconds: float, seed: int) -> tuple[Run, Verdict, str]:
    """Run once; return also how many recordings were done and how many there were."""
    ended = ["-"]
    with tempfile.TemporaryDirectory(prefix="ruasr-bench-") as folder:
        audio = _recording(Path(folder) / "a.wav") if busy else b""

        def submit(log: Path) -> None:
            url = _rest_url(log)
            until_s = time.monotonic() + RAMP_S + seconds - TAIL_S
            for _ in range(COUNT):
                _post(url, audio)
            time.sleep(max(0.0, until_s - time.monotonic()))
            ended[0] = f"{COUNT - _waiting(url)} of {COUNT}"

        plan = Plan(
            count,
            seconds,
            seed,
            settings=(
                "doors.rest.enabled=true",
                "doors.rest.port=0",
                "store.enabled=true",
                f"store.url=sqlite:///{folder}/ruasr.db",
                "recordings.enabled=true",
                f"recordings.dir={folder}/recordings",
            ),
            meanwhile=submit if busy else None,
        )
        done = run(plan)
    return done, judge(done, plan.scripts), ended[0]


def _recording(path: Path) -> bytes:
    """Return a stereo WAV in which two parties speak in turn, from the prompts of the calls."""
    pause = np.zeros(round(PAUSE_S[0] * RATE_HZ), np.int16)
    sides: list[list[np.ndarray[Any, np.dtype[np.int16]]]] = [[], []]
    prompts, samples, turn = prompt_samples(), 0, 0
    while samples < LENGTH_S * RATE_HZ:
        said = np.concatenate([prompts[turn % len(prompts)], pause])
        sides[turn % 2].append(said)
        sides[1 - turn % 2].append(np.zeros_like(said))
        samples, turn = samples + len(said), turn + 1
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes(np.stack([np.concatenate(side) for side in sides], axis=1).tobytes())
    return path.read_bytes()


def _rest_url(log: Path) -> str:
    lines = map(json.loads, log.read_text("utf-8").splitlines())
    return str(next(line["url"] for line in lines if line.get("door") == "rest"))


def _post(url: str, audio: bytes) -> None:
    edge = "bench"
    head = (
        f"--{edge}\r\nContent-Disposition: form-data; name=upload; filename=a.wav\r\n"
        "Content-Type: audio/wav\r\n\r\n"
    )
    body = head.encode() + audio + f"\r\n--{edge}--\r\n".encode()
    kind = {"Content-Type": f"multipart/form-data; boundary={edge}"}
    with urllib.request.urlopen(urllib.request.Request(f"{url}/v1/recordings", body, kind)):
        pass


def _waiting(url: str) -> int:
    """Return how many recordings wait or run."""
    with urllib.request.urlopen(f"{url}/v1/status") as answer:
        return int(json.load(answer)["queues"]["recording"])


def _row(done: Run, found: Verdict) -> list[str]:
    taken = done.taken
    return [
        f"{100 * taken.finals_s / (taken.slots * done.sent.wall_s):.0f}",
        f"{done.per_call(taken.engine_s):.1f}",
        f"{done.per_call(taken.rest_s):.2f}",
        f"{done.per_call(done.sent.cpu_s):.2f}",
        *(f"{report.percentile(found.delays_s, share):.3f}" for share in (0.5, 0.95, 0.99, 1.0)),
        f"{done.load[0]:.1f}",
    ]


def _ratio(values: Mapping[str, Sequence[float]]) -> str:
    return f"{statistics.mean(values['with']) / statistics.mean(values['without']):.2f}"


def _by_pair(values: Mapping[str, Sequence[float]]) -> str:
    pairs = zip(values["with"], values["without"], strict=True)
    return ", ".join(f"{busy / free:.2f}" for busy, free in pairs)
