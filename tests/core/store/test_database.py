"""Databases that cannot be used end in a sentence, and none of them tells a secret."""

import sqlite3
import stat
import sys
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import IntegrityError, OperationalError

from ruasr_tel.errors import ConfigError, StoreError
from ruasr_tel.recordings.model import State
from ruasr_tel.store import Store, StoreConfig
from ruasr_tel.store.database import cause
from tests.core.store.samples import START, order


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        (
            "postgresql:/ruasr:s3cr3t@db",
            "store.url is no database URL; write sqlite:///FILE or postgresql://USER@HOST/NAME",
        ),
        (
            "mysql://ruasr:s3cr3t@db/history",
            "store.url names mysql, but only sqlite and postgresql are supported",
        ),
        ("sqlite://", "store.url names no file; write sqlite:///FILE"),
        ("sqlite:///:memory:", "store.url names no file; write sqlite:///FILE"),
    ],
)
def test_a_url_that_cannot_be_used_is_told_without_its_password(url: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Store(url)
    assert str(caught.value) == sentence


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+asyncpg"])
async def test_all_names_of_postgresql_are_known(scheme: str) -> None:
    store = Store(f"{scheme}://ruasr:s3cr3t@db/history")
    assert store.shown_url == "postgresql+asyncpg://ruasr:***@db/history"
    await store.close()


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(ConfigError, match=r"pip install 'ruasr-tel\[postgresql\]'$"):
        Store("postgresql://db/history")


async def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    store = Store(f"postgresql://ruasr:s3cr3t@/history?host={tmp_path}")
    with pytest.raises(StoreError) as caught:
        await store.open()
    assert "s3cr3t" not in str(caught.value)
    assert str(caught.value).startswith(f"the database {store.shown_url} cannot be opened: ")
    assert str(caught.value).endswith("; check store.url and that this user may write there")


async def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "ruasr.db"
    path.write_text("not a database at all " * 10)
    with pytest.raises(StoreError, match="cannot be opened: file is not a database; check"):
        await Store(f"sqlite:///{path}").open()


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="File exists"):
        await Store(f"sqlite:///{tmp_path}/file/ruasr.db").open()


async def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "ruasr.db"
    store = Store(f"sqlite:///{path}")
    await store.open()
    await store.add_recording("a", order(), START)
    rights = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    await store.close()
    assert rights == dict.fromkeys(["ruasr.db", "ruasr.db-wal", "ruasr.db-shm"], 0o600)


async def test_sqlite_reads_while_somebody_writes(tmp_path: Path) -> None:
    path = tmp_path / "ruasr.db"
    store = Store(f"sqlite:///{path}", busy_s=0.01)
    await store.open()
    await store.add_recording("a", order(), START)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        found = await store.recording("a")
        with pytest.raises(OperationalError, match="database is locked"):
            await store.set_state("a", State.DONE)
        other.execute("ROLLBACK")
    assert found is not None
    assert await store.set_state("a", State.DONE)
    await store.close()


def content(folder: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in folder.iterdir()}


async def test_what_is_deleted_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "ruasr.db"
    store = Store(f"sqlite:///{path}")
    await store.open()
    await store.add_recording("a", order(name="PRIVATE-NAME"), START)
    await store.set_state("a", State.DONE)
    assert b"PRIVATE-NAME" in b"".join(content(tmp_path).values())
    gone = await store.purge(store.now() + timedelta(days=91), StoreConfig())
    assert gone.recordings == ("a",)
    await store.close()  # the last connection brings the log into the file (sqlite.org/wal.html)
    [(name, left)] = content(tmp_path).items()
    assert name == path.name
    assert b"PRIVATE-NAME" not in left


async def test_an_error_of_the_database_repeats_no_values(store: Store) -> None:
    unnamed = order(name=None, callback_secret="s3cr3t")
    with pytest.raises(IntegrityError) as caught:
        await store.add_recording("a", unnamed, START)
    assert "name" in cause(caught.value)
    assert "s3cr3t" not in cause(caught.value)


async def test_an_error_of_sqlite_repeats_no_values_at_all(tmp_path: Path) -> None:
    store = Store(f"sqlite:///{tmp_path}/ruasr.db")
    await store.open()
    with pytest.raises(IntegrityError) as caught:
        await store.add_recording("a", order(name=None, callback_secret="s3cr3t"), START)
    await store.close()
    assert "s3cr3t" not in str(caught.value)


def test_an_error_without_words_is_named() -> None:
    assert cause(TimeoutError()) == "TimeoutError"


async def test_a_probe_tells_whether_the_database_takes_anything(tmp_path: Path) -> None:
    path = tmp_path / "ruasr.db"
    store = Store(f"sqlite:///{path}", busy_s=0.01)
    await store.open()
    await store.probe()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(OperationalError, match="database is locked"):
            await store.probe()
        other.execute("ROLLBACK")
    await store.close()
