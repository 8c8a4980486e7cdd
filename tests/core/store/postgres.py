"""A private PostgreSQL server for one test run, from Debian's package."""

import grp
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

USER = "postgres"
"""PostgreSQL refuses to run as root; Debian's package brings this user."""


ROOM_BYTES = 4 << 30
"""What two runs side by side need at most, 7.5 MB for each of 150 databases, with room to spare."""


class PostgresMissing(Exception):
    """Nothing to start; the message says what."""


class Postgres:
    """A running server that listens on a Unix socket only."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self._binaries = binaries
        self._folder = folder

    def new_database(self) -> str:
        """Return the URL of an empty database."""
        name = f"t{uuid4().hex}"
        _run(self._binaries / "createdb", "-h", self._folder, "-U", USER, name)
        return f"postgresql://{USER}@/{name}?host={self._folder}"


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Run a server for as long as the context lasts.

    Raises:
        PostgresMissing: the package or its user is not there.
    """
    binaries = _binaries()
    # A socket's path may have 107 bytes (unix(7)), so not below pytest's deep folder.
    folder = Path(tempfile.mkdtemp(prefix="pg", dir=_in_memory()))
    data = folder / "data"
    try:
        _give_away(folder)
        _run(binaries / "initdb", "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync")
        # Durability off: what a test writes need not outlive it (PostgreSQL docs, 14.5).
        options = f"-k {folder} -c listen_addresses= -c fsync=off -c full_page_writes=off"
        _run(binaries / "pg_ctl", "start", "-w", "-D", data, "-l", folder / "log", "-o", options)
        try:
            yield Postgres(binaries, folder)
        finally:  # by the pid in data/postmaster.pid
            _run(binaries / "pg_ctl", "stop", "-D", data, "-m", "immediate")
    finally:
        shutil.rmtree(folder)


def _in_memory() -> str | None:
    """Return a folder in memory, or None.

    Each database has 300 files, and to remove all of a run took up to 52 s on a busy disk (our
    measurement).
    """
    shared = Path("/dev/shm")
    roomy = shared.is_dir() and shutil.disk_usage(shared).free > ROOM_BYTES
    return str(shared) if roomy and os.access(shared, os.W_OK) else None


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not found:
        raise PostgresMissing("PostgreSQL is not installed (apt-get install postgresql)")
    try:
        pwd.getpwnam(USER)
    except KeyError:
        raise PostgresMissing(f"PostgreSQL's user {USER} does not exist") from None
    return found[-1].parent


def _give_away(folder: Path) -> None:
    if os.geteuid() == 0:
        shutil.chown(folder, USER, grp.getgrgid(pwd.getpwnam(USER).pw_gid).gr_name)


def _run(program: Path, *args: str | Path) -> None:
    as_user = ["runuser", "-u", USER, "--"] if os.geteuid() == 0 else []
    subprocess.run(
        [*as_user, program, *args],
        check=True,
        stdout=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        cwd="/",
    )
