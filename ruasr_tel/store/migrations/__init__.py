"""Brings the tables of an older version up to date, with Alembic; each change is a file below.

A revision's `upgrade` may run on SQLite and on PostgreSQL. `test_migrations.py` prints what one
must do when the tables were changed.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def upgrade(connection: Connection, revision: str = "head") -> None:
    """Upgrade within the connection's transaction: all of it, or nothing.

    One at a time in a process: Alembic keeps what it works on in modules of its own
    (alembic.context, alembic.op).

    Args:
        connection: in a transaction; not committed here.
        revision: where to.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, revision)
