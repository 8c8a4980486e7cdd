"""What the embedded model costs, through its process, alone on the machine."""

import asyncio
import time
from itertools import accumulate, repeat, takewhile

import numpy as np

from ruasr_tel.app_models import find_model, make_engine
from ruasr_tel.config import load_config
from ruasr_tel.engines.process import EngineProcess
from ruasr_tel.partials import PartialsConfig
from ruasr_tel.types import Samples
from tests.bench import report
from tests.bench.script import RATE_HZ, prompt_samples

SPENT_S = 2.0
"""Wall-clock seconds of one measurement; /proc counts CPU in hundredths."""
UTTERANCE_S = 5.0


def engine() -> None:
    """Print the real-time factor by length, and what partials of one utterance cost."""
    report.head("engine: the embedded model in its process")
    asyncio.run(_engine())


async def _engine() -> None:
    config = load_config(None).config
    process = make_engine(config, find_model(config)[1])
    await process.start()
    speech = np.concatenate(prompt_samples())
    made = report.table("segment", "wall ms", "CPU ms", "CPU s per s of audio")
    try:
        for seconds in (2.0, 5.0, 15.0):
            wall_s, cpu_s = await _cost_s(process, [_cut(speech, seconds)])
            made.add_row(f"{seconds:g} s", *_row(wall_s, cpu_s), f"{cpu_s / seconds:.4f}")
        lengths_s = partial_lengths_s(UTTERANCE_S)
        wall_s, cpu_s = await _cost_s(process, [_cut(speech, each) for each in lengths_s])
        name = f"{len(lengths_s)} partials of {UTTERANCE_S:g} s"
        made.add_row(name, *_row(wall_s, cpu_s), f"{cpu_s / UTTERANCE_S:.4f}")
    finally:
        await process.close()
    report.out.print(made)


def partial_lengths_s(utterance_s: float) -> list[float]:
    """Return the audio in each partial of an utterance on an idle machine."""
    config = PartialsConfig()
    steps = [config.first_ms / 1000, config.first_ms / 1000]
    grown = accumulate(repeat(config.interval_ms / 1000), initial=sum(steps))
    return [steps[0], *takewhile(lambda length_s: length_s < utterance_s, grown)]


async def _cost_s(process: EngineProcess, segments: list[Samples]) -> tuple[float, float]:
    """Return wall-clock and CPU seconds of decoding all segments one after the other."""
    began_s, began_cpu_s = time.monotonic(), process.cpu_s()
    rounds = 0
    while time.monotonic() - began_s < SPENT_S:
        for segment in segments:
            await process.decode([(segment, RATE_HZ)])
        rounds += 1
    return (time.monotonic() - began_s) / rounds, (process.cpu_s() - began_cpu_s) / rounds


def _cut(speech: Samples, seconds: float) -> Samples:
    return speech[: round(seconds * RATE_HZ)]


def _row(wall_s: float, cpu_s: float) -> tuple[str, str]:
    return f"{1000 * wall_s:.1f}", f"{1000 * cpu_s:.1f}"
