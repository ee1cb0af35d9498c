"""A command on the timeline: what it was, what it wrote, what came of it, and nothing that is a secret."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from backout.flow import incidents
from backout.flow.do import MOST_BYTES, End, Ran, record_command
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


TRACEBACK = b"""Traceback (most recent call last):
  File "/srv/shop/app.py", line 3, in <module>
    import pkg_resources
ModuleNotFoundError: No module named 'pkg_resources' (token=hunter2hunter2 )
"""


@pytest.mark.parametrize("lines", [5000, MOST_BYTES // 2])
def test_what_broke_is_found_where_thousands_of_lines_came_after_it(journal: Journal, lines: int) -> None:
    """Of a long output the tail alone says how it ended, and not why; what is found is without secrets."""
    end = End()
    for piece in (b"collecting\n" * 500, TRACEBACK, b"retrying 1\n" * (lines // 2), b"retrying 2\n" * (lines // 2)):
        end.take(piece)
    ran = Ran(["make", "site"], "/", "h", 1, 1, 2, bytes(end), end.is_cut, end.telling)
    event = record_command(journal, "ada", None, ran)
    assert event.body["telling"] == [f"ModuleNotFoundError: No module named 'pkg_resources' (token={MASK} )"]
    assert event.body.get("is_cut", False) == (lines > 5000)
    journal.append(at=2, actor="ada", type="entry", body={"incident": "", "kind": "note", "text": "No module of mine"})
    for asked in ("ModuleNotFoundError pkg_resources", TRACEBACK.decode()):
        assert journal.search(asked).hits[0].event.seq == event.seq


def test_a_fault_that_is_told_a_thousand_times_is_kept_once(journal: Journal) -> None:
    """And what stands in the tail is not kept twice."""
    retries = b"".join(b"error: retry %d failed\n" % number for number in range(3000))
    output = retries + b"error: gave up\n" + b"ok\n" * 30
    event = record_command(journal, "ada", None, Ran(["x"], "/", "h", 1, 1, 2, output + b"error: last\n"))
    assert event.body["telling"] == ["error: retry 0 failed", "error: gave up"]
    assert "telling" not in record_command(journal, "ada", None, Ran(["x"], "/", "h", 1, 1, 2, b"error: it\n")).body
