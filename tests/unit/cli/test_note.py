"""A note is kept whatever else is wrong, on the timeline of the incident that is meant."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from backout.cli import run
from backout.flow import incidents
from backout.model.incident import Incident
from backout.store.sqlite import SqliteJournal
from kit.cli import validate

Note = Callable[..., tuple[int, str, str]]


class Desk:
    """A working folder and a journal of its own, and the command line in this process."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.journal = folder / "state" / "backout" / "journal.db"
        self._capture = capture

    def __call__(self, *words: str) -> tuple[int, str, str]:
        """Run `backout note` with words; gives the exit code, and what was said on stdout and stderr."""
        code = run(["note", *words])
        said = self._capture.readouterr()
        return code, said.out, said.err

    def declare(self, environment: str = "production", name: str = "1") -> str:
        """Open an incident, three minutes ago."""
        import time

        with SqliteJournal(self.journal) as journal:
            return incidents.declare(journal, "ada", lambda: name, environment, at=time.time() - 200)

    def incident(self, name: str = "i1") -> Incident:
        """Read an incident."""
        with SqliteJournal(self.journal) as journal:
            return incidents.read(journal)[name]

    def bodies(self) -> list[dict[str, Any]]:
        """Read every entry of the journal."""
        with SqliteJournal(self.journal) as journal:
            return [event.body for event in journal.events(type="entry")]


