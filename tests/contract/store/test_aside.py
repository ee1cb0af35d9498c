"""What the journal cannot take lies aside, and is taken in once: not less, and not twice."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from backout import bootstrap
from backout.errors import BackoutError
from backout.flow import incidents
from backout.flow.do import Ran, record_command
from backout.store import SqliteJournal, StoreError
from backout.store.aside import NUMBERED_FROM, Aside, KeepingJournal
from backout.store.journal import Line

SAMPLE = Path(__file__).parents[2] / "formats" / "aside-1"


class Desk:
    """A journal that can be broken and mended, with a folder beside it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "state" / "backout" / "journal.db"
        self.runtime = folder / "runtime"
        self.runtime.mkdir(mode=0o700)
        self.environ = {"XDG_STATE_HOME": str(folder / "state"), "XDG_RUNTIME_DIR": str(self.runtime)}
        self.aside = Aside(self.path, self.environ)

    def open(self) -> KeepingJournal:
        """Open the journal as an incident does."""
        return bootstrap.keeping_journal(self.environ)

    def damage(self) -> None:
        """Put something else in its place."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            self.path.rename(f"{self.path}.whole")
        self.path.write_text("damaged")

    def mend(self) -> list[str]:
        """Put it back, open it as any command does; gives the texts in it."""
        self.path.unlink()
        if Path(f"{self.path}.whole").exists():
            Path(f"{self.path}.whole").rename(self.path)
        return self.texts()

    def texts(self) -> list[str]:
        """Open it as any command does; gives the texts in it, of which each event has one."""
        journal = bootstrap.journal(self.environ)
        found = [event.body.get("text", event.type) for event in journal.events()]
        journal.verify()
        journal.close()
        return found

    def files(self) -> list[Path]:
        """Give the files that lie aside."""
        return [Path(path) for path in self.aside.paths if os.path.exists(path)]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Sit down at one; nothing of it stays in folders that all share."""
    made = Desk(tmp_path)
    yield made
    for path in made.files():
        path.unlink()


def note(journal: KeepingJournal, text: str) -> int:
    """Note something by itself; gives its number."""
    return incidents.record(journal, "ada", None, "note", text).seq


def test_a_journal_that_is_whole_takes_everything_and_nothing_lies_aside(desk: Desk) -> None:
    """Aside is for when it must be."""
    journal = desk.open()
    assert note(journal, "one") == 1
    assert (journal.complaints, desk.files(), desk.texts()) == ([], [], ["one"])


def test_what_a_damaged_journal_cannot_take_is_read_from_aside_and_taken_in_later(desk: Desk) -> None:
    """An incident that is declared then is open for the notes that follow."""
    whole = desk.open()
    note(whole, "before")
    whole.close()
    desk.damage()
    journal = desk.open()
    incident = incidents.declare(journal, "ada", lambda: "1", "production")
    assert "damaged" in journal.complaints[0]
    assert str(desk.files()[0]) in journal.complaints[1]
    again = desk.open()
    assert incidents.current(again) == incident
    assert incidents.record(again, "ada", incident, "note", "x").seq == NUMBERED_FROM + 1
    assert [entry.text for entry in incidents.read(again)[incident].entries] == ["x"]
    assert desk.mend() == ["before", "incident", "x"]
    assert desk.files() == []


def test_what_names_an_entry_that_lies_aside_names_it_still_when_both_are_taken_in(desk: Desk) -> None:
    """Its number is another one by then."""
    desk.damage()
    journal = desk.open()
    incident = incidents.declare(journal, "ada", lambda: "1", "production")
    first = incidents.record(journal, "ada", incident, "hypothesis", "disk", more={"state": "open"}).seq
    moved = {"state": "ruled out", "of": first}
    incidents.record(journal, "ada", incident, "hypothesis", "disk", more=moved)
    assert incidents.read(desk.open())[incident].thoughts() == {first: "ruled out"}
    desk.mend()
    whole = bootstrap.journal(desk.environ)
    assert incidents.read(whole)[incident].thoughts() == {2: "ruled out"}


def test_the_output_of_a_command_goes_aside_with_it(desk: Desk) -> None:
    """What a command said is half of what it is kept for."""
    desk.damage()
    event = record_command(desk.open(), "ada", None, Ran(["x"], "/", "h", 1, 1, 0, b"it said\n"))
    assert desk.open().content(event.body["output"]) == b"it said\n"
    desk.mend()
    assert bootstrap.journal(desk.environ).content(event.body["output"]) == b"it said\n"


