from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect
from sqlalchemy.ext.asyncio import create_async_engine

from ruasr_tel.store import Store
from ruasr_tel.store.database import usable
from ruasr_tel.store.tables import Base


def missing(connection: Connection) -> str:
    """What a new revision must do, as code to paste."""
    context = MigrationContext.configure(connection, opts={"target_metadata": Base.metadata})
    difference = produce_migrations(context, Base.metadata).upgrade_ops
    assert difference is not None
    return "" if difference.is_empty() else render_python_code(difference)


async def test_the_migrations_make_the_tables_that_the_code_expects(url: str, store: Store) -> None:
    engine = create_async_engine(usable(url))
    try:
        async with engine.connect() as connection:
            assert await connection.run_sync(missing) == ""
            names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
            assert {*Base.metadata.tables, "alembic_version"} == set(names)
    finally:
        await engine.dispose()
