"""The store, whole."""

from ruasr_tel.store.calls import CallsStore
from ruasr_tel.store.deliveries import DeliveriesStore
from ruasr_tel.store.recordings import RecordingsStore
from ruasr_tel.store.retention import RetentionStore


class Store(CallsStore, RecordingsStore, DeliveriesStore, RetentionStore):
    """History of calls, recordings and deliveries in one database; `open` it before use.

    Safe for any number of concurrent tasks of one event loop, and of several servers on one
    PostgreSQL. Every method is one transaction; where the database fails it, SQLAlchemyError or
    OSError comes out and nothing has changed.
    """
