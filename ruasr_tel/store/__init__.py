"""History of calls and recordings: SQLAlchemy 2, SQLite by default, PostgreSQL by URL.

A name is imported when it is first asked for: SQLAlchemy takes half of the time in which a command
starts and most commands need no more of this room than its section of the configuration.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ruasr_tel.store.config import StoreConfig, state_dir
    from ruasr_tel.store.history import HistorySink
    from ruasr_tel.store.retention import keep_purging
    from ruasr_tel.store.store import Store
    from ruasr_tel.store.values import CallHistory, CallRow, Delivery, LegRow, Page, Purged

__all__ = [
    "CallHistory",
    "CallRow",
    "Delivery",
    "HistorySink",
    "LegRow",
    "Page",
    "Purged",
    "Store",
    "StoreConfig",
    "keep_purging",
    "state_dir",
]

_MODULES = {
    "HistorySink": "history",
    "Store": "store",
    "StoreConfig": "config",
    "keep_purging": "retention",
    "state_dir": "config",
}
"""Where the names are that are not in `values`."""


def __getattr__(name: str) -> Any:
    """Import a public name (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'values')}"), name)
