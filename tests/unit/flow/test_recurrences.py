"""What export, the review and panic are told of a recurrence, from a journal as commands leave it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backout.config.values import Config, Environment
from backout.flow import export, incidents
from backout.flow.known import known
from backout.flow.recurrences import rows
from backout.model.guard import Guard
from backout.render.incident_markdown import markdown
from backout.render.incident_public import public
from backout.render.incident_story import story
from backout.render.review import known as drawn
from backout.store.sqlite import SqliteJournal
from kit.cli import validate

DAY = 86400.0
SAID = "ModuleNotFoundError: No module named 'pkg_resources'"
TRACEBACK = 'Traceback (most recent call last):\n  File "/srv/shop/app.py", line 1, in <module>\n' + SAID
LATER = "20260611-100000-bcd"
REVIEW = """\
## Actions
### A1 Refuse a change that moves setuptools across a major version
- owner: Anna
- proof: guard setuptools-stays
### A2 Ask the site every minute
- proof: check site
### A3 Write the pins down
- owner: Ben
- due: 2026-03-01
"""
CONFIG = Config(
    path="/srv/backout.toml",
    environments=(Environment("production", ("local",)),),
    guards=(Guard("setuptools-stays", "max-jump", "it went wrong once"),),
)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    """An empty journal."""
    with SqliteJournal(tmp_path / "journal.db") as one:
        yield one


def twice(journal: SqliteJournal) -> str:
    """Two incidents of the same fault, 150 days apart, the first with its review; gives the id of the second."""
    ids = iter(["20260112-100000-bcd", LATER])
    for at in (0.0, 150 * DAY):
        name = incidents.declare(journal, "ada", lambda: next(ids), "production", "the shop is down", at=at)
        red = {"name": "site", "host": "web1", "result": "unhealthy", "output": f"Exit code 1.\n{TRACEBACK}"}
        incidents.record(journal, "ada", name, "check", "site is unhealthy", more=red, at=at + 5)
        incidents.state(journal, "ada", name, "production", "resolved", at=at + 600)
    body = {"incident": "i20260112-100000-bcd", "state": "closed", "text": REVIEW, "base": 0}
    journal.append(at=DAY, actor="ada", type="review", body=body)
    return f"i{LATER}"


def changed(journal: SqliteJournal, at: float, **body: Any) -> None:
    """A host's ledger tells of a change."""
    told = {"environment": "production", "command": ["pip", "install"], "checks": [{"name": "site"}], **body}
    row = {"format": 1, "host": "web1", "change": f"c{int(at)}", "prev": ""}
    journal.learn({**row, "seq": n, "kind": kind, "at": at + n, "body": told if n == 0 else {}}
                  for n, kind in enumerate(("prepared", "applied", "kept")))  # fmt: skip


def test_of_each_action_it_is_told_where_its_proof_stood_when_the_change_was_made(journal: SqliteJournal) -> None:
    """A guard that somebody passed, and one that nobody had any more, are two lessons."""
    name = twice(journal)
    said = {"name": "setuptools-stays", "rule": "max-jump", "outcome": "overridden", "reasons": ["it jumps"]}
    changed(journal, 149 * DAY, guards=[said])
    changed(journal, 151 * DAY)
    every = incidents.read(journal)
    (row,) = rows(journal, every[name], every, CONFIG)
    assert (row["incident"], row["signatures"], row["change"]) == ("i20260112-100000-bcd", [SAID], f"c{149 * 86400}")
    assert [one["standing"] for one in row["actions"]] == ["overridden", "in force", "open"]
    (first,) = rows(journal, every[name], every, Config())
    assert [one["standing"] for one in first["actions"]] == ["overridden", "in force", "open"]


def test_export_and_the_review_say_so_and_the_public_text_does_not(journal: SqliteJournal) -> None:
    """Whoever reads it later must not have to find out; a client gets it in a letter that somebody has read."""
    name = twice(journal)
    incident = incidents.read(journal)[name]
    document = export.document(journal, incident, CONFIG, 160 * DAY)
    validate(document)
    told = markdown(story(document))
    assert "## It happened before" in told
    assert "both said: ModuleNotFoundError: No module named 'pkg\\_resources'" in told
    assert "A1 guard setuptools-stays is in force: Refuse a change" in told
    assert "A2 check site is missing: Ask the site every minute" in told
    assert "A3 without a proof (Ben, due 2026-03-01): Write the pins down" in told
    assert "pkg_resources" not in public(document)
    kept = drawn(known(journal, incident, CONFIG, 160 * DAY))
    assert "### It happened before\n\n```text\ni20260112-100000-bcd on production" in kept
    assert "    A1 guard setuptools-stays is in force: Refuse" in kept


def test_what_is_no_recurrence_says_nothing_of_it(journal: SqliteJournal) -> None:
    """The first time is the first time, also seen from today."""
    twice(journal)
    first = incidents.read(journal)["i20260112-100000-bcd"]
    document = export.document(journal, first, CONFIG, 160 * DAY)
    validate(document)
    assert "recurrences" not in document
    assert "It happened before" not in markdown(story(document))


def test_a_review_that_is_missing_or_was_never_closed_is_told(journal: SqliteJournal) -> None:
    """Two times the same, and nobody looked: that is what there is to be learned."""
    name = twice(journal)
    journal.append(
        at=DAY, actor="ada", type="review", body={"incident": "i20260112-100000-bcd", "state": "draft", "text": REVIEW,
                                                  "base": 0},
    )  # fmt: skip
    assert "its review was never closed" in told_of(journal, name)
    third = incidents.declare(journal, "ada", lambda: "20260711-100000-bcd", "staging", SAID, at=180 * DAY)
    assert "it was never reviewed" in told_of(journal, third)


def told_of(journal: SqliteJournal, name: str) -> str:
    """An incident as Markdown."""
    return markdown(story(export.document(journal, incidents.read(journal)[name], CONFIG, 200 * DAY)))
