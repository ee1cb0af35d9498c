"""A command on the timeline: what it was, what it wrote, what came of it, and nothing that is a secret."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backout.flow import incidents
from backout.flow.do import MOST_BYTES, Ran, record_command
from backout.model.redact import MASK
from backout.store.journal import Journal
from backout.store.sqlite import SqliteJournal


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Give an empty journal."""
    with SqliteJournal(tmp_path / "journal.db") as opened:
        yield opened


def test_a_command_is_a_line_of_the_timeline_with_its_output_kept_by_content(journal: Journal) -> None:
    """What was done, and what it said, is what is asked for when it breaks again."""
    incident = incidents.declare(journal, "ada", lambda: "1", "production", at=100)
    ran = Ran(["make", "the venv"], "/srv/shop", "web1", 110, 2.5, 3, b"one\r\n\x1b[31mtwo\x1b[0m\r\n", name="rebuild")
    record_command(journal, "ada", incident, ran)
    (entry,) = incidents.read(journal)[incident].of_kind("command")
    assert (entry.at, entry.text, entry.actor) == (110, "make 'the venv'", "ada")
    told = {name: entry.body[name] for name in ("command", "cwd", "host", "exit_code", "duration_s", "tail", "as")}
    assert told == {
        "command": ["make", "the venv"],
        "cwd": "/srv/shop",
        "host": "web1",
        "exit_code": 3,
        "duration_s": 2.5,
        "tail": "one\ntwo",
        "as": "rebuild",
    }
    assert journal.content(entry.body["output"]) == ran.output


def test_neither_command_nor_output_nor_name_holds_a_secret(journal: Journal) -> None:
    """The record is exported, searched and read by others."""
    words = ["psql", "--password", "hunter2"]
    event = record_command(
        journal, "ada", None, Ran(words, "/", "web1", 1, 1, 0, b"token: hunter2\n\xff", name="password=hunter2")
    )
    kept = journal.content(event.body["output"]) or b""
    assert b"hunter2" not in kept
    assert kept.endswith(b"\n\xff"), "what is no text stays as it came"
    assert "hunter2" not in str(event.body)
    assert event.body["command"] == ["psql", "--password", MASK]


def test_of_a_long_output_the_end_is_kept_from_a_line_s_beginning(journal: Journal) -> None:
    """What went wrong is told last; half a line could be half a secret."""
    line = b"0123456789abcde\n"
    event = record_command(journal, "ada", None, Ran(["x"], "/", "h", 1, 1, 0, b"y" + line * (MOST_BYTES // 16 + 1)))
    kept = journal.content(event.body["output"]) or b""
    assert kept == line * (MOST_BYTES // 16 - 1)
    assert event.body["is_cut"]


def test_a_command_that_wrote_nothing_names_no_content(journal: Journal) -> None:
    """An empty content would be looked for in vain."""
    event = record_command(journal, "ada", None, Ran(["true"], "/", "h", 1, -0.5, 0))
    assert ("output" in event.body, event.body["tail"], event.body["duration_s"]) == (False, "", 0.0)
