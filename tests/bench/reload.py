"""Another model under calls: those that run keep theirs, new ones get it, nothing is lost."""

import asyncio
import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from ruasr_tel.control import ask_to_use
from ruasr_tel.errors import ConfigError
from tests.bench import report
from tests.bench.load import Broken, Plan, run
from tests.bench.verdict import judge

OLD, NEW = "ru-mini-ctc-8k", "ru-mini-transducer-8k"
RAMP_S = 20.0
"""The calls begin over so long; at half of it the model is changed."""


def reload(count: int, seconds: float, seed: int) -> bool:
    """Change the model while calls come in; return whether nothing was lost."""
    report.head(f"another model while {count} calls come in")
    unloaded: list[bool] = []
    with TemporaryDirectory(prefix="ruasr-bench-") as folder:
        socket = Path(folder) / "control.sock"

        def change(log: Path) -> None:
            time.sleep(RAMP_S / 2)
            began_s = time.monotonic()
            try:
                said = asyncio.run(ask_to_use(socket, NEW))
            except ConfigError as refused:
                raise Broken(str(refused)) from refused
            report.out.print(f"after {time.monotonic() - began_s:.1f} s: {said}", markup=False)
            unloaded.append(_is_unloaded(log, began_s + seconds + 2 * RAMP_S))

        settings = (f"control.socket={socket}", f"engine.model={OLD}")
        plan = Plan(count, seconds, seed, RAMP_S, settings=settings, meanwhile=change)
        done = run(plan)
    found = judge(done, plan.scripts)
    if not unloaded[0]:
        found.faults.append(f"{OLD} was not unloaded with the last of its calls")
    sound = report.verdict(done, found)
    report.delays(report.final_delays(found))
    return sound


def _is_unloaded(log: Path, until_s: float) -> bool:
    """Wait until the old model is unloaded, and return whether it was."""
    while time.monotonic() < until_s:
        lines = map(json.loads, log.read_text("utf-8").splitlines())
        if any((line["event"], line.get("model")) == ("model unloaded", OLD) for line in lines):
            return True
        time.sleep(1.0)
    return False
