"""One database, SQLite or PostgreSQL: connections, transactions, migrations, pages."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, TypeVar

from sqlalchemy import Connection, CursorResult, Select, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from ruasr_tel.errors import BadCursor, ConfigError, StoreError
from ruasr_tel.store.migrations import upgrade
from ruasr_tel.store.sqlite_file import BUSY_S, hold, make_file
from ruasr_tel.store.tables import Base, to_json_text

CONNECT_S = 10.0
"""Wait for PostgreSQL to answer; asyncpg alone would wait a minute."""
MAX_PAGE = 1000
"""Rows that may be asked for at once."""

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
_DRIVERS |= {"postgres": _DRIVERS["postgresql"]}
_DRIVERS |= {driver: driver for driver in _DRIVERS.values()}


Rows = TypeVar("Rows", bound="Select[*tuple[Any, ...]]")


def now_utc() -> datetime:
    """Return the present time, aware UTC."""
    return datetime.now(UTC)


class Database:
    """Connections to one database; opens none before it is used.

    Args:
        url: `sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`; the driver is ours to name.
        now: the clock.
        busy_s: longest wait for another writer (SQLite).

    Raises:
        ConfigError: no such database can be used.
    """

    def __init__(
        self, url: str, *, now: Callable[[], datetime] = now_utc, busy_s: float = BUSY_S
    ) -> None:
        self._url = usable(url)
        self._busy_s = busy_s
        self.now = now
        self._engine = _engine(self._url, busy_s)
        self._writer = self._engine.execution_options(writes=True)
        self._held: IO[bytes] | None = None

    @property
    def shown_url(self) -> str:
        """Where it is, for people: without the password."""
        return self._url.render_as_string(hide_password=True)

    @property
    def is_file(self) -> bool:
        """Whether it is a file, which one server has to itself."""
        return self._url.get_backend_name() == "sqlite"

    async def open(self, *, alone: bool = False) -> None:
        """Make the database if it is a file, and bring its tables up to date.

        Args:
            alone: be the only server of a file, until `close`; a server's database is for many.

        Raises:
            ConfigError: another server has the file.
            StoreError: it cannot be reached or changed; the message says where it is.
        """
        try:
            if self.is_file:
                path = Path(self._url.database or "")
                if alone:
                    self._held = await asyncio.to_thread(hold, path)
                await asyncio.to_thread(make_file, path, self._busy_s)
            async with self._writer.begin() as connection:
                await _one_at_a_time(connection)
                await connection.run_sync(upgrade)
        except (SQLAlchemyError, sqlite3.Error, OSError, TimeoutError) as error:
            await self.close()
            raise StoreError(
                f"the database {self.shown_url} cannot be opened: {cause(error)}; "
                "check store.url and that this user may write there"
            ) from error

    async def probe(self) -> None:
        """Write what is there already, to learn whether the database takes anything.

        Raises:
            SQLAlchemyError: it does not.
            OSError: it cannot be reached.
        """
        async with self._writer.begin() as connection:
            await connection.exec_driver_sql("UPDATE alembic_version SET version_num = version_num")

    async def close(self) -> None:
        """Close every connection, and let another server in."""
        await self._engine.dispose()
        if self._held is not None:
            self._held.close()
            self._held = None

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncSession]:
        async with AsyncSession(self._engine) as session, session.begin():
            yield session

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[AsyncSession]:
        """Give a transaction that is kept if the block ends well, else undone."""
        async with AsyncSession(self._writer) as session, session.begin():
            yield session

    async def _add(
        self, session: AsyncSession, table: type[Base], row: Mapping[str, object]
    ) -> bool:
        """Insert a row unless it breaks a unique constraint; return whether it is there now.

        A concurrent insert of the same is waited for.
        """
        statement = self._insert(table).values(**row).on_conflict_do_nothing()
        return await self._changed(session, statement)

    async def _changed(self, session: AsyncSession, statement: Any) -> bool:
        """Return whether the statement touched a row."""
        result = await session.execute(statement)
        assert isinstance(result, CursorResult)
        return result.rowcount > 0

    def _insert(self, table: type[Base]) -> Any:
        """Return an insert that knows ON CONFLICT, which is each dialect's own affair."""
        dialect = sqlite if self._url.get_backend_name() == "sqlite" else postgresql
        return dialect.insert(table)


