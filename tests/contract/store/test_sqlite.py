"""What only the journal in a file can do, or suffer."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from backout import __version__
from backout.errors import NotPossibleError
from backout.store import CorruptStoreError, SqliteJournal, StoreError, journal_path


def note(journal: SqliteJournal, text: str) -> None:
    """Record a note."""
    journal.append(at=0, actor="anna", type="note", body={"text": text})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal with a thousand words in it, closed."""
    path = tmp_path / "state" / "backout" / "journal.db"
    with SqliteJournal(path) as journal:
        for number in range(100):
            note(journal, f"note {number} " * 10)
    return path


def test_nobody_else_can_read_the_journal(tmp_path: Path) -> None:
    """Commands and reasons are other people's business, and secrets slip through every net."""
    path = tmp_path / "state" / "backout" / "journal.db"
    with SqliteJournal(path) as journal:
        note(journal, "secret")
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert modes == {"journal.db": 0o600, "journal.db-wal": 0o600, "journal.db-shm": 0o600}
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_write_is_on_disk_when_the_call_returns(path: Path) -> None:
    """A power cut after "done" must not undo the record."""
    with SqliteJournal(path) as journal:
        assert journal._database.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        assert journal._database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize("statement", ["UPDATE event SET body = '{}'", "DELETE FROM event"])
def test_the_database_itself_refuses_to_change_the_record(path: Path, statement: str) -> None:
    """Law 6, for whoever opens the file with another tool."""
    database = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError, match="the record only grows"):
        database.execute(statement)
    database.close()


def test_an_event_that_was_changed_all_the_same_is_named(path: Path) -> None:
    """Law 6: the chain shows what the triggers could not keep from happening."""
    database = sqlite3.connect(path)
    database.execute("DROP TRIGGER event_stays")
    database.execute("UPDATE event SET actor = 'somebody' WHERE seq = 7")
    database.commit()
    database.close()
    with SqliteJournal(path) as journal, pytest.raises(CorruptStoreError, match="event 8 does not follow"):
        journal.verify()


@pytest.mark.parametrize("damage", ["header", "pages", "cut"])
def test_a_damaged_file_is_named_with_what_is_safe_and_the_way_on(path: Path, damage: str) -> None:
    """The person who reads this has a site that is down: the ledgers are safe, and one command goes on."""
    bits = path.read_bytes()
    damaged = {
        "header": b"not a database" + bits[14:],
        "pages": bits[:4096] + b"\xa5" * (len(bits) - 4096),
        "cut": bits[: len(bits) // 2],
    }[damage]
    path.write_bytes(damaged)
    with pytest.raises(CorruptStoreError) as refused:  # noqa: SIM117 - where it shows depends on the damage
        with SqliteJournal(path) as journal:
            journal.verify()
    assert refused.value.exit_code == 5
    assert str(path) in refused.value.what
    assert "stands in their ledgers" in refused.value.state
    subprocess.run(["sh", "-c", refused.value.next.removeprefix("Move it away: ").partition(" - ")[0]], check=True)
    with SqliteJournal(path) as journal:
        note(journal, "a new beginning")
        journal.verify()


def test_a_journal_of_a_newer_release_names_the_release_that_is_needed(path: Path) -> None:
    """Reading half of a format that we do not know would be guessing."""
    database = sqlite3.connect(path)
    database.execute("INSERT INTO migration VALUES (9, '4.2.0')")
    database.execute("PRAGMA user_version = 9")
    database.commit()
    database.close()
    with pytest.raises(
        NotPossibleError, match=f"written by backout 4.2.0, which is newer than this one .{__version__}"
    ):
        SqliteJournal(path)


FIRST_START = """
import sys
from pathlib import Path
from backout.store import SqliteJournal
sys.stdin.read()
for number in range(10):
    SqliteJournal(Path(sys.argv[1]) / str(number) / "journal.db").close()
"""


def test_many_first_starts_at_once_make_one_journal(tmp_path: Path) -> None:
    """A fleet's first morning: cron starts everything at the same second."""
    waiting, signal = os.pipe()
    starts = [subprocess.Popen([sys.executable, "-c", FIRST_START, tmp_path], stdin=waiting) for _ in range(8)]
    os.close(waiting)
    os.close(signal)
    assert [start.wait() for start in starts] == [0] * 8
    for path in tmp_path.glob("*/journal.db"):
        database = sqlite3.connect(path)
        assert database.execute("SELECT number, release FROM migration").fetchall() == [
            (number, __version__) for number in (1, 2, 3)
        ]
        database.close()


def test_a_file_where_the_folder_should_be_is_a_clear_error(tmp_path: Path) -> None:
    """A wrong XDG_STATE_HOME ends in a sentence."""
    (tmp_path / "backout").write_text("")
    with pytest.raises(StoreError, match="cannot be used") as refused:
        SqliteJournal(tmp_path / "backout" / "journal.db")
    assert "XDG_STATE_HOME" in refused.value.next


@pytest.mark.parametrize(
    ("environ", "path"),
    [
        ({"XDG_STATE_HOME": "/var/state", "HOME": "/home/anna"}, "/var/state/backout/journal.db"),
        ({"HOME": "/home/anna"}, "/home/anna/.local/state/backout/journal.db"),
        ({"XDG_STATE_HOME": "relative", "HOME": "/home/anna"}, "/home/anna/.local/state/backout/journal.db"),
    ],
)
def test_the_journal_is_in_the_users_state_folder(environ: dict[str, str], path: str) -> None:
    """Where people and backup tools expect it (XDG Base Directory Specification)."""
    assert str(journal_path(environ)) == path
