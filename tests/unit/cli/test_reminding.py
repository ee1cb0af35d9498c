"""What reviews promised is told by `log` and at the end of an incident's commands, once, and never by a note."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pytest

from backout import bootstrap, cli
from backout.cli.reminding import owing, remind
from backout.config.find import load
from backout.flow.incidents import declare
from backout.render.change import log
from backout.render.screen import Screen
from backout.store.opening import journal_path
from backout.store.sqlite import SqliteJournal
from kit.cli import validate

CONFIG = """
[environments.production]
hosts = ["local"]
[audiences.client]
to = ["mailto:ops@client.example"]
[[guards]]
name = "stays"
rule = "max-jump"
why = "it went wrong once"
review_by = 2026-01-31
"""
ACTIONS = "## Actions\n### A1 Refuse a jump of setuptools\n- owner: Anna\n- due: 2026-01-13\n"


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteJournal]:
    """A journal with an incident whose review promised something, and a guard to be looked at again: long ago."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    (tmp_path / "backout.toml").write_text(CONFIG)
    with SqliteJournal(journal_path(os.environ)) as one:
        declare(one, "ada", lambda: "20260101-100000-bcd", "production", "the shop is down")
        body = {"incident": "i20260101-100000-bcd", "state": "closed", "text": ACTIONS, "base": 0}
        one.append(at=0.0, actor="ada", type="review", body=body)
        yield one


def test_a_command_of_an_incident_ends_with_the_first_and_counts_the_others(
    journal: SqliteJournal, capsys: pytest.CaptureFixture[str]
) -> None:
    """A list at every command is read by nobody; a line is."""
    remind(journal, load(None), silent=False)
    said = capsys.readouterr().err.splitlines()
    assert said[-1] == (
        "Overdue: A1 of i20260101-100000-bcd was due on 2026-01-13 and has no proof (Anna): Refuse a jump of "
        "setuptools. And 1 more: backout log"
    )
    remind(journal, load(None), silent=True)
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("journal")
def test_a_note_is_not_made_to_wait_for_it(capsys: pytest.CaptureFixture[str]) -> None:
    """While it burns nobody wants to hear of old promises; and a note must feel instant."""
    assert cli.run(["note", "it burns"]) == 0
    said = capsys.readouterr()
    assert "first word to client" in said.err
    assert "Overdue" not in said.err


@pytest.mark.usefixtures("journal")
def test_log_has_them_all_as_a_part_at_its_end() -> None:
    """It is where somebody looks who has time."""
    document = {"schema": "backout.changes/1", "changes": [], **owing(Namespace(config=None))}
    validate(document)
    assert [row["sort"] for row in document["owed"]] == ["overdue", "to review"]
    told = log(document, Screen(width=80))
    assert told.splitlines()[2].startswith("Overdue")
    assert "  backout review --incident i20260101-100000-bcd" in told
    assert "The review of guard stays was due on 2026-01-31." in told
    assert all(len(line) <= 80 for line in told.splitlines())


def test_where_nothing_is_overdue_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Most of the time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    with bootstrap.journal() as journal:  # type: ignore[attr-defined]
        remind(journal, load(None), silent=False)
    assert capsys.readouterr().err == ""
    assert owing(Namespace(config=None)) == {}


def test_guard_list_says_of_a_guard_that_it_does_not_prove_any_more(
    journal: SqliteJournal, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever edits a guard looks there, and an edit is what breaks a proof."""
    stands = {
        "incident": "i20260101-100000-bcd",
        "state": "closed",
        "text": f"{ACTIONS}- proof: guard stays\n",
        "base": 2,
    }
    journal.append(at=1.0, actor="ada", type="review", body=stands)
    tried = {"incident": stands["incident"], "sort": "guard", "name": "stays", "bad": "c1", "good": "c2"}
    for held, why in ((True, "It refuses c1."), (False, "It lets the bad change c1 through.")):
        body = {**tried, "held": held, "why": why, "backtest": {}, "was": {"rule": "max-jump"}}
        journal.append(at=2.0, actor="ada", type="proof", body=body)
    assert cli.run(["--json", "guard", "list"]) == 0
    document = json.loads(capsys.readouterr().out)
    validate(document)
    (row,) = document["guards"]
    assert row["problems"][-1].endswith("does not hold any more: It lets the bad change c1 through.")
