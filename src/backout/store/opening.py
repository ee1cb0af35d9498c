"""Opening the SQLite journal: where it is, who may read it, and bringing its tables up to date."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from backout import __version__
from backout.errors import NotPossibleError
from backout.host.alone import alone_in

_MIGRATIONS = Path(__file__).parent / "migrations" / "sqlite"
WAITS_S = 30.0
"""How long a process waits for another that writes."""


def journal_path(environ: Mapping[str, str]) -> Path:
    """Give the user's journal: `backout/journal.db` in the state folder of the XDG Base Directory Specification.

    As that says, an XDG_STATE_HOME that is not absolute is ignored.
    """
    state = environ.get("XDG_STATE_HOME", "")
    home = Path(state) if state.startswith("/") else Path(environ.get("HOME") or Path.home()) / ".local" / "state"
    return home / "backout" / "journal.db"


def connect(path: Path, waits_s: float = WAITS_S) -> sqlite3.Connection:
    """Open the journal, made where there is none, readable by its owner only, with its tables up to date."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        # Only ever a new file: closing another descriptor of an open database would drop this process's locks on it
        # (https://sqlite.org/howtocorrupt.html, 2.2).
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    database = sqlite3.connect(path, timeout=waits_s, isolation_level=None)
    try:
        database.execute("PRAGMA synchronous = FULL")
        _migrate(database, path)
    except BaseException:
        database.close()
        raise
    return database


def connect_to_read(path: Path) -> sqlite3.Connection:
    """Open a journal that lies still, where a full or a read-only disk has no room for the files that belong to it.

    What has not been put from its log (WAL) into the file would not be seen: then it is an OSError.
    """
    with suppress(FileNotFoundError):
        if os.stat(f"{path}-wal").st_size:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None)


def _migrate(database: sqlite3.Connection, path: Path) -> None:
    files = sorted(path for path in _MIGRATIONS.iterdir() if path.suffix == ".sql")
    latest = len(files)
    if _version(database) < latest:
        # Turning WAL on does not wait for others, whatever the busy timeout: one process at a time.
        with alone_in(path.parent):
            database.execute("PRAGMA journal_mode = WAL")
            _apply(database, files)
    if _version(database) > latest:
        told = database.execute("SELECT release FROM migration ORDER BY number DESC LIMIT 1").fetchone()
        release = told[0] if told else "of a newer release"
        raise NotPossibleError(
            f"The journal {path} was written by backout {release}, which is newer than this one ({__version__}).",
            next=f"Install backout {release} or newer.",
        )


def _apply(database: sqlite3.Connection, files: list[Path]) -> None:
    """Apply the migrations that are missing, all or none."""
    database.execute("BEGIN IMMEDIATE")
    try:
        for number, file in enumerate(files[_version(database) :], start=_version(database) + 1):
            for statement in _statements(file.read_text(encoding="utf-8")):
                database.execute(statement)
            database.execute("INSERT INTO migration (number, release) VALUES (?, ?)", (number, __version__))
        database.execute(f"PRAGMA user_version = {len(files)}")
        database.execute("COMMIT")
    except BaseException:
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


def _statements(script: str) -> Iterator[str]:
    """Cut a script into statements; `executescript` would commit between them."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _version(database: sqlite3.Connection) -> int:
    (version,) = database.execute("PRAGMA user_version").fetchone()
    return int(version)
