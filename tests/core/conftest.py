"""PostgreSQL, where it is installed, is started once for a run."""

from collections.abc import Iterator

import pytest

from tests.core.store.postgres import Postgres, PostgresMissing, running_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    try:
        with running_postgres() as server:
            yield server
    except PostgresMissing as missing:
        pytest.skip(str(missing))
