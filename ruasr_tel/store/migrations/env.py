"""Alembic runs this file for every command; the connection comes from `upgrade`."""

from alembic import context

from ruasr_tel.store.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=True,  # SQLite can, once BEGIN is said aloud, which database.py does
)
with context.begin_transaction():
    context.run_migrations()
