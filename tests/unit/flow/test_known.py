"""What is known when a review opens: the changes that may have led to it, what split found, who heard late."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from backout.config.values import Audience, Config
from backout.flow import incidents
from backout.flow.known import known
from backout.model.incident import DELIVERY, NOTICE, RESOLVED
from backout.store.sqlite import SqliteJournal

AT = 1_700_000_000.0
RED = {"name": "answers", "where": "after", "result": "unhealthy", "output": "502"}
GREEN = {**RED, "where": "before", "result": "healthy", "output": ""}


def entry(change: str, kind: str, at: float, **body: Any) -> dict[str, Any]:
    """A line of a host's ledger."""
    row = {"format": 1, "host": "web1", "change": change, "prev": "", "kind": kind, "at": at}
    return {**row, "seq": int(at - AT + 1e6), "body": {"environment": "production", "command": ["x"], **body}}


@pytest.fixture
def journal(tmp_path: Path) -> SqliteJournal:
    """A journal of one's own."""
    return SqliteJournal(tmp_path / "journal.db")


def test_a_change_that_was_made_shortly_before_is_told_with_the_checks_it_turned_red(journal: SqliteJournal) -> None:
    """Nobody named it: it was made before the alarm. One of another environment, or of last week, is none."""
    journal.learn(
        [
            entry("old", "prepared", AT - 700_000),
            entry("other", "prepared", AT - 60, environment="staging"),
            entry("bad", "prepared", AT - 50, before=[GREEN]),
            entry("bad", "undone", AT - 40, results=[RED]),
            entry("rest", "refused", AT + 90, split_from="bad", parts=[["python-package:/venv:setuptools"]]),
        ]
    )
    name = incidents.declare(journal, "anna", lambda: "1", "production", at=AT)
    incidents.state(journal, "anna", name, "production", RESOLVED, at=AT + 60)
    told = known(journal, incidents.read(journal)[name], Config(), AT + 100)
    assert [(row["id"], row["state"], row["effects"]) for row in told["changed"]] == [("bad", "undone", None)]
    assert told["changed"][0]["red"] == [{"name": "answers", "output": "502"}]
    assert told["splits"] == [{"change": "bad", "parts": [["python-package:/venv:setuptools"]], "rest": "rest"}]


def test_who_heard_late_and_what_was_never_said_is_told(journal: SqliteJournal) -> None:
    """The first word was due 5 minutes after the alarm; that it is over was never said."""
    name = incidents.declare(journal, "anna", lambda: "1", "production", at=AT)
    notice = {
        "notice": "n1",
        "audience": "client",
        "type": "first",
        "status": "investigating",
        "targets": ["mailto:a@b"],
    }
    sent = {"notice": "n1", "target": "mailto:a@b", "attempt": 1, "message_id": "m", "state": "sent"}
    incidents.record(journal, "anna", name, NOTICE, "", more={**notice, "next_at": AT + 2000}, at=AT + 390)
    incidents.record(journal, "anna", name, DELIVERY, "", more=sent, at=AT + 400)
    incidents.state(journal, "anna", name, "production", RESOLVED, at=AT + 500)
    config = Config(audiences=(Audience("client", ("mailto:a@b",)),))
    first, last = known(journal, incidents.read(journal)[name], config, AT + 9000)["words"]
    assert (first["type"], first["late_s"]) == ("first", 100.0)
    assert (last["type"], last["at"], last["due"]) == ("resolved", None, "2023-11-14T22:46:40.000+00:00")