def test_a_line_that_is_told_twice_is_taken_in_once(desk: Desk) -> None:
    """Killed after the commit and before the file is gone, the next command finds it once more."""
    desk.damage()
    note(desk.open(), "once")
    (file,) = desk.files()
    shutil.copy(file, f"{file}.copy")
    assert desk.mend() == ["once"]
    os.rename(f"{file}.copy", file)
    assert desk.texts() == ["once"]
    assert desk.files() == []


def test_killed_between_the_commit_and_the_end_of_the_file_nothing_is_lost_or_doubled(desk: Desk) -> None:
    """The same, with a real SIGKILL at that very call."""
    desk.damage()
    note(desk.open(), "once")
    desk.path.unlink()
    killed = "import os, signal; os.unlink = lambda *_: os.kill(os.getpid(), signal.SIGKILL)"
    script = f"{killed}\nfrom backout import bootstrap\nbootstrap.journal()"
    environ = {**os.environ, **desk.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run([sys.executable, "-c", script], env=environ, check=False).returncode == -9
    assert len(desk.files()) == 1
    assert desk.texts() == ["once"]
    assert desk.files() == []


def test_what_a_crash_cut_short_harms_no_other_line_and_stays_beside(desk: Desk) -> None:
    """It was never acknowledged, but it may be all that somebody has."""
    desk.damage()
    note(desk.open(), "one")
    (file,) = desk.files()
    with file.open("ab") as torn:
        torn.write(b'{"format": 1, "id": "x", "te')
    note(desk.open(), "two")
    assert desk.mend() == ["one", "two"]
    (beside,) = file.parent.glob("*.unread")
    assert b'"te' in beside.read_bytes()


def test_it_is_readable_by_nobody_else_and_refuses_what_others_laid_there(desk: Desk, tmp_path: Path) -> None:
    """In a folder that all share anybody can make a file of that name first."""
    first, second, *_ = map(Path, desk.aside.paths)
    desk.damage()
    (tmp_path / "elsewhere").write_text("theirs")
    first.symlink_to(tmp_path / "elsewhere")
    note(desk.open(), "one")
    assert (tmp_path / "elsewhere").read_text() == "theirs"
    assert stat.S_IMODE(second.stat().st_mode) == 0o600
    second.chmod(0o666)
    note(desk.open(), "two")
    assert second.read_text().count("\n") == 1


def test_a_journal_that_another_process_holds_too_long_is_not_waited_for(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody is at the keyboard."""
    note(desk.open(), "before")
    monkeypatch.setattr(bootstrap, "_LOCKED_S", 0.05)
    other = sqlite3.connect(desk.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    journal = desk.open()
    note(journal, "one")
    note(journal, "two")
    assert "Another backout is writing" in journal.complaints[0]
    other.execute("ROLLBACK")
    other.close()
    assert desk.texts() == ["before", "one", "two"]


def test_where_nothing_takes_it_it_is_an_error_that_says_so(tmp_path: Path) -> None:
    """What cannot be kept anywhere must not look as if it were."""

    def broken() -> SqliteJournal:
        raise StoreError("The disk is gone.")

    aside = Aside(tmp_path / "state" / "journal.db", {})
    aside.paths = (str(tmp_path / "nowhere" / "x.aside"),)
    with pytest.raises(BackoutError, match="kept nowhere: No such file") as caught:
        note(KeepingJournal(broken, aside), "x")
    assert "The disk is gone." in caught.value.state


def test_a_file_of_format_1_is_taken_in(desk: Desk) -> None:
    """A note that was taken with an older release is still one."""
    desk.path.parent.mkdir(parents=True)
    shutil.copy(SAMPLE, desk.aside.paths[0])
    os.chmod(desk.aside.paths[0], 0o600)
    assert desk.texts() == ["it lies aside", "so does this"]


def test_a_line_of_a_newer_format_stays_beside(desk: Desk) -> None:
    """An older release must not take it for what it knows."""
    desk.path.parent.mkdir(parents=True)
    desk.aside.keep(Line("a", 1, 1, "ada", "entry", {"incident": "", "kind": "note", "text": "x"}))
    (file,) = desk.files()
    file.write_text(file.read_text().replace('"format": 1', '"format": 2'))
    assert desk.texts() == []
    assert len(list(file.parent.glob("*.unread"))) == 1
