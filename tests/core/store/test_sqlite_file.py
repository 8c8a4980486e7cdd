import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ruasr_tel.errors import ConfigError
from ruasr_tel.store.sqlite_file import hold, make_file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "ruasr.db"


@pytest.fixture
def writer(path: Path) -> Iterator[sqlite3.Connection]:
    """Another connection, which writes and knows no write-ahead log."""
    path.parent.mkdir()
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    with closing(connection):
        connection.execute("CREATE TABLE rows (pk INTEGER)")
        connection.execute("BEGIN IMMEDIATE")
        yield connection


def mode(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        [(mode,)] = connection.execute("PRAGMA journal_mode")
    assert isinstance(mode, str)
    return mode


def test_the_file_remembers_its_log(path: Path) -> None:
    make_file(path)
    assert mode(path) == "wal"


def test_another_writer_is_waited_for(path: Path, writer: sqlite3.Connection) -> None:
    timer = threading.Timer(0.2, writer.execute, ("COMMIT",))
    timer.start()
    make_file(path)
    timer.join()
    assert mode(path) == "wal"


def test_another_writer_is_not_waited_for_forever(path: Path, writer: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.OperationalError, match="database is locked"):
        make_file(path, busy_s=0.1)


def test_a_file_is_held_by_one_until_it_lets_go(path: Path) -> None:
    with (
        hold(path),
        pytest.raises(ConfigError, match=f"another server keeps its history in {path}"),
    ):
        hold(path)
    hold(path).close()
    assert not path.exists()
