"""A state folder that is full or read-only: said clearly, nothing lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

WRITE_UNTIL_FULL = """
import sys
from pathlib import Path
from backout.store import SqliteJournal, StoreError
journal = SqliteJournal(Path(sys.argv[1]))
written = 0
try:
    while True:
        journal.append(at=0, actor="anna", type="note", body={"text": "x" * 10_000})
        written += 1
except StoreError as refused:
    print(refused.exit_code, refused.what, refused.next)
assert written > 0
assert len(list(journal.events())) == written
journal.verify()
"""

OPEN = """
import sys
from pathlib import Path
from backout.store import SqliteJournal, StoreError
try:
    SqliteJournal(Path(sys.argv[1]))
except StoreError as refused:
    print(refused.exit_code, refused.what, refused.next)
"""


def in_filesystem(folder: Path, options: str, script: str) -> str:
    """Run the script with a small filesystem on the folder, in a mount namespace that ends with it."""
    folder.mkdir()
    shell = f'mount -t tmpfs -o {options} none "$1" && exec "$2" -c "$3" "$1/backout/journal.db"'
    command = ["unshare", "--mount", "--map-root-user", "sh", "-c", shell, "sh", str(folder), sys.executable, script]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_full_state_folder_is_said_and_loses_nothing_that_was_recorded(tmp_path: Path) -> None:
    """The disk is full on the day of the incident: what was promised as recorded must still be there."""
    said = in_filesystem(tmp_path / "state", "size=600k", WRITE_UNTIL_FULL)
    assert said.startswith(f"1 The journal {tmp_path}/state/backout/journal.db cannot be used:")
    assert "Make room on that filesystem" in said


def test_a_read_only_state_folder_is_said(tmp_path: Path) -> None:
    """After a disk error Linux remounts read-only; a traceback helps nobody then."""
    said = in_filesystem(tmp_path / "state", "ro", OPEN)
    assert said.startswith(f"1 The journal {tmp_path}/state/backout/journal.db cannot be used: Read-only file system.")
    assert "XDG_STATE_HOME" in said
