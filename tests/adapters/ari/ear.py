"""A listener that writes down what a line tells it."""

import asyncio
from collections import Counter
from collections.abc import Callable

from ruasr_tel.testing.calls import TIMEOUT_S
from ruasr_tel.types import Samples


class Ear:
    """Everything in order; what is wrong apart."""

    def __init__(self) -> None:
        self.said: list[object] = []
        self.counted: Counter[str] = Counter()
        self.wrong: list[tuple[str, str]] = []
        self._more = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def hear(self, samples: Samples) -> None:
        self._note(samples.tolist())

    def miss(self, samples_count: int, *, lost: bool) -> None:
        self._note((samples_count, lost))

    def key(self, digit: str) -> None:
        self._note(digit)

    def count(self, fate: str, packets: int) -> None:
        self.counted[fate] += packets
        self._note()

    def bad(self, kind: str, said: str) -> None:
        self.wrong.append((kind, said))
        self._note()

    async def until(self, is_so: Callable[[], object]) -> None:
        """Wait until something is so.

        Raises:
            TimeoutError: it did not come.
        """
        async with asyncio.timeout(TIMEOUT_S), self._more:
            await self._more.wait_for(is_so)

    def _note(self, *said: object) -> None:
        self.said.extend(said)
        task = asyncio.get_running_loop().create_task(self._tell())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _tell(self) -> None:
        async with self._more:
            self._more.notify_all()
