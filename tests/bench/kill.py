"""kill -9 of the engine, twice, under calls: every final must come all the same."""

import os
import signal
import time
from pathlib import Path

from tests.bench import report
from tests.bench.load import Plan, engine_pid, run
from tests.bench.script import RAMP_S
from tests.bench.verdict import judge

KILLS = 2


def kill(count: int, seconds: float, seed: int) -> bool:
    """Kill the engine at a third and at two thirds of a run; return whether nothing was lost."""
    report.head(f"kill -9 of the engine, {KILLS} times during {count} calls")

    def strike(log: Path) -> None:
        for _ in range(KILLS):
            time.sleep((RAMP_S + seconds) / (KILLS + 1))
            os.kill(engine_pid(log), signal.SIGKILL)

    plan = Plan(count, seconds, seed, meanwhile=strike)
    done = run(plan)
    found = judge(done, plan.scripts)
    if done.taken.restarts != KILLS:
        found.faults.append(f"{KILLS} kills, {done.taken.restarts} restarts")
    sound = report.verdict(done, found)
    report.delays(report.final_delays(found))
    report.out.print(f"restarts: {done.taken.restarts}")
    return sound
