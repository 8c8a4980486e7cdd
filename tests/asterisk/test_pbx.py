"""The suite tells an Asterisk that hangs from one that works."""

import signal

import pytest

from tests.asterisk.waves import Suite

pytestmark = pytest.mark.asyncio(loop_scope="session")  # that of the suite


async def test_an_asterisk_that_hangs_is_started_again_and_its_calls_placed_again(
    suite: Suite,
) -> None:
    waves: list[bool] = []

    async def wave() -> bool:
        waves.append(await suite.asterisk.answers())
        if len(waves) == 1:
            suite.asterisk.signal(signal.SIGSTOP)
            raise TimeoutError
        return await suite.asterisk.answers()

    assert await suite.again_if_it_hangs("a stopped process", wave)
    assert waves == [True, True]
    assert suite.hangs.pop() == "a stopped process"


async def test_what_fails_while_asterisk_works_fails(suite: Suite) -> None:
    async def wave() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await suite.again_if_it_hangs("nothing", wave)
    assert not suite.hangs