def paged(statement: Rows, key: Any, limit: int, cursor: str | None) -> Rows:
    """Return a statement for one page and one row more, newest first by an increasing key.

    Args:
        statement: the whole list, in no order.
        key: the table's increasing, never reused number.
        limit: rows of the page, 1 to MAX_PAGE.
        cursor: of the page before, or None for the first page.

    Raises:
        BadCursor: no page gave it.
        ValueError: the limit is out of bounds.
    """
    if not 1 <= limit <= MAX_PAGE:
        raise ValueError(f"limit is {limit}, it may be 1 to {MAX_PAGE}")
    if cursor is not None:
        statement = statement.where(key < _number(cursor))
    return statement.order_by(key.desc()).limit(limit + 1)


def cut(rows: Sequence[Any], limit: int) -> tuple[Sequence[Any], str | None]:
    """Return the rows of the page and the cursor of the next one, given what `paged` found."""
    return rows[:limit], str(rows[limit - 1].pk) if len(rows) > limit else None


def _number(cursor: str) -> int:
    # 18 digits fit both databases' 64-bit keys; isdecimal alone takes other scripts' digits, too.
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) <= 18):
        raise BadCursor(f"{cursor!r} is no cursor of ours; take next_cursor of the page before")
    return int(cursor)


def usable(text: str) -> URL:
    """Return the URL with the driver that we use.

    Raises:
        ConfigError: no such database can be used; says what to write.
    """
    try:
        url = make_url(text)
    except ArgumentError as error:  # its own text repeats the URL and with it the password
        raise ConfigError(
            "store.url is no database URL; write sqlite:///FILE or postgresql://USER@HOST/NAME"
        ) from error
    if url.drivername not in _DRIVERS:
        raise ConfigError(
            f"store.url names {url.drivername}, but only sqlite and postgresql are supported"
        )
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise ConfigError("store.url names no file; write sqlite:///FILE")
    return url.set(drivername=_DRIVERS[url.drivername])


def _engine(url: URL, busy_s: float) -> AsyncEngine:
    is_file = url.get_backend_name() == "sqlite"
    try:
        engine = create_async_engine(
            url,
            json_serializer=to_json_text,
            hide_parameters=True,  # texts and secrets must not reach the log with an error
            pool_pre_ping=not is_file,  # PostgreSQL may have been restarted
            connect_args={"timeout": busy_s if is_file else CONNECT_S},
        )
    except ImportError as error:
        raise ConfigError(
            f"store.url needs {error.name}: pip install 'ruasr-tel[postgresql]'"
        ) from error
    if is_file:
        event.listen(engine.sync_engine, "connect", _set_up_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _set_up_sqlite(connection: Any, _: ConnectionPoolEntry) -> None:
    """See to it that what is deleted is overwritten, and that rows go with their owners."""
    connection.isolation_level = None  # we say BEGIN ourselves, see below
    cursor = connection.cursor()
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA secure_delete = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """Take the writer's lock first: a reader that becomes a writer is refused without waiting.

    See sqlite.org/lang_transaction.html, "BEGIN IMMEDIATE", and sqlite.org/rescode.html,
    SQLITE_BUSY_SNAPSHOT.
    """
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


async def _one_at_a_time(connection: AsyncConnection) -> None:
    """Let only one server change the tables; SQLite's BEGIN IMMEDIATE has seen to that already."""
    if connection.dialect.name == "postgresql":
        # Any number will do that nobody else takes; this one spells "ruasr".
        await connection.exec_driver_sql(
            f"SELECT pg_advisory_xact_lock({int.from_bytes(b'ruasr')})"
        )


def cause(error: BaseException) -> str:
    """Return the driver's own first line: SQLAlchemy adds the statement, PostgreSQL the values."""
    lines = str(getattr(error, "orig", None) or error).splitlines()
    return lines[0] if lines else type(error).__name__
