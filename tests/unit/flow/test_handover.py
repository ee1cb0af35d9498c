"""An incident that goes from one person to another: all that was written down, once, and nothing is sent twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backout.config.values import Audience, Config
from backout.flow.export import document
from backout.flow.incidents import read, record, state
from backout.flow.outbox import Outbox
from backout.flow.postmortems import take_in
from backout.flow.tell import reminder, standing_deliveries
from backout.model.notice import Message, Result
from backout.store.sqlite import SqliteJournal
from kit.cli import validate
from kit.incident import ID, Told

BEGIN = 1792888200.25
CLIENT = "mailto:ops@client.example"
CONFIG = Config(audiences=(Audience("client", (CLIENT,)),))


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    """Ada's record of an incident, with something of every kind."""
    one = Told(tmp_path / "ada.db", BEGIN)
    one.pinned(BEGIN + 1, "the poll is empty", "the pool is empty")
    thought = one.line(BEGIN + 2, "hypothesis", "the disk is full", state="open")
    one.line(BEGIN + 3, "hypothesis", "the disk is full", state="ruled out", of=thought)
    one.command(BEGIN + 4, "ss", "-tn", output="1000 connections\n")
    one.check(BEGIN + 5, "unhealthy")
    one.notice(BEGIN + 6, "n1")
    one.line(BEGIN + 8, "clock", "detected", clock="detected", value=BEGIN - 60)
    one.change(BEGIN + 9, "20261025-003100-bcd", "true")
    state(one.journal, "ada", ID, "production", "open", at=BEGIN + 10, declared=BEGIN - 30)
    yield one
    one.journal.close()


@pytest.fixture
def bob(tmp_path: Path) -> Iterator[SqliteJournal]:
    """The record of a colleague, who was not there."""
    with SqliteJournal(tmp_path / "bob.db") as opened:
        record(opened, "bob", None, "note", "of something else")
        yield opened


def exported(journal: SqliteJournal, folder: Path) -> str:
    """Write what `backout export --as json` writes; gives the file."""
    file = folder / "incident.json"
    file.write_text(json.dumps(document(journal, read(journal)[ID], CONFIG, BEGIN + 100)))
    return str(file)


def taken(journal: SqliteJournal, file: str) -> dict[str, Any]:
    """Import a file; gives what is said of it."""
    said, errors = take_in(journal, "bob", [file])
    validate(said)
    assert errors == []
    row: dict[str, Any] = said["files"][0]
    return row


def story(journal: SqliteJournal) -> list[Any]:
    """What is known of the incident, but for what each journal numbers by itself, and for changes."""
    told = document(journal, read(journal)[ID], CONFIG, BEGIN + 100)
    names = ("at", "recorded_at", "actor", "kind", "text", "pinned", "corrected", "contents")
    rows = [[row[name] for name in names] for row in told["entries"] if row["kind"] != "change"]
    kept = ("environment", "state", "severity", "text", "declared_by", "public", "clocks", "checks", "deliveries")
    return [rows, [row["state"] for row in told["hypotheses"]], [told[name] for name in kept], told["downtime"]]


def test_all_that_was_written_down_is_handed_over_once(told: Told, bob: SqliteJournal, tmp_path: Path) -> None:
    """Whoever takes over at three in the morning knows what the one who goes to bed knows."""
    file = exported(told.journal, tmp_path)
    assert taken(bob, file)["lines"] == 12
    assert story(bob) == story(told.journal)
    again = taken(bob, file)
    assert (again["new"], again["lines"], again["incident"]) == (False, 0, ID)
    assert taken(told.journal, file)["lines"] == 0


def test_it_may_go_to_and_fro(told: Told, bob: SqliteJournal, tmp_path: Path) -> None:
    """What the other wrote meanwhile comes back, and is about the lines that it was about."""
    taken(bob, exported(told.journal, tmp_path))
    note = read(bob)[ID].of_kind("note")[0]
    record(bob, "bob", ID, "correction", "the pool was full", more={"of": note.seq}, at=BEGIN + 50)
    record(bob, "bob", ID, "note", "restarted it", at=BEGIN + 51)
    state(bob, "bob", ID, "production", "resolved", at=BEGIN + 52, by="word", word="seen")
    told.line(BEGIN + 40, "note", "meanwhile")
    assert taken(told.journal, exported(bob, tmp_path))["lines"] == 3
    assert read(told.journal)[ID].of_kind("note")[0].text == "the pool was full"
    assert taken(bob, exported(told.journal, tmp_path))["lines"] == 1
    assert story(bob) == story(told.journal)
    assert read(bob)[ID].state == "resolved"


def test_what_is_still_to_be_sent_is_sent_from_one_place_alone(told: Told, bob: SqliteJournal, tmp_path: Path) -> None:
    """Two who try on would both tell the client; whoever took over is told what did not arrive."""
    sent: list[str] = []

    def send(target: str, message: Message) -> Result:
        sent.append(f"{target} {message.id}")
        return Result("sent", "taken")

    told.notice(BEGIN + 20, "n2", "update", "failed")
    taken(bob, exported(told.journal, tmp_path))
    later = BEGIN + 4000
    assert Outbox(bob, CONFIG, "bob", send, clock=lambda: later).retry() == []
    assert [one.state for one in standing_deliveries(bob, ID).values()] == ["sent", "given up"]
    assert f"NOT DELIVERED to {CLIENT}: backout tell --again" in str(reminder(bob, CONFIG, later))
    taken(told.journal, exported(bob, tmp_path))
    assert Outbox(told.journal, CONFIG, "ada", send, clock=lambda: later).retry() == ["n2"]
    taken(bob, exported(told.journal, tmp_path))
    assert [one.state for one in standing_deliveries(bob, ID).values()] == ["sent", "sent"]
    assert len(sent) == 1


def test_a_secret_that_somebody_wrote_into_the_file_is_not_taken_in(
    told: Told, bob: SqliteJournal, tmp_path: Path
) -> None:
    """A file can be edited on its way."""
    file = Path(exported(told.journal, tmp_path))
    file.write_text(file.read_text().replace("1000 connections", "password=hunter2"))
    taken(bob, str(file))
    (entry,) = read(bob)[ID].of_kind("command")
    assert bob.content(entry.body["output"]) == "password=••••\n".encode()


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda text: text[:200], "is no incident as backout export --as json writes it"),
        (lambda text: text[:1] + "}", "is no incident"),
        (lambda text: text.replace("backout.incident/1", "backout.incident/2"), "is no incident"),
        (lambda text: text.replace('"incident": "i2026', '"incident": "i2027', 1), "is no line of i2026"),
        (lambda text: text.replace('"at": "2026', '"at": "at 2026'), "Invalid isoformat"),
        (lambda text: text.replace('"of": ', '"of": "" , "x": '), ""),
    ],
)
def test_a_file_that_is_wrong_is_named_and_nothing_of_it_is_taken_in(
    told: Told, bob: SqliteJournal, tmp_path: Path, change: Any, what: str
) -> None:
    """Half an incident would be taken for all of it."""
    file = Path(exported(told.journal, tmp_path))
    file.write_text(change(file.read_text()))
    said, errors = take_in(bob, "bob", [str(file)])
    validate(said)
    assert [what in error.what for error in errors] == ([True] if what else [])
    assert (len(list(bob.events())) == 1) == bool(what)
