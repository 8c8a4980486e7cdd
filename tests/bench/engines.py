"""What each engine costs in each layout, and what the server adds on top of the bare engine.

The layouts are the tests' small models (tests/layouts*.py). sherpa against onnx, and the server
against a bare loop, are measured on a network of GigaAM's size with random weights (gigaam.py).
"""

import asyncio
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from ruasr_tel.engines.base import Engine, EngineSpec
from ruasr_tel.engines.prepare import prepare
from ruasr_tel.engines.process import EngineProcess, EngineProcessConfig
from ruasr_tel.engines.worker import load
from ruasr_tel.scheduler import Priority, Scheduler, SchedulerConfig
from ruasr_tel.types import Samples
from tests.bench import report
from tests.bench.gigaam import write_gigaam
from tests.bench.script import RATE_HZ, prompt_samples
from tests.core.engines.conformance import CASES

SPENT_S = 1.5
"""Wall-clock seconds of one measurement; /proc counts CPU in hundredths."""
GIGAAM = Path("var/bench/gigaam-v3-ctc-size")
ROUNDS = 3
LENGTHS_S = (1.0, 5.0, 15.0)
SERVED_S = (2.0, 3.0, 5.0, 4.0, 1.0, 6.0, 3.0, 2.0)
"""Segments of one round of the server against a bare loop."""


def engines() -> None:
    """Print the tables, then what the server adds."""
    _check_threads()
    speech = np.concatenate(prompt_samples())
    with TemporaryDirectory() as root:
        _layouts(Path(root), speech)
    write_gigaam(GIGAAM)
    asyncio.run(_side_by_side(speech))
    served()


def served() -> None:
    """Print what the server adds on top of the bare engine."""
    _check_threads()
    report.head("the server against a bare loop over the same segments, in turn")
    speech = np.concatenate(prompt_samples())
    for name, folder, repeats in (
        ("ru-mini-ctc-8k", Path("models/ru-mini-ctc-8k"), 8),
        ("GigaAM's size", write_gigaam(GIGAAM), 1),
    ):
        asyncio.run(_server_against_loop(name, folder, speech, repeats))


def _check_threads() -> None:
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        report.out.print(
            "[bold red]OPENBLAS_NUM_THREADS is not 1[/]: the bare loop pays for threads that the "
            "engine's process does not have"
        )


def _layouts(root: Path, speech: Samples) -> None:
    report.head("engines: each in its process, one thread, small models")
    table = report.table("", "load s", "MB loaded", "MB after 20 s", *_titles())
    for index, case in enumerate(CASES):
        if case.missing:
            report.out.print(f"without {case.name}: {case.missing}")
        elif not case.name.startswith("scripted"):
            spec = replace(case.make(root / str(index)), threads=1)
            table.add_row(case.name, *asyncio.run(_row(spec, speech)))
    report.out.print(table)


async def _row(spec: EngineSpec, speech: Samples) -> list[str]:
    process = EngineProcess(spec, EngineProcessConfig())
    began_s = time.monotonic()
    await process.start()
    try:
        load_s, loaded_mb = time.monotonic() - began_s, resident_mb(process.pid)
        costs = [f"{await _factor(process, _cut(speech, each)):.4f}" for each in LENGTHS_S]
        await process.decode([(_cut(speech, 20.0), RATE_HZ)])
        return [f"{load_s:.1f}", f"{loaded_mb:.0f}", f"{resident_mb(process.pid):.0f}", *costs]
    finally:
        await process.close()


async def _factor(process: EngineProcess, segment: Samples) -> float:
    """Return CPU seconds per second of audio."""
    await process.decode([(segment, RATE_HZ)])
    began_s, began_cpu_s, rounds = time.monotonic(), process.cpu_s(), 0
    while time.monotonic() - began_s < SPENT_S:
        await process.decode([(segment, RATE_HZ)])
        rounds += 1
    return (process.cpu_s() - began_cpu_s) / (rounds * len(segment) / RATE_HZ)


