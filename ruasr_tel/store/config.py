"""Where history lies and how long it is kept."""

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import Field, SecretStr

from ruasr_tel.section import Section

FILE_NAME = "ruasr.db"
"""The SQLite file in the state folder."""


Days: TypeAlias = Annotated[int, Field(ge=1, le=36_500)]


class StoreConfig(Section):
    """History of calls and recordings."""

    enabled: bool = True
    """Whether to keep history; recordings need it."""
    url: SecretStr | None = None
    """`sqlite:///FILE` or `postgresql://USER:PASSWORD@HOST/NAME`; null is a file `ruasr.db` in the
    state folder: systemd's `STATE_DIRECTORY`, else `~/.local/state/ruasr_tel`."""
    keep_days: Days | None = 90
    """Days after its end for which a call or recording is kept; null keeps it for ever."""
    keep_days_by_profile: dict[str, Days | None] = Field(default_factory=dict)
    """Other days for the calls and recordings of a profile."""
    purge_every_h: float = Field(1.0, gt=0, le=168)
    """Hours between two purges by the server."""

    def address(self) -> str:
        """Return the database's URL, with the password if it has one: not for the log."""
        if self.url is not None:
            return self.url.get_secret_value()
        path = (state_dir() / FILE_NAME).absolute()
        return sqlite_url(path)

    def keep(self, profile: str) -> timedelta | None:
        """Return how long calls and recordings of a profile are kept, None for ever."""
        days = self.keep_days_by_profile.get(profile, self.keep_days)
        return None if days is None else timedelta(days=days)


def sqlite_url(path: Path) -> str:
    """Return the URL of a SQLite file."""
    from sqlalchemy.engine import URL  # takes a third of a command's start; few ask for a URL

    return URL.create("sqlite", database=str(path)).render_as_string(hide_password=False)


def state_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the folder for what must outlive a restart.

    systemd names it in STATE_DIRECTORY, the first of a list with colons (systemd.exec(5));
    elsewhere it is below XDG_STATE_HOME (XDG Base Directory Specification 0.8).
    """
    given = environ.get("STATE_DIRECTORY", "").split(":")[0]
    if given:
        return Path(given)
    home = environ.get("XDG_STATE_HOME", "")
    below = Path(home) if Path(home).is_absolute() else Path.home() / ".local" / "state"
    return below / "ruasr_tel"
