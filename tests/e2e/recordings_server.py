"""Recordings without doors, as a process to be killed: orders come on stdin, ids go to stdout.

python recordings_server.py FOLDER DELAY_S [STAGE:before|STAGE:after]

Each line of input is an order as JSON, each line of output its id; the third argument names a
moment at which the process kills itself.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from ruasr_tel.call import CallsConfig
from ruasr_tel.log import LogConfig, set_up_logging
from ruasr_tel.profile import DEFAULT_PROFILES
from ruasr_tel.recordings.config import RecordingsConfig
from ruasr_tel.recordings.deliver import WebhookConfig
from ruasr_tel.recordings.durable import Again, Errand, Outcome, Stage
from ruasr_tel.recordings.fetch import FetchConfig
from ruasr_tel.recordings.jobs import Recordings
from ruasr_tel.recordings.model import Order
from ruasr_tel.recordings.recognise import bulk_profiles
from ruasr_tel.scheduler import Priority
from ruasr_tel.store import Store
from ruasr_tel.testing import running_calls, scripted_host


def deadly(stage: Stage, when: str) -> Callable[[Errand], Awaitable[Outcome | Again]]:
    """Return a stage that kills the process before or after its work."""

    async def run(errand: Errand) -> Outcome | Again:
        if when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        said = await stage(errand)
        os.kill(os.getpid(), signal.SIGKILL)
        return said

    return run


def arm(recordings: Recordings, moment: str) -> None:
    """Let a stage kill the process."""
    name, _, when = moment.partition(":")
    kinds = recordings._durable._kinds
    for kind, each in kinds.items():
        if name in each.stages:
            stages = {**each.stages, name: deadly(each.stages[name], when)}
            kinds[kind] = replace(each, stages=stages)  # type: ignore[index]  # a dict it is


async def main(folder: Path, delay_s: float, moment: str) -> None:
    """Serve until stdin ends or somebody kills us."""
    set_up_logging(LogConfig())  # standard error: standard output is for ids
    store = Store(f"sqlite:///{folder}/ruasr.db")
    await store.open()
    async with running_calls(
        scripted_host(delay_s=delay_s),
        config=CallsConfig(max_wait_s=600, finish_timeout_s=600),
        profiles=bulk_profiles(DEFAULT_PROFILES),
        priority=Priority.BULK,
    ) as calls:
        recordings = Recordings(
            RecordingsConfig(dir=folder / "recordings", concurrency=4),
            store,
            calls,
            fetching=FetchConfig(allow_cidrs=["127.0.0.0/8"]),
            webhooks=WebhookConfig(first_delay_s=0.1, max_delay_s=1.0),
        )
        if moment:
            arm(recordings, moment)
        await recordings.start()
        print("ready", flush=True)  # noqa: T201 - the test reads it
        while line := await asyncio.to_thread(sys.stdin.readline):
            recording, _ = await recordings.submit(Order(**json.loads(line)))
            print(recording.id, flush=True)  # noqa: T201 - the test reads it
        await recordings.close()
    await store.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), float(sys.argv[2]), (sys.argv[3:] or [""])[0]))
