"""History of calls and recordings: SQLAlchemy 2, SQLite by default, PostgreSQL by URL."""

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