@pytest.fixture
def note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Desk:
    """Sit down at a desk where nothing was noted yet, and nothing is piped in."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    return Desk(tmp_path, capsys)


def test_a_note_goes_to_the_open_incident_and_one_line_says_where(note: Desk) -> None:
    """Its number, the incident, its clock."""
    note.declare()
    assert note("web1", "is", "down,", "password=hunter2") == (0, "2  i1 production, 3 min\n", "")
    assert [entry.text for entry in note.incident().entries] == ["web1 is down, password=••••"]


def test_without_an_incident_it_is_kept_by_itself_and_said_so(note: Desk) -> None:
    """It can be found all the same."""
    assert note("all is well") == (0, "1  by itself: no incident is open\n", "")
    assert note.bodies()[0]["incident"] == ""


def test_with_e_the_incident_of_that_environment_is_meant(note: Desk) -> None:
    """Two may be open."""
    note.declare("staging", "1")
    note.declare("production", "2")
    assert note("-e", "staging", "x")[1] == "3  i1 staging, 3 min\n"
    assert note("x", "--incident", "2")[1] == "4  i2 production, 3 min\n"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("-e", "prodcution", "x"), "There is no environment prodcution."),
        (("--incident", "nine", "x"), "No incident is named 'nine'"),
        (("--config", "/nowhere/backout.toml", "x"), "/nowhere/backout.toml"),
        (("--at", "teatime", "x"), "taken as text: --at (it needs a time such as 14:03"),
        (("--clock", "lunch", "x"), "taken as text: --clock (it needs one of impact_started"),
        (("--severity", "9", "x"), "taken as text: --severity (it needs 1, 2 or 3)"),
        (("--correct", "77", "x"), "77 is no entry of a timeline."),
        (("--foo", "x"), "taken as text: --foo"),
        (("ruled out: x",), "No open hypothesis fits; it is kept as a note. None is open."),
    ],
)
def test_what_is_wrong_is_complained_about_and_the_note_is_kept(
    note: Desk, words: tuple[str, ...], complaint: str
) -> None:
    """No flag, typo or missing configuration keeps a note from being taken, in the incident that is open."""
    note.declare()
    code, said, complaints = note(*words)
    assert (code, said) == (0, "2  i1 production, 3 min\n")
    assert complaint in complaints
    (entry,) = note.incident().of_kind("note")
    assert entry.text.endswith("x")


def test_a_broken_configuration_is_named_where_it_was_needed(note: Desk, tmp_path: Path) -> None:
    """Which environments there are could not be read from it."""
    (tmp_path / "backout.toml").write_text("[[[")
    assert "backout.toml" in note("-e", "production", "x")[2]
    assert note.bodies()[0]["text"] == "x"


def test_an_environment_that_is_configured_and_has_no_incident_is_no_reason_to_take_another_s(
    note: Desk, tmp_path: Path
) -> None:
    """Whoever says staging does not mean production."""
    note.declare()
    (tmp_path / "backout.toml").write_text('[environments.staging]\nhosts = ["local"]\n')
    assert note("-e", "staging", "x") == (0, "2  by itself: no incident is open\n", "")


def test_a_hypothesis_is_opened_moved_and_a_decision_taken(note: Desk) -> None:
    """What was ruled out must not be tried again."""
    note.declare()
    for words in ("think: the disk is full", "think: dns is down", "ruled out: disk", "decided: restart the resolver"):
        assert note(words)[2] == ""
    assert note.incident().thoughts() == {2: "ruled out", 3: "open"}
    assert note("confirmed:", "--of", "3")[2] == ""
    assert note.incident().thoughts() == {2: "ruled out", 3: "confirmed"}
    assert [entry.text for entry in note.incident().of_kind("decision")] == ["restart the resolver"]
    assert note.incident().of_kind("hypothesis")[-1].text == "dns is down"


def test_an_entry_is_corrected_pinned_and_unpinned_by_its_number(note: Desk) -> None:
    """The first text stays readable; an entry of an earlier incident is corrected there."""
    note.declare()
    note("web1 is down")
    note("--correct", "2", "web2", "is", "down")
    note("--pin", "2")
    (entry,) = note.incident().of_kind("note")
    assert (entry.text, entry.corrected, entry.pinned) == ("web2 is down", ("web1 is down",), True)
    note("--unpin", "2")
    assert not note.incident().of_kind("note")[0].pinned


def test_clocks_and_severity_are_set(note: Desk) -> None:
    """Each may be set later; when it was declared may be corrected, and the line shows it."""
    note.declare()
    note("--clock", "mitigated", "--severity", "2", "it runs again")
    assert note("--clock", "declared=10m", "ago")[1].endswith("production, 10 min\n")
    told = note.incident()
    assert (told.severity, told.clock("mitigated") is not None, len(told.clocks["declared"])) == (2, True, 2)
    assert [entry.text for entry in told.of_kind("note")] == ["it runs again"]


def test_what_happened_earlier_stands_where_it_happened_and_the_line_says_when(
    note: Desk, in_zone: Callable[[str], None]
) -> None:
    """A time is read in the zone of who writes it, and one that was there twice is told."""
    note.declare()
    in_zone("Europe/Berlin")
    code, said, complaints = note("--at", "2026-10-25", "02:30", "+01:00", "the first alarm")
    assert (code, complaints) == (0, "")
    assert said.startswith("2  i1 production, 3 min, at 2026-10-25")
    assert note.incident().entries[0].at == 1792891800


def test_text_may_be_piped_in_and_an_empty_note_is_wrong_usage(note: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log is a note, too; nothing is none."""
    assert note()[0] == note(" ")[0] == 2
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"Traceback\n\xff\n")))
    assert note()[0] == 0
    assert note.bodies()[0]["text"] == "Traceback\n\udcff"


def test_with_json_one_document_says_what_was_noted(note: Desk) -> None:
    """A program that writes notes needs their numbers."""
    note.declare()
    document = json.loads(note("--json", "--foo", "x")[1])
    validate(document)
    assert (document["incident"], document["minutes"], document["entries"][0]["number"]) == ("i1", 3, 2)
    assert document["complaints"] == ["taken as text: --foo"]


def test_a_time_that_is_still_to_come_is_said(note: Desk) -> None:
    """A slip in the year would put the line where nobody looks."""
    note.declare()
    assert note("--at", "2126-11-28", "14:03", "x")[2] == "backout note: 2126-11-28 14:03 is still to come.\n"
    assert note.incident().of_kind("note")[0].text == "x"


def test_a_note_is_kept_where_nobody_can_read_that_it_was(note: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The terminal may be gone, or the file that it is written to on a full disk."""
    codes: list[int] = []
    with suppress(OSError), open("/dev/full", "w") as full, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", full)
        codes.append(run(["note", "x"]))
    assert (codes, note.bodies()[0]["text"]) == ([0], "x")
