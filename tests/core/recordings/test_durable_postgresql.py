"""The queues on PostgreSQL: two servers of different names share them."""

import asyncio
import os
import subprocess
import sys

from ruasr_tel.recordings.durable import Durable, Errand, Fate, Kind, Outcome
from ruasr_tel.testing import TIMEOUT_S
from tests.core.store.postgres import Postgres

OTHER = """
import asyncio, sys
from ruasr_tel.recordings.durable import Durable, Errand, Kind, Outcome

async def give_up(errand, reason):
    pass

async def one(errand):
    print(errand.id, flush=True)
    await asyncio.Event().wait()
    return Outcome.OVER

async def main():
    durable = Durable(sys.argv[1], "there", {"job": Kind({"one": one}, 1, give_up)})
    await durable.start()
    await durable.enqueue(Errand("job", "theirs", 1, 0.0))
    await asyncio.Event().wait()

asyncio.run(main())
"""


async def test_a_server_that_starts_leaves_what_another_is_working_on(postgres: Postgres) -> None:
    url = postgres.new_database()
    other = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", OTHER, url),
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert other.stdout is not None
    try:
        async with asyncio.timeout(3 * TIMEOUT_S):
            assert await other.stdout.readline() == b"theirs\n"
        done = asyncio.Event()
        seen: list[str] = []

        async def one(errand: Errand) -> Outcome:
            seen.append(errand.id)
            done.set()
            return Outcome.OVER

        async def give_up(errand: Errand, reason: str) -> None:
            raise AssertionError(reason)

        durable = Durable(url, "here", {"job": Kind({"one": one}, 1, give_up)})
        await durable.start()
        await durable.enqueue(Errand("job", "ours", 1, 0.0))
        async with asyncio.timeout(3 * TIMEOUT_S):
            await done.wait()
            while (await durable.last("job", "ours"))[1] is Fate.ACTIVE:
                pass
        assert seen == ["ours"]
        assert await durable.active() == {("job", "theirs")}
        await durable.close()
    finally:
        other.kill()
        await other.communicate()
