"""Errands on real DBOS and SQLite."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from ruasr_tel.errors import ConfigError
from ruasr_tel.recordings.durable import Again, Durable, Errand, Fate, Kind, Outcome, Stage
from ruasr_tel.testing import TIMEOUT_S

GIVEN_UP: list[tuple[str, str]] = []


async def give_up(errand: Errand, reason: str) -> None:
    GIVEN_UP.append((errand.key, reason))


class Told:
    """Stages that write down what they are told, and let a test wait for it."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self._more = asyncio.Condition()

    async def tell(self, what: str) -> None:
        async with self._more:
            self.seen.append(what)
            self._more.notify_all()

    async def until(self, count: int) -> list[str]:
        async with asyncio.timeout(2 * TIMEOUT_S), self._more:
            await self._more.wait_for(lambda: len(self.seen) >= count)
        return self.seen

    def stage(self, name: str, *says: Outcome | Again) -> Stage:
        """Return a stage that says these one by one, the last one for ever."""
        answers = list(says)

        async def run(errand: Errand) -> Outcome | Again:
            await self.tell(f"{name} {errand.key}")
            return answers.pop(0) if len(answers) > 1 else answers[0]

        return run


@contextlib.asynccontextmanager
async def running(folder: Path, kinds: Mapping[str, Kind]) -> AsyncIterator[Durable]:
    durable = Durable(f"sqlite:///{folder}/deep/jobs.db", "here", kinds)
    await durable.start()
    try:
        yield durable
    finally:
        await durable.close()


async def ended(durable: Durable, kind: str, id: str) -> tuple[int, Fate]:
    async with asyncio.timeout(2 * TIMEOUT_S):
        while (last := await durable.last(kind, id))[1] is Fate.ACTIVE:
            pass
    return last


async def test_stages_run_in_order_and_an_errand_is_done_once(tmp_path: Path) -> None:
    told = Told()
    stages = {"one": told.stage("one", Outcome.NEXT), "two": told.stage("two", Outcome.OVER)}
    unreached = {**stages, "three": told.stage("three", Outcome.OVER)}
    async with running(tmp_path, {"job": Kind(unreached, 1, give_up)}) as durable:
        assert await durable.last("job", "a") == (0, Fate.UNKNOWN)
        errand = Errand("job", "a", 1, 0.0)
        await durable.enqueue(errand)
        await durable.enqueue(errand)
        assert await ended(durable, "job", "a") == (1, Fate.ENDED)
        await durable.enqueue(errand)
        await durable.enqueue(Errand("job", "b", 1, 0.0))
        await ended(durable, "job", "b")
        assert told.seen == ["one job:a:1", "two job:a:1", "one job:b:1", "two job:b:1"]
        assert await durable.active() == frozenset()
        assert await durable.waiting() == {"job": 0}


async def test_what_waits_holds_up_nobody_and_begins_again_from_the_first_stage(
    tmp_path: Path,
) -> None:
    told = Told()
    stages = {
        "one": told.stage("one", Outcome.NEXT),
        "two": told.stage("two", Again(0.5), Outcome.OVER),
    }
    async with running(tmp_path, {"job": Kind(stages, 1, give_up)}) as durable:
        await durable.enqueue(Errand("job", "a", 1, 0.0))
        await durable.enqueue(Errand("job", "b", 1, 0.0))
        seen = await told.until(6)
    assert sorted(seen[:4]) == ["one job:a:1", "one job:b:1", "two job:a:1", "two job:b:1"]
    assert [each.split()[0] for each in seen[4:]] == ["one", "two"]
    assert seen[4].endswith(":2")


async def test_a_stop_goes_on_with_the_stage_that_had_not_ended(tmp_path: Path) -> None:
    told = Told()

    async def stuck(errand: Errand) -> Outcome:
        await told.tell("stuck")
        await asyncio.Event().wait()
        return Outcome.OVER

    one = told.stage("one", Outcome.NEXT)
    async with running(tmp_path, {"job": Kind({"one": one, "two": stuck}, 1, give_up)}) as durable:
        await durable.enqueue(Errand("job", "a", 1, 0.0))
        await told.until(2)
        assert await durable.active() == {("job", "a")}
    two = told.stage("two", Outcome.OVER)
    async with running(tmp_path, {"job": Kind({"one": one, "two": two}, 1, give_up)}) as durable:
        assert await told.until(3) == ["one job:a:1", "stuck", "two job:a:1"]
        assert await ended(durable, "job", "a") == (1, Fate.ENDED)


