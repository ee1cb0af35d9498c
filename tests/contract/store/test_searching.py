"""What every journal promises of a search over a log, and of what lies beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from backout.store import Journal, searching
from backout.store.folders import LARGEST_BYTES, MOST_FILES, notes
from backout.store.journal import Event

LOG = (
    "2026-11-28 19:00:01 [INFO] booting worker with pid 77, all is well so far, says the shop\n"
    "Traceback (most recent call last):\n"
    '  File "/home/anna/other.py", line 77, in <module>\n'
    "    import pkg_resources\n"
    "ModuleNotFoundError: No module named 'pkg_resources'\n"
    "2026-11-28 19:00:02 [INFO] worker ended, and nobody has ever said antidisestablishmentarianism about it\n"
)


def postmortem(journal: Journal, title: str, text: str) -> None:
    """Record something that has a title."""
    journal.append(at=0, actor="anna", type="postmortem", body={"title": title, "text": text})


def titles(journal: Journal, text: str, beside: tuple[Event, ...] = ()) -> list[str]:
    """What is found, best first."""
    return [hit.event.body["title"] for hit in journal.search(text, beside=beside).hits]


def file(title: str, text: str) -> Event:
    """A note in a folder."""
    return Event(0, "", 0.0, 0.0, "", "file", {"path": f"/notes/{title}.md", "title": title, "text": text})


def test_a_pasted_log_finds_what_shares_what_broke_though_nothing_shares_all_its_words(journal: Journal) -> None:
    """Paths, numbers and times are others each time; the module is the same."""
    postmortem(journal, "disk full", "the shop was down, the worker ended, all is well so far")
    postmortem(journal, "pip took setuptools away", "ModuleNotFoundError: No module named 'pkg_resources'\n  at boot")
    found = journal.search(LOG)
    assert found.hits[0].event.body["title"] == "pip took setuptools away"
    assert found.hits[0].excerpt == "ModuleNotFoundError: No module named 'pkg_resources'"
    assert found.did_you_mean is None


def test_a_few_words_that_nothing_holds_together_find_what_holds_most_of_them(journal: Journal) -> None:
    """One word too many must not hide the answer; the one that was misspelt is offered."""
    postmortem(journal, "gunicorn timeout", "raised to 60 seconds")
    postmortem(journal, "disk", "full")
    assert titles(journal, "gunicorn timeout yesterday evening") == ["gunicorn timeout"]
    assert journal.search("gunicron timeout").did_you_mean == "gunicorn timeout"


def test_what_holds_all_words_is_found_alone(journal: Journal) -> None:
    """Somebody who adds a word wants fewer answers."""
    postmortem(journal, "gunicorn timeout", "raised")
    postmortem(journal, "gunicorn memory", "leaked")
    assert titles(journal, "gunicorn memory") == ["gunicorn memory"]
    assert titles(journal, "gunicorn mem") == ["gunicorn memory"]


def test_of_what_is_everywhere_the_newest_is_judged_alone(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    """A word of 200,000 entries tells nothing, and judging each of them takes a second."""
    monkeypatch.setattr(searching, "_EVERYWHERE", 4)
    monkeypatch.setattr(searching, "_FETCHED", 2)
    for number in range(5):
        postmortem(journal, f"{number}", "gunicorn" + " and so on" * number)
    assert set(titles(journal, "gunicorn")) == {"3", "4"}
    postmortem(journal, "rare", "flask")
    assert titles(journal, "gunicorn flask and some more that nobody wrote")[0] == "rare"


def test_what_lies_beside_is_ranked_along_and_forgotten_afterwards(journal: Journal) -> None:
    """Notes in folders are read anew each time; the record holds none of them."""
    postmortem(journal, "disk", "full")
    beside = (file("vacuum", "if the disk is full: journalctl --vacuum-size"), file("printer", "is offline"))
    assert titles(journal, "disk full", beside) == ["disk", "vacuum"]
    assert titles(journal, "vacuum", beside) == ["vacuum"]
    assert journal.search("vacum", beside=beside).did_you_mean == "vacuum"
    assert titles(journal, "printer", beside[:1]) == titles(journal, "vacuum") == []
    assert titles(journal, LOG, (file("boot", "No module named pkg_resources"),)) == ["boot"]
    journal.verify()


def test_events_are_told_apart_by_what_they_hold(journal: Journal) -> None:
    """An incident among two hundred thousand entries is read without the others."""
    for incident in ("i1", "i2", "i1"):
        journal.append(at=0, actor="anna", type="entry", body={"incident": incident, "text": "%_"})
    assert [event.seq for event in journal.events(type="entry", holding="i1")] == [1, 3]
    assert [event.seq for event in journal.events(holding="%_")] == [1, 2, 3]
    assert list(journal.events(type="note", holding="i1")) == []


def test_notes_are_read_from_folders_and_what_is_not_is_said(tmp_path: Path) -> None:
    """A runbook that is silently left out is believed not to exist."""
    (tmp_path / "below").mkdir()
    (tmp_path / ".git").mkdir()
    for name, text in (
        *(("a.md", "intro\n# Disk full\nvacuum"), ("below/b.TXT", "no head"), ("c.py", "x"), (".d.md", "x")),
        *((".git/e.md", "x"), ("big.md", "x" * (LARGEST_BYTES + 1)), ("odd.md", "\udce9")),
    ):
        (tmp_path / name).write_bytes(text.encode(errors="surrogateescape"))
    (tmp_path / "link.md").symlink_to(tmp_path / "a.md")
    (tmp_path / "folder.md").mkdir()
    found, limits = notes([str(tmp_path), str(tmp_path / "gone")])
    assert [event.body["title"] for event in found] == ["Disk full", "Disk full", "odd.md", "b.TXT"]
    assert [event.body["text"] for event in found[1:]] == ["intro\n# Disk full\nvacuum", "\ufffd", "no head"]
    assert len(limits) == 2
    assert "big.md is larger than 256 KiB and was not searched." in limits[0]
    assert "gone could not be read: No such file or directory." in limits[1]


def test_no_more_notes_are_read_than_a_search_can_wait_for(tmp_path: Path) -> None:
    """A folder that was named by mistake, such as a home, must not hold up a search."""
    for number in range(MOST_FILES + 1):
        (tmp_path / f"{number}.md").touch()
    found, limits = notes([str(tmp_path)])
    assert len(found) == MOST_FILES
    assert limits[0].startswith(f"Not all notes were searched: {MOST_FILES} files are")
