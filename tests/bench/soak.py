"""Many segments of random lengths through every engine: memory that does not grow, no stuck job."""

import asyncio
import time
from dataclasses import replace
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

import numpy as np

from ruasr_tel.engines.base import EngineSpec
from ruasr_tel.engines.process import EngineProcess, EngineProcessConfig
from ruasr_tel.scheduler import Priority, Scheduler, SchedulerConfig
from ruasr_tel.types import Samples
from tests.bench import report
from tests.bench.engines import resident_mb
from tests.bench.script import RATE_HZ, prompt_samples
from tests.core.engines.conformance import CASES, Case
from tests.tiny import shrink

SEGMENTS = 10_000
SHORTEST_S, LONGEST_S = 0.1, 25.0
SETTLED = 1000
"""Segments after which memory may grow no more."""
TOGETHER = 100
"""Segments that wait at once."""
GROWTH = 0.1
"""Share by which the second half may lie above what was reached when it had settled."""
STUCK_S = 1200.0
"""Of all that wait at once; the process of a decode that hangs is replaced sooner."""
DERIVED = ("sherpa", "onnx")
"""Engines whose small models have the embedded network inside, the most of their cost."""
NARROW = {"--min-active": 5, "--max-active": 30, "--beam": 2.0, "--lattice-beam": 0.5}
"""Kaldi's only model here is a full one; with its search this narrow it costs a fifth, and what a
leak would be of (recognisers, lattices, features) is the same."""
COARSE = "--frame-shift=200"
"""And a twentieth of the frames: 12.5 s cost 0.3 s of CPU in place of 0.8, of which 0.2 are paid
per segment for the recogniser and its compiled network (our measurement)."""


def soak(count: int, seed: int, only: str = "") -> bool:
    """Print memory and losses by engine; return whether every engine was sound.

    Args:
        count: segments through each engine.
        seed: of their lengths.
        only: takes the cases with this in their name.
    """
    report.head(f"soak: {count} segments of {SHORTEST_S:g} to {LONGEST_S:g} s through each engine")
    columns = ("segments", "minutes", "no answer", f"MB at {SETTLED}", "MB at half", "MB at end")
    table = report.table("", *columns)
    sound = True
    with TemporaryDirectory() as root:
        for index, case in enumerate(_chosen(only)):
            spec = _spec(case, Path(root) / str(index))
            report.out.print(f"{case.name} …")
            row, kept = asyncio.run(_run(spec, count, seed))
            table.add_row(case.name, *row)
            sound &= kept
    report.out.print(table)
    return sound


def _chosen(only: str) -> list[Case]:
    """Return one case of each engine and kind of network."""
    kinds: dict[tuple[str, ...], Case] = {}
    for case in CASES:
        if only in case.name and not case.missing and not case.name.startswith("scripted"):
            kinds.setdefault((case.name.split(":")[0], *_kind(case)), case)
    return list(kinds.values())


def _spec(case: Case, folder: Path) -> EngineSpec:
    """Return what loads a case's model, with two threads."""
    spec = replace(case.make(folder / "made"), threads=2)
    if spec.engine in DERIVED:
        shrink(folder / "made")
    if spec.engine != "kaldi" or spec.model_dir is None:
        return spec
    narrow = folder / "narrow"
    (narrow / "conf").mkdir(parents=True)
    for part in spec.model_dir.iterdir():
        if part.is_dir() and part.name != "conf":
            (narrow / part.name).symlink_to(part)
    for path in (spec.model_dir / "conf").iterdir():
        lines = path.read_text("utf-8").splitlines()
        lines += [COARSE] if path.name == "mfcc.conf" else []
        (narrow / "conf" / path.name).write_text("".join(map(_narrowed, lines)), "utf-8")
    return replace(spec, model_dir=narrow)


def _narrowed(line: str) -> str:
    """Return a line of model.conf or mfcc.conf with a narrow search."""
    key = line.partition("=")[0]
    return (f"{key}={NARROW[key]}" if key in NARROW else line) + "\n"


def _kind(case: Case) -> list[str]:
    return [kind for kind in ("ctc", "rnnt", "zipformer") if kind in case.name]


async def _run(spec: EngineSpec, count: int, seed: int) -> tuple[list[str], bool]:
    host = EngineProcess(spec, EngineProcessConfig())
    await host.start()
    scheduler = Scheduler(host, SchedulerConfig())
    await scheduler.start()
    began_s = time.monotonic()
    memory_mb: list[float] = []
    lost = 0
    lengths_s = np.random.default_rng(seed).uniform(SHORTEST_S, LONGEST_S, count)
    try:
        for begin in range(0, count, TOGETHER):
            lost += await _decode(scheduler, lengths_s[begin : begin + TOGETHER].tolist())
            memory_mb.append(resident_mb(host.pid))
            if (begin + TOGETHER) % SETTLED == 0:
                report.out.print(
                    f"  {begin + TOGETHER} segments, {lost} without an answer, "
                    f"{memory_mb[-1]:.0f} MB"
                )
        minutes = (time.monotonic() - began_s) / 60
    finally:
        await scheduler.close()
        await host.close()
    settled, half, end = _levels(memory_mb)
    row = [str(count), f"{minutes:.1f}", str(lost), f"{settled:.0f}", f"{half:.0f}", f"{end:.0f}"]
    return row, lost == 0 and host.restarts == 0 and end <= settled * (1 + GROWTH)


async def _decode(scheduler: Scheduler, lengths_s: list[float]) -> int:
    """Return how many of the segments got no answer."""
    speech = _speech()
    jobs = [
        scheduler.submit(speech[: round(each * RATE_HZ)], RATE_HZ, Priority.FINAL)
        for each in lengths_s
    ]
    done, _ = await asyncio.wait([job.result for job in jobs], timeout=STUCK_S)
    return len(jobs) - sum(not each.cancelled() and each.exception() is None for each in done)


def _levels(memory_mb: list[float]) -> tuple[float, float, float]:
    """Return the highest memory until it settled, and the means at half time and at the end."""
    settled = memory_mb[: max(1, SETTLED // TOGETHER)]
    half = len(memory_mb) // 2
    return max(settled), mean(memory_mb[half : half + 5]), mean(memory_mb[-5:])


def _speech() -> Samples:
    """Return 25 s of prompts and pauses."""
    spoken = np.concatenate(prompt_samples())
    return np.resize(spoken, round(LONGEST_S * RATE_HZ))