async def _side_by_side(speech: Samples) -> None:
    report.head("sherpa and onnx on the same file of GigaAM's size, in turn")
    hosts = {
        name: EngineProcess(EngineSpec(name, "size", GIGAAM, "nemo_ctc"), EngineProcessConfig())
        for name in ("sherpa", "onnx")
    }
    table = report.table("", "load s", "MB loaded", "MB after", *_titles())
    loaded: dict[str, list[str]] = {}
    found: dict[str, list[list[float]]] = {name: [] for name in hosts}
    for name, host in hosts.items():
        began_s = time.monotonic()
        await host.start()
        loaded[name] = [f"{time.monotonic() - began_s:.1f}", f"{resident_mb(host.pid):.0f}"]
    try:
        for seconds in LENGTHS_S:
            rounds = [
                [await _factor(host, _cut(speech, seconds)) for host in hosts.values()]
                for _ in range(ROUNDS)
            ]
            for name, costs in zip(hosts, zip(*rounds, strict=True), strict=True):
                found[name].append(list(costs))
        for name, host in hosts.items():
            middles = [f"{median(each):.3f}" for each in found[name]]
            table.add_row(name, *loaded[name], f"{resident_mb(host.pid):.0f}", *middles)
    finally:
        for host in hosts.values():
            await host.close()
    report.out.print(table)


async def _server_against_loop(name: str, folder: Path, speech: Samples, repeats: int) -> None:
    """Decode the same segments by threads around the engine, and through scheduler and process."""
    threads = os.cpu_count() or 1
    spec = EngineSpec("onnx", "size", folder, "nemo_ctc", threads=threads)
    bare = load(spec)
    segments = [_cut(speech, seconds) for seconds in SERVED_S] * threads * repeats
    host = EngineProcess(spec, EngineProcessConfig())
    await host.start()
    scheduler = Scheduler(host, SchedulerConfig())
    await scheduler.start()
    times: list[tuple[float, float]] = []
    spent: list[float] = []
    try:
        for _ in range(2 * ROUNDS):
            began_cpu_s = time.process_time()
            loop_s = await asyncio.to_thread(_timed, lambda: _loop(bare, segments, threads))
            loop_cpu_s = time.process_time() - began_cpu_s
            began_s, began_cpu_s = time.monotonic(), time.process_time() + host.cpu_s()
            jobs = [scheduler.submit(each, RATE_HZ, Priority.FINAL) for each in segments]
            await asyncio.gather(*(job.result for job in jobs))
            times.append((loop_s, time.monotonic() - began_s))
            spent.append(loop_cpu_s / (time.process_time() + host.cpu_s() - began_cpu_s))
    finally:
        await scheduler.close()
        await host.close()
    shares = [loop_s / server_s for loop_s, server_s in times[1:]]  # the first warms both
    report.out.print(
        f"{name}: the server's throughput is {100 * median(shares):.0f} % of a bare loop's over "
        f"the same {len(segments)} segments, {threads} threads ("
        + ", ".join(f"{100 * share:.0f}" for share in shares)
        + f" %; {median(server for _, server in times):.2f} s); by CPU seconds, which say the same "
        f"on a machine that is shared, {100 * median(spent[1:]):.0f} % ("
        + ", ".join(f"{100 * share:.0f}" for share in spent[1:])
        + " %)"
    )


def _loop(engine: Engine, segments: list[Samples], threads: int) -> None:
    """Decode as little code around the engine allows; resampling belongs to both."""

    def decode(segment: Samples) -> None:
        engine.decode([prepare(segment, RATE_HZ, engine.info)])

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(decode, segments))


def _timed(work: Callable[[], None]) -> float:
    began_s = time.monotonic()
    work()
    return time.monotonic() - began_s


def resident_mb(pid: int | None) -> float:
    """Return the resident memory of a process (proc_pid_statm(5))."""
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _titles() -> list[str]:
    return [f"CPU s per s, {seconds:g} s" for seconds in LENGTHS_S]


def _cut(speech: Samples, seconds: float) -> Samples:
    return speech[: round(seconds * RATE_HZ)]
