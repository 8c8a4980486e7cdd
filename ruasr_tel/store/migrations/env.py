"""Alembic runs this file for every command; the connection comes from `upgrade`."""

from alembic import context

from ruasr_tel.store.tables import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
context.run_migrations()  # in the caller's transaction
