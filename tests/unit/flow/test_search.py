"""What a search tells of what it found, and what is taken in to be found: over a real journal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from backout.errors import UsageError
from backout.flow import incidents
from backout.flow.postmortems import take_in
from backout.flow.search import search, similar, whole
from backout.model.incident import COMMAND, DECISION, HYPOTHESIS, NOTE, RESOLVED
from backout.render.schemas import schema
from backout.render.screen import Screen
from backout.render.search import entry, imported
from backout.render.search import search as drawn
from backout.store import Journal, SqliteJournal
from backout.store.journal import Event

SCREEN = Screen(80, 24)
LEDGER = {
    "format": 1,
    "host": "web1",
    "change": "20261123-170412-kfd",
    "seq": 1,
    "prev": "",
    "kind": "prepared",
    "at": 5,
}


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """An empty journal."""
    with SqliteJournal(tmp_path / "journal.db") as opened:
        yield opened


def found(journal: Journal, text: str, *beside: Event) -> list[dict[str, Any]]:
    """What the document has, which is as published."""
    document, code = search(journal, text, beside=beside)
    jsonschema.validate(document, schema("backout.search/1"))
    assert code == (0 if document["found"] else 3)
    rows: list[dict[str, Any]] = document["found"]
    return rows


def outage(journal: Journal) -> str:
    """An incident from alarm to calm, with a way out that helped and one that did not."""
    name = incidents.declare(
        journal, "anna", lambda: "20261123-170000-abc", "production", "502 after the deploy", at=10
    )
    for kind, text, more in (
        (NOTE, "gunicorn says: No module named pkg_resources", {}),
        (HYPOTHESIS, "the disk is full", {"state": "ruled out"}),
        (HYPOTHESIS, "setuptools was upgraded", {"state": "confirmed"}),
        (COMMAND, "reload", {"command": ["systemctl", "reload", "shop"], "exit_code": 1, "as": "reload"}),
        (COMMAND, "rebuild the virtualenv", {"command": ["make", "venv"], "exit_code": 0, "as": "rebuild"}),
        (DECISION, "pin setuptools below 81", {}),
    ):
        incidents.record(journal, "anna", name, kind, text, more=more, at=20)
    incidents.state(journal, "anna", name, "production", RESOLVED, at=100)
    return name


def test_an_incident_is_told_once_with_what_helped_and_how_to_see_it(journal: Journal) -> None:
    """Four lines of one incident on a screen would push the next incident off it."""
    name = outage(journal)
    (row,) = found(journal, "setuptools")
    assert (row["kind"], row["id"], row["title"]) == ("incident", name, "502 after the deploy")
    assert (row["environment"], row["who"]) == ("production", "anna")
    assert row["helped"] == ["setuptools was upgraded", "rebuild the virtualenv", "pin setuptools below 81"]
    assert row["show"] == f"backout export {name}"


def test_what_a_review_says_is_found_under_its_incident(journal: Journal) -> None:
    """A review that was saved four times is one thing that was learned."""
    name = outage(journal)
    for text in ("## Summary\nresolver\n", "## Summary\nThe resolver took the newest wheel.\n"):
        body = {"incident": name, "state": "draft", "text": text, "base": 0}
        journal.append(at=200, actor="anna", type="review", body=body)
    (row,) = found(journal, "the newest wheel")
    assert (row["kind"], row["id"], row["title"]) == ("incident", name, "502 after the deploy")
    assert row["show"] == f"backout review --print --incident {name}"


def test_what_panic_is_told_are_earlier_incidents_and_not_the_one_that_goes_on(journal: Journal) -> None:
    """Its own words look most like it."""
    name = outage(journal)
    now = incidents.declare(
        journal, "ben", lambda: "20261128-190000-xyz", "production", "No module named pkg_resources"
    )
    incidents.record(journal, "ben", None, NOTE, "pkg_resources is a module of setuptools")
    assert [one.id for one in similar(journal, "No module named pkg_resources", but=now)] == [name]
    assert [one.id for one in similar(journal, "No module named pkg_resources")] == [now, name]
    assert similar(journal, "the printer", but=now) == ()


def test_changes_notes_and_files_are_told_by_what_they_are(journal: Journal) -> None:
    """Each has its own name, and its own way to be seen."""
    journal.learn(
        [{**LEDGER, "body": {"why": "raise the timeout", "who": "ben", "command": ["sed"], "environment": "dev"}}]
    )
    incidents.record(journal, "anna", None, NOTE, "the timeout was raised\nonce more")
    text = "# Timeouts\n\n## What helped\n\nA longer timeout.\n"
    file = Event(0, "", 7.0, 7.0, "", "file", {"path": "/n/t.md", "title": "Timeouts", "text": text})
    rows = {row["kind"]: row for row in found(journal, "timeout", file)}
    assert (rows["change"]["id"], rows["change"]["show"]) == (LEDGER["change"], f"backout show {LEDGER['change']}")
    assert (rows["change"]["environment"], rows["change"]["who"]) == ("dev", "ben")
    assert (rows["note"]["title"], rows["note"]["show"]) == ("the timeout was raised", "backout search --entry 2")
    assert (rows["file"]["id"], rows["file"]["helped"]) == ("/n/t.md", ["A longer timeout."])


def test_nothing_found_is_said_with_what_was_probably_meant_and_what_was_not_searched(journal: Journal) -> None:
    """What is not found is believed not to be there."""
    incidents.record(journal, "anna", None, NOTE, "gunicorn")
    document, code = search(journal, "gunicron", limits=["/notes could not be read."])
    assert code == 3
    assert drawn(document, SCREEN) == "Nothing was found.\nDid you mean: gunicorn\n/notes could not be read.\n"


def test_what_was_found_is_drawn_with_what_helped_and_the_command_that_shows_it(journal: Journal) -> None:
    """Whoever reads it has a client on the phone."""
    name = outage(journal)
    document, _ = search(journal, "pkg_resources")
    lines = drawn(document, SCREEN).splitlines()
    assert lines[0] == "502 after the deploy"
    assert " · production · anna" in lines[1]
    assert "pkg_resources" in lines[2]
    assert "  helped: rebuild the virtualenv" in lines
    assert lines[-1] == f"  backout export {name}"


def test_an_entry_is_shown_whole(journal: Journal) -> None:
    """A note of twenty lines is found by one of them."""
    incidents.record(journal, "anna", None, NOTE, "one\ntwo\x1b[2J")
    document = whole(journal, 1)
    jsonschema.validate(document, schema("backout.entry/1"))
    assert "\none\ntwo" in entry(document, SCREEN)
    assert "\x1b" not in entry(document, SCREEN)
    with pytest.raises(UsageError, match="no entry 2"):
        whole(journal, 2)


def test_a_postmortem_is_taken_in_once_and_found_with_what_helped(journal: Journal, tmp_path: Path) -> None:
    """The same file is imported again by everyone who hears of it."""
    file = tmp_path / "pm.md"
    front = '---\ntitle: Shop down\ndate: 2026-11-23\nenvironment: production\nkey: "AKIAIOSFODNN7EXAMPLE"\n---\n'
    file.write_text(f"{front}\nsetuptools moved\n\n## Resolution\n- rebuilt the virtualenv\n")
    document, errors = take_in(journal, "anna", [str(file), str(file)])
    jsonschema.validate(document, schema("backout.imported/1"))
    assert errors == []
    assert [row["new"] for row in document["files"]] == [True, False]
    assert [row["new"] for row in take_in(journal, "ben", [str(file)])[0]["files"]] == [False]
    (row,) = found(journal, "setuptools")
    assert (row["kind"], row["title"], row["environment"]) == ("postmortem", "Shop down", "production")
    assert row["at"] == "2026-11-23T00:00:00.000+00:00"
    assert row["helped"] == ["rebuilt the virtualenv"]
    assert "AKIAIOSFODNN7EXAMPLE" not in str(next(journal.events()).body)
    assert "was here already as entry 1: Shop down" in imported(document, SCREEN)


def test_of_a_file_that_is_wrong_nothing_is_taken_in_and_the_others_are(journal: Journal, tmp_path: Path) -> None:
    """Each is told with its place; a second import of all is harmless."""
    texts = {
        "a.md": "---\ntitle: x\ndate: yesterday\n---\ntext",
        "b.md": "---\ntitle: [x]\n---\ntext",
        "c.md": "---\nno key\n---\ntext",
        "d.md": "---\ntitle: x\n---\n\n",
        "good.md": "# Good\ntext",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "e.md").write_bytes(b"one\n\xff")
    names = [*texts, "e.md", "gone.md", "."]
    document, errors = take_in(journal, "anna", [str(tmp_path / name) for name in names], now=3.0)
    jsonschema.validate(document, schema("backout.imported/1"))
    assert document["exit_code"] == 2
    said = [error.what.removeprefix(f"{tmp_path}/") for error in errors]
    places = ["a.md:3: date is 'yes", "b.md:2: the title", "c.md:2: this is neither", "d.md: there", "e.md:2: this is"]
    assert [text[: len(place)] for text, place in zip(said, places, strict=False)] == places
    assert said[5:] == [
        "gone.md cannot be read: No such file or directory.",
        f"{tmp_path} cannot be read: Is a directory.",
    ]
    events = list(journal.events())
    assert [(event.at, event.body["title"], event.body["date"]) for event in events] == [(3.0, "Good", None)]
