"""The real server, which says what CPU it took: `python -m tests.bench.metered [--wrap] KEY=…`.

Prints the doors' addresses as one line of JSON when they are open, and what it took since then as
a second one after SIGTERM, before the engine is closed. With --wrap the functions of `WRAPPED` are
timed, too. That costs CPU itself, most of it inside the timed functions: believe the shares, and
take the sum from a run without.
"""

import asyncio
import json
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import uvloop

from ruasr_tel.app import Running, serving
from ruasr_tel.assemble import Assembler
from ruasr_tel.cli.common import read_config
from ruasr_tel.config import Config
from ruasr_tel.engines.child import Child
from ruasr_tel.leg import Leg
from ruasr_tel.log import set_up_logging
from ruasr_tel.scheduler import Priority, Scheduler
from ruasr_tel.sinks import Fanout
from ruasr_tel.work import PARTIALS
from ruasr_tel_adapters.audiosocket.session import Session

WRAPPED: dict[str, list[tuple[type, str]]] = {
    "framing": [(Session, "data_received"), (Session, "tick")],
    "buffer": [(Leg, "push"), (Leg, "take_windows"), (Leg, "on_probabilities")],
    "answers": [
        (Scheduler, "submit"),
        (Child, "data_received"),
        (Assembler, "answer"),
        (Fanout, "publish"),
    ],
}
"""Functions of the event loop's thread by kind; time counts for the innermost one it is spent in.

The buffer's three hold the downsampler and the boundary buffer, which nobody else calls.
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a server took from the opening of its doors to its stop.

    Attributes:
        wall_s: seconds it ran.
        process_s: CPU seconds of the whole process, which is without the engine's.
        threads_s: CPU seconds of its threads that live as long as it does, by name.
        scoring_s: CPU seconds that the detector itself took of its thread's.
        windows: windows it scored.
        engine_s: CPU seconds of the engine process; of the present one, had it been replaced.
        finals_s: seconds that decode slots were busy with finals.
        partials_s: the same with partials.
        partials_refused: partials that had no room.
        slots: decodes at once.
        restarts: how often the engine process was replaced.
        split_s: CPU seconds by kind of `WRAPPED`; None: nothing was wrapped.
    """

    wall_s: float
    process_s: float
    threads_s: dict[str, float]
    scoring_s: float
    windows: int
    engine_s: float
    finals_s: float
    partials_s: float
    partials_refused: int
    slots: int
    restarts: int
    split_s: dict[str, float] | None

    @property
    def vad_s(self) -> float:
        """CPU seconds of the detector's thread."""
        return sum(spent for name, spent in self.threads_s.items() if name.startswith("vad"))

    @property
    def loop_s(self) -> float:
        """CPU seconds of the event loop's thread."""
        return self.threads_s["MainThread"]

    @property
    def rest_s(self) -> float:
        """CPU seconds that are neither engine's nor detector's."""
        return self.process_s - self.vad_s


class Stopwatch:
    """Times functions of one thread, each without what it calls that is timed itself."""

    def __init__(self) -> None:
        self.spent_s: dict[str, float] = {}
        self._inner_s: list[float] = []  # of every timed function that runs: its timed callees

    def wrap(self, owner: type, name: str, kind: str) -> None:
        """Put a timed function in the place of a method."""
        self.spent_s.setdefault(kind, 0.0)
        setattr(owner, name, self._timed(getattr(owner, name), kind))

    def _timed(self, function: Callable[..., Any], kind: str) -> Callable[..., Any]:
        spent_s, inner_s, clock = self.spent_s, self._inner_s, time.thread_time

        def timed(*args: Any, **kwargs: Any) -> Any:
            inner_s.append(0.0)
            began_s = clock()
            try:
                return function(*args, **kwargs)
            finally:
                took_s = clock() - began_s
                spent_s[kind] += took_s - inner_s.pop()
                if inner_s:
                    inner_s[-1] += took_s

        return timed


async def run(config: Config, watch: Stopwatch | None) -> None:
    """Serve until SIGTERM; print the two lines."""
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    async with serving(config) as running:
        began_s, began_cpu_s = time.monotonic(), time.process_time()
        engine_s, threads_s = running.recognition.engine.cpu_s(), _threads_s()
        _say(running.urls)
        await stop.wait()
        _say(
            {
                "wall_s": time.monotonic() - began_s,
                "process_s": time.process_time() - began_cpu_s,
                "threads_s": {
                    name: spent_s - threads_s.get(name, 0.0)
                    for name, spent_s in _threads_s().items()
                },
                "engine_s": running.recognition.engine.cpu_s() - engine_s,
                "split_s": None if watch is None else watch.spent_s,
                **_counted(running),
            }
        )


def _counted(running: Running) -> dict[str, float]:
    """Return what the server counts itself."""
    parts = running.recognition
    return {
        "scoring_s": parts.batcher.cpu_s,
        "windows": parts.batcher.windows_scored,
        "finals_s": parts.scheduler.busy_s(Priority.FINAL),
        "partials_s": sum(map(parts.scheduler.busy_s, PARTIALS)),
        "partials_refused": parts.scheduler.partials_refused,
        "slots": parts.engine.slots,
        "restarts": parts.engine.restarts,
    }


def _threads_s() -> dict[str, float]:
    """Return the CPU seconds so far of every thread that Python started."""
    return {
        thread.name: time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
        for thread in threading.enumerate()
        if thread.ident is not None
    }


def _say(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def main(arguments: list[str]) -> None:
    """Serve; see the module."""
    watch = Stopwatch() if "--wrap" in arguments else None
    if watch is not None:
        for kind, functions in WRAPPED.items():
            for owner, name in functions:
                watch.wrap(owner, name, kind)
    loaded = read_config(None, [argument for argument in arguments if argument != "--wrap"])
    set_up_logging(loaded.config.log)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(loaded.config, watch))


if __name__ == "__main__":
    main(sys.argv[1:])
