"""Tables of any age become those that the code expects, all of them or none."""

import asyncio

import pytest
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from sqlalchemy import Column, Connection, Integer, MetaData, Table, bindparam, inspect, text
from sqlalchemy.ext.asyncio import create_async_engine

from ruasr_tel.errors import StoreError
from ruasr_tel.recordings.model import Order
from ruasr_tel.store import Store
from ruasr_tel.store.database import usable
from ruasr_tel.store.migrations import upgrade
from ruasr_tel.store.tables import Base, UtcDateTime
from ruasr_tel.testing import TIMEOUT_S
from tests.core.store.samples import START, order


def missing(connection: Connection, metadata: MetaData = Base.metadata) -> str:
    """What a new revision must do, as code to paste."""
    context = MigrationContext.configure(connection, opts={"target_metadata": metadata})
    difference = produce_migrations(context, metadata).upgrade_ops
    assert difference is not None
    return "" if difference.is_empty() else render_python_code(difference)


def names(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


async def test_the_migrations_make_the_tables_that_the_code_expects(url: str, store: Store) -> None:
    engine = create_async_engine(usable(url))
    try:
        async with engine.connect() as connection:
            assert await connection.run_sync(missing) == ""
            found = await connection.run_sync(names)
    finally:
        await engine.dispose()
    assert found == {*Base.metadata.tables, "alembic_version"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda all: all.tables["keys"].append_column(Column("more", Integer)), "add_column"),
        (lambda all: Table("more", all, Column("pk", Integer)), "create_table('more'"),
        (lambda all: all.remove(all.tables["keys"]), "drop_table('keys')"),
    ],
)
async def test_a_forgotten_migration_is_told(
    url: str, store: Store, change: object, said: str
) -> None:
    changed = MetaData(naming_convention=Base.metadata.naming_convention)
    for table in Base.metadata.sorted_tables:
        table.to_metadata(changed)
    assert callable(change)
    change(changed)
    engine = create_async_engine(usable(url))
    try:
        async with engine.connect() as connection:
            assert said in await connection.run_sync(missing, changed)
    finally:
        await engine.dispose()


async def test_opening_again_changes_nothing(url: str, store: Store) -> None:
    kept, _ = await store.add_recording("a", order(), START)
    again = Store(url)
    await again.open()
    try:
        assert await again.recording("a") == kept
    finally:
        await again.close()


async def test_servers_that_start_at_once_make_one_set_of_tables(url: str) -> None:
    stores = [Store(url) for _ in range(4)]
    try:
        async with asyncio.timeout(TIMEOUT_S):
            opened = await asyncio.gather(
                *(store.open() for store in stores), return_exceptions=True
            )
        assert opened == [None] * 4
        await stores[0].add_recording("a", order(), START)
        assert await stores[3].recording("a") is not None
    finally:
        for store in stores:
            await store.close()


async def test_a_migration_that_fails_leaves_nothing_behind(url: str) -> None:
    first = Store(url)
    await first.open()
    await first.close()
    engine = create_async_engine(usable(url))
    try:
        async with engine.begin() as connection:
            for table in reversed(Base.metadata.sorted_tables):
                await connection.execute(text(f"DROP TABLE {table.name}"))
            await connection.execute(text("DROP TABLE alembic_version"))
            await connection.execute(text("CREATE TABLE deliveries (pk INTEGER)"))
        with pytest.raises(StoreError, match=r"deliveries.* already exists"):
            await Store(url).open()
        async with engine.connect() as connection:
            assert await connection.run_sync(names) == {"deliveries"}
    finally:
        await engine.dispose()


async def test_orders_of_an_older_version_ask_for_no_phrases(url: str) -> None:
    newest = Store(url)
    await newest.open()
    await newest.close()
    engine = create_async_engine(usable(url))
    try:
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.drop_all)
            await connection.execute(text("DROP TABLE alembic_version"))
            await connection.run_sync(upgrade, "0001")
            columns = "id, url, name, channels, metadata, state, progress, folded"
            await connection.execute(
                text(
                    f"INSERT INTO recordings ({columns}, created_at, updated_at) VALUES "
                    "('a', 'http://h/', 'a', 'auto', '{}', 'queued', 0, 'a', :now, :now)"
                ).bindparams(bindparam("now", START, UtcDateTime))
            )
    finally:
        await engine.dispose()
    store = Store(url)
    await store.open()
    kept = await store.recording("a")
    await store.close()
    assert kept is not None
    assert kept.order == Order(url="http://h/", name="a")
