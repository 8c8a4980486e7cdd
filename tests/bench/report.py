"""What the benchmarks print."""

import math
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench.load import Run
from tests.bench.verdict import Verdict

out = Console(highlight=False, soft_wrap=True)

PACKAGES = ("numpy", "onnxruntime", "sherpa-onnx", "uvloop")


def head(title: str) -> None:
    """Begin a benchmark's output."""
    out.rule(f"[bold]{title}", align="left")


def machine() -> None:
    """Say where and when the figures were taken."""
    models = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        if line.startswith("model name")
    ]
    processor = models[0] if models else platform.machine()
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    out.print(
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {os.cpu_count()} x {processor}; "
        f"Python {platform.python_version()}; {packages}; load {os.getloadavg()[0]:.1f}"
    )


def table(*columns: str) -> Table:
    """Return an empty table, its first column for words and the others for numbers."""
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for number, name in enumerate(columns):
        made.add_column(name, justify="right" if number else "left")
    return made


def percentile(values: Sequence[float], share: float) -> float:
    """Return the nearest-rank percentile; NaN of nothing."""
    if not values:
        return math.nan
    return sorted(values)[max(math.ceil(share * len(values)) - 1, 0)]


def delays(named: dict[str, Sequence[float]]) -> None:
    """Print percentiles of delays in seconds."""
    made = table("delay in s", "p50", "p95", "p99", "worst", "count")
    for name, values in named.items():
        shares = [f"{percentile(values, share):.3f}" for share in (0.5, 0.95, 0.99, 1.0)]
        made.add_row(name, *shares, str(len(values)))
    out.print(made)


def final_delays(found: Verdict) -> dict[str, Sequence[float]]:
    """Return what `delays` prints of finals."""
    return {
        "end of speech to final (endpoint)": found.delays_s,
        "hang-up to final (flush)": found.hang_up_delays_s,
    }


def verdict(run: Run, found: Verdict) -> bool:
    """Print what came of a run and whether anything was lost; return whether nothing was."""
    sent = run.sent
    out.print(
        f"{len(sent.sent_at)} calls, {run.audio_s:.0f} s of audio with {found.speech_s:.0f} s of "
        f"speech in {found.phrases} phrases: {found.finals} finals ({found.empty} without text), "
        f"{found.partials} partials; load {run.load[0]:.1f} before, {run.load[1]:.1f} after"
    )
    out.print(
        f"phones: {run.per_call(sent.cpu_s):.2f} ms of CPU per call and second, latest frame "
        f"{1000 * sent.latest_s:.0f} ms late"
    )
    if not found.faults:
        out.print("nothing lost: every sample accounted for, a final for every phrase, no error")
        return True
    out.print(f"[bold red]{len(found.faults)} faults[/]")
    for fault in found.faults[:20]:
        out.print(f"  {fault}", markup=False)
    return False
