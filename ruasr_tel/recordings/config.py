"""How recordings are worked off."""

from pathlib import Path

from pydantic import Field, SecretStr

from ruasr_tel.recordings.recognise import RecogniseConfig
from ruasr_tel.store.config import sqlite_url, state_dir

DATABASE_NAME = "jobs.db"
"""The SQLite file of the queues."""


class RecordingsConfig(RecogniseConfig):
    """Recordings as durable jobs; they need the store."""

    enabled: bool = True
    """Whether to take recordings."""
    dir: Path | None = None
    """Folder of uploads, fetched files and the queues; null is `recordings` in the state folder."""
    database: SecretStr | None = None
    """`postgresql://USER:PASSWORD@HOST/NAME` of the queues, where several servers share them; they
    then need one `dir`, too. Null is a file `jobs.db` in `dir`."""
    machine: str | None = None
    """This server among those that share the database, the same after a restart; null is the
    host's name and `dir`."""
    concurrency: int = Field(2, ge=1, le=1000)
    """Recordings recognised at once: one is decoded while the engine works on the other."""
    fetches: int = Field(16, ge=1, le=1000)
    """Recordings by URL worked on at once, most of them being fetched; of one host no more than
    `concurrency`, so that a slow one holds up itself. Uploads have their own turn."""
    per_minute: int | None = Field(None, ge=1, le=100_000)
    """Recordings that may begin in any minute, tries again included, uploads and those by URL
    counted apart; null is no limit."""
    max_waiting: int = Field(10_000, ge=1, le=1_000_000)
    """Recordings that wait or run; more are refused."""
    fetch_attempts: int = Field(5, ge=1, le=100)
    """Tries to fetch a recording; they are 10 s, 30 s, 90 s, … apart, at most an hour."""
    recognise_attempts: int = Field(3, ge=1, le=100)
    """Tries to recognise one while the engine answers nothing or the file ends its decoder."""
    deliveries: int = Field(32, ge=1, le=1000)
    """Results being delivered at once."""
    deliveries_per_host: int = Field(4, ge=1, le=1000)
    """Results being delivered at once to one host: one that hangs holds up no other."""
    keep_audio: bool = True
    """Whether the audio is kept as long as the result, for the player of the web console."""

    def folder(self) -> Path:
        """Return `dir`, absolute."""
        return (self.dir or state_dir() / "recordings").absolute()

    def database_url(self) -> str:
        """Return the URL of the queues' database, with the password: not for the log."""
        if self.database is not None:
            return self.database.get_secret_value()
        return sqlite_url(self.folder() / DATABASE_NAME)
