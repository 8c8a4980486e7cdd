from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from tests.adapters.rest.fakes import Rest, listening


@pytest_asyncio.fixture
async def rest(tmp_path: Path) -> AsyncIterator[Rest]:
    async with listening(tmp_path) as rest:
        yield rest
