"""What SQLite's errors mean to a person: which file, what is still safe, how to go on."""

from __future__ import annotations

import shlex
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backout.store.journal import CorruptStoreError, StoreError

_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_PRIMARY = 0xFF  # the low byte of an extended result code: https://sqlite.org/rescode.html
_SAFE = "The hosts were not touched by this: what must be undone stands in their ledgers."
_WAYS_ON = {
    sqlite3.SQLITE_FULL: "Make room on that filesystem, then start again.",
    sqlite3.SQLITE_IOERR: "That disk is full or broken: look with df -h, mend it, then start again.",
    sqlite3.SQLITE_READONLY: "Make the file and its folder writable, or set XDG_STATE_HOME to a folder that is.",
    sqlite3.SQLITE_CANTOPEN: "Make the file and its folder writable, or set XDG_STATE_HOME to a folder that is.",
    sqlite3.SQLITE_PERM: "Make the file and its folder writable, or set XDG_STATE_HOME to a folder that is.",
    sqlite3.SQLITE_BUSY: "Another backout is writing to it and has not finished; wait for it, then start again.",
}


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the database or the filesystem says into a StoreError that names the file."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & _PRIMARY
        if code in _DAMAGED:
            raise damaged(path, str(error)) from error
        raise StoreError(f"The journal {path} cannot be used: {error}.", _SAFE, _WAYS_ON.get(code, "")) from error
    except OSError as error:
        way_on = _WAYS_ON[sqlite3.SQLITE_CANTOPEN]
        raise StoreError(f"The journal {path} cannot be used: {error.strerror}.", _SAFE, way_on) from error


def damaged(path: Path, problem: str) -> CorruptStoreError:
    """Make the error for a journal whose contents are not what was written."""
    aside = shlex.quote(str(path.parent / "damaged"))
    return CorruptStoreError(
        f"The journal {path} is damaged: {problem}.",
        f"{_SAFE} Every change can still be taken back.",
        f"Move it away: mkdir -p {aside} && mv {shlex.quote(str(path))}* {aside}/ - the next command starts a new one "
        "and fills it from the ledgers.",
    )
