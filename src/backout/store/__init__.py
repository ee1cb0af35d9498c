"""The journal: what people must know, central and append-only. It stores and finds; it never decides.

The authority on what must be undone is each host's ledger; the journal learns from every ledger it meets.
"""

from backout.store.journal import CorruptStoreError, Event, Found, Hit, Journal, StoreError
from backout.store.opening import journal_path
from backout.store.sqlite import SqliteJournal

__all__ = [
    "CorruptStoreError",
    "Event",
    "Found",
    "Hit",
    "Journal",
    "SqliteJournal",
    "StoreError",
    "journal_path",
]
