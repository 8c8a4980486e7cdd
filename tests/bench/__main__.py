"""`python -m tests.bench [WHAT…]`: figures, and exit code 1 if anything was lost."""

import argparse
import sys
from collections.abc import Callable

from ruasr_tel.log import LogConfig, set_up_logging
from tests.bench import report
from tests.bench.calls import calls
from tests.bench.engine import engine
from tests.bench.engines import engines, served
from tests.bench.kill import kill
from tests.bench.lists import lists
from tests.bench.lm import lm
from tests.bench.load import Broken
from tests.bench.partials import partials
from tests.bench.progress import progress
from tests.bench.recordings import recordings
from tests.bench.reload import reload
from tests.bench.rooms import audio, frames, vad
from tests.bench.soak import SEGMENTS, soak
from tests.bench.streams import streams

ROOMS: dict[str, Callable[[], None]] = {
    "vad": vad,
    "audio": audio,
    "frames": frames,
    "engine": engine,
    "lm": lm,
    "lists": lists,
    "progress": progress,
    "streams": streams,
    "engines": engines,
    "served": served,
}
LOADS: dict[str, tuple[Callable[[int, float, int], bool], int, float]] = {
    "calls": (calls, 50, 60.0),
    "partials": (partials, 50, 20.0),
    "kill": (kill, 20, 30.0),
    "reload": (reload, 30, 30.0),
    "recordings": (recordings, 20, 60.0),
}
"""What runs the server: function, calls at once, seconds."""
LONG = ("lists", "engines", "served", "soak")
"""What runs only when it is named: minutes, and an hour."""


def main() -> int:
    """Run what the command line names, everything if nothing."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    known = [*ROOMS, *LOADS, "soak"]
    parser.add_argument("what", nargs="*", metavar="WHAT", help=f"of {', '.join(known)}")
    parser.add_argument("--calls", type=int, help="calls at once")
    parser.add_argument("--seconds", type=float, help="how long all of them talk at once")
    parser.add_argument("--segments", type=int, default=SEGMENTS, help="of the soak, per engine")
    parser.add_argument("--only", default="", help="of the soak: cases with this in their name")
    parser.add_argument("--seed", type=int, default=1, help="of prompts and pauses")
    given = parser.parse_args()
    if unknown := set(given.what) - set(known):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    set_up_logging(LogConfig(level="warning"))
    report.machine()
    sound = True
    for name in given.what or [each for each in known if each not in LONG]:
        if name in ROOMS:
            ROOMS[name]()
            continue
        if name == "soak":
            sound &= soak(given.segments, given.seed, given.only)
            continue
        function, count, seconds = LOADS[name]
        try:
            sound &= function(given.calls or count, given.seconds or seconds, given.seed)
        except Broken as error:
            report.out.print(f"[bold red]{name} broke[/]")
            report.out.print(str(error), markup=False)
            sound = False
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
