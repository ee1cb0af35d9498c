"""Looks in the journal: what hangs, or loses facts on the way, leaves none there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from backout.config.values import Environment
from backout.errors import BackoutError, FailedError
from backout.flow.fleet import Fleet, Greeting
from backout.flow.look import look, look_at
from backout.flow.looked import facts, looks
from backout.flow.session import Session, Who
from backout.link.wire import Facts, Link
from backout.model.fact import Fact
from backout.store.sqlite import SqliteJournal
from kit.cli import SOURCE

HALF = "from backout.host.serve import main; main()"
GREETING = Greeting("web1", "boot/1:2", 0.0)


class Silent:
    """Tells nobody anything."""

    def step(self, text: str) -> None:
        """Say nothing."""

    def show(self, document: dict[str, Any]) -> None:
        """Show nothing."""

    def ask(self, question: str, about: dict[str, Any]) -> bool | None:
        """Answer nothing."""


def session(link: Any, journal: SqliteJournal) -> Session:
    """What a flow is given."""
    return Session(link, journal, Environment("one", ("web1",)), Who("anna"), Silent(), lambda: "c1", "web1")


def test_a_host_that_hangs_is_let_go_and_leaves_no_look(tmp_path: Path) -> None:
    """A disk that does not answer, a machine that swaps: the rest of the fleet has been waiting long enough."""
    halves: list[subprocess.Popen[bytes]] = []

    @contextmanager
    def opened(host: str) -> Iterator[Session]:
        del host
        environ = {**os.environ, "PYTHONPATH": str(SOURCE), "BACKOUT_STATE": str(tmp_path / "state")}
        half = subprocess.Popen([sys.executable, "-c", HALF], stdin=-1, stdout=-1, env=environ)
        halves.append(half)
        with SqliteJournal(tmp_path / "journal.db") as journal, Link(half) as link:  # type: ignore[arg-type]
            yield session(link, journal)

    fleet = Fleet(["web1"], opened)
    try:
        fleet.reach()
        halves[0].send_signal(signal.SIGSTOP)
        result = look(fleet, limit_s=0.2)["web1"]
    finally:
        fleet.close()
    assert isinstance(result, BackoutError)
    assert "No answer" in result.what
    with SqliteJournal(tmp_path / "journal.db") as journal:
        assert list(looks(journal)) == []


class Told:
    """A link to a host that says this of itself."""

    def __init__(self, found: list[Fact], **reply: Any) -> None:
        counts = {kind: sum(fact.kind == kind for fact in found) for kind in {fact.kind for fact in found}}
        files = {"seen": 1, "hashed": 1, "known": 0, "how": "by ctime"}
        self._found = found
        self._reply = {
            "at": 1000.0,
            "took_s": 0.5,
            "counts": counts,
            "files": files,
            "limits": [],
            "identity": "boot/1:3",
            "ledger_seq": 0,
            "newest_change": None,
            **reply,
        }

    def look(self, facts: Facts, **_: Any) -> dict[str, Any]:
        """Tell the facts in two parts, then the rest."""
        facts(self._found[:1])
        facts(self._found[1:])
        return dict(self._reply)


HERE = [Fact("os", "ID", "debian"), Fact("user", "anna", {"uid": 1}), Fact("file", "/a", {"type": "dir"})]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    """A journal of its own."""
    with SqliteJournal(tmp_path / "journal.db") as made:
        yield made


def test_a_look_is_kept_with_what_is_new_since_the_one_before(journal: SqliteJournal) -> None:
    """By this machine's clock; of hosts and environments each its own."""
    first = look_at(session(Told(HERE), journal), GREETING._replace(skew_s=40.0))
    assert first.told == (HERE[0],)
    assert (first.news, first.look.at, first.look.body["identity"]) == (None, 960.0, "boot/1:3")
    look_at(session(Told(HERE), journal)._replace(host="web2"), GREETING)
    changed = [HERE[0], HERE[1]._replace(value={"uid": 2}), Fact("file", "/b", {"type": "dir"})]
    second = look_at(session(Told(changed, at=2000.0), journal), GREETING)
    assert second.news is not None
    assert second.news.since == 960.0
    assert second.news.counts == {"user": {"edited": 1}, "file": {"removed": 1, "added": 1}}
    assert list(facts(journal, second.look)) == changed
    assert [(look.host, look.environment) for look in looks(journal)] == [
        ("web1", "one"),
        ("web2", "one"),
        ("web1", "one"),
    ]


@pytest.mark.parametrize("reply", [{"counts": {"os": 2}}, {"counts": {}}, {"at": "now"}, {"limits": None}, {"more": 1}])
def test_facts_that_were_lost_and_a_reply_that_is_none_leave_no_look(
    journal: SqliteJournal, reply: dict[str, Any]
) -> None:
    """What compare reads must be whole: a fact that is silently missing is a difference that nobody made."""
    with pytest.raises(FailedError):
        look_at(session(Told(HERE, **reply), journal), GREETING)
    assert list(looks(journal)) == []


def test_nothing_is_kept_without_a_journal() -> None:
    """And nothing is made up."""
    with pytest.raises(FailedError, match="no journal"):
        look_at(session(Told(HERE), None), "web1", GREETING)  # type: ignore[arg-type]