async def test_a_stage_that_raises_is_tried_again_and_then_given_up(tmp_path: Path) -> None:
    GIVEN_UP.clear()

    async def broken(errand: Errand) -> Outcome:
        raise OSError("the disk is full")

    kind = Kind({"one": broken}, 1, give_up, attempts=2)
    with capture_logs() as logs:
        async with running(tmp_path, {"job": kind}) as durable:
            await durable.enqueue(Errand("job", "a", 1, 0.0))
            async with asyncio.timeout(2 * TIMEOUT_S):
                while (await durable.last("job", "a"))[0] != 2:
                    pass
            await durable.enqueue(Errand("job", "b", 2, 0.0, failed={"one": 1}))
            assert await ended(durable, "job", "b") == (2, Fate.ENDED)
    assert GIVEN_UP == [("job:b:2", "OSError: the disk is full")]
    assert [line["errand"] for line in logs] == ["job:a:1", "job:b:2"]


async def test_failures_are_counted_by_stage_and_waiting_for_room_is_none(tmp_path: Path) -> None:
    told = Told()
    counted: list[Mapping[str, int]] = []

    async def count(errand: Errand) -> Outcome:
        counted.append(errand.failed)
        return Outcome.NEXT

    full, failed = Again(0.001, failed=False), Again(0.001)
    stages = {
        "count": count,
        "one": told.stage("one", failed, full, failed, Outcome.NEXT),
        "two": told.stage("two", failed, Outcome.OVER),
    }
    async with running(tmp_path, {"job": Kind(stages, 1, give_up, poll_s=0.01)}) as durable:
        await durable.enqueue(Errand("job", "a", 1, 0.0))
        await told.until(7)
    one, two = {"one": 1}, {"one": 2}
    assert counted == [{}, one, one, two, {**two, "two": 1}]


async def test_a_lane_that_hangs_holds_up_no_other(tmp_path: Path) -> None:
    told = Told()

    async def hang(errand: Errand) -> Outcome:
        await told.tell(errand.key)
        if errand.lane == "slow":
            await asyncio.Event().wait()
        return Outcome.OVER

    kind = Kind({"one": hang}, 4, give_up, per_lane=1)
    async with running(tmp_path, {"job": kind}) as durable:
        for number in range(6):
            await durable.enqueue(Errand("job", f"s{number}", 1, 0.0, "slow"))
        await told.until(1)
        for number in range(3):
            await durable.enqueue(Errand("job", f"f{number}", 1, 0.0, "fast"))
        seen = await told.until(4)
    assert sum(each.startswith("job:s") for each in seen) == 1


async def test_traces_of_what_ended_can_be_forgotten(tmp_path: Path) -> None:
    told = Told()
    kind = Kind({"one": told.stage("one", Outcome.OVER)}, 1, give_up)
    async with running(tmp_path, {"job": kind}) as durable:
        await durable.enqueue(Errand("job", "a", 1, 0.0))
        await ended(durable, "job", "a")
        assert await durable.forget(0.0) == 0
        assert await durable.forget(4e9) == 1
        assert await durable.last("job", "a") == (0, Fate.UNKNOWN)


async def test_our_loop_keeps_its_own_threads(tmp_path: Path) -> None:
    told = Told()
    kind = Kind({"one": told.stage("one", Outcome.OVER)}, 1, give_up)
    async with running(tmp_path, {"job": kind}) as durable:
        await durable.enqueue(Errand("job", "a", 1, 0.0))
        await told.until(1)
    assert await asyncio.to_thread(lambda: "alive") == "alive"


async def test_a_database_that_cannot_be_used_is_named_without_its_password() -> None:
    durable = Durable("postgresql://ruasr:secret@127.0.0.1:1/none", "here", {})
    with pytest.raises(ConfigError) as refused:
        await durable.start()
    assert "recordings.database postgresql://ruasr:***@127.0.0.1:1/none cannot be used" in str(
        refused.value
    )
    assert "secret" not in str(refused.value)
