"""Guards are told what they need, asked once for what is alike, and what they say becomes part of the verdict."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from backout.config.parse import parse
from backout.config.values import Environment
from backout.flow.guards import Guarding, Hearing, Texts, judged, moments
from backout.flow.rehearse import Measured, Wanted
from backout.model.verdict import ALLOW, ASK, REFUSE, Reason, Verdict
from backout.store.journal import Journal
from backout.store.sqlite import SqliteJournal
from kit.values import effect

FORBID = '[[guards]]\nrule = "forbid"\nwhy = "x"\nwhat = ["file:*"]\noverride = true\n'
PINNED = '[[guards]]\nrule = "pinned"\nwhy = "x"\nrequirements = ["/r.txt"]\n'


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """A journal with nothing in it."""
    with SqliteJournal(tmp_path / "journal.db") as journal:
        yield journal


def measured(digest: str = "x", decision: str = ASK, **fields: Any) -> Measured:
    """What a host measured."""
    verdict = Verdict(decision, (Reason("because"),))
    effects = [effect(**fields).document()]
    document: dict[str, Any] = {"digest": digest, "command": ["make"], "cwd": "/", "effects": effects}
    return Measured("change", {**document, "verdict": verdict.document()}, verdict, None, ())


def hearing(journal: Journal, text: str, asked: list[list[str]] | None = None, passed: Sequence[str] = ()) -> Hearing:
    """What guards of a file are told of; every file that is asked for includes two more."""

    def texts(_: Measured, paths: Sequence[str]) -> Texts:
        (asked if asked is not None else []).append(list(paths))
        return {path: f"-r 0{path[1:]}\n-r 1{path[1:]}\n" if len(path) < 9 else "flask\n" for path in paths}

    guarding = Guarding(parse(text).guards, frozenset(passed), "/")
    environment = Environment("production", ("web1",))
    return Hearing(guarding, environment, journal, Wanted(("make",), None, None), texts, lambda _: None)


def test_what_a_guard_refuses_stands_in_the_verdict_and_what_asked_before_does_not(journal: Journal) -> None:
    """A change that is refused is not asked about any more."""
    (found,) = judged(hearing(journal, FORBID), [measured()], {})
    assert found.verdict.decision == REFUSE
    assert [reason.what[:13] for reason in found.verdict.reasons] == ["Guard forbid:"]
    assert found.document["verdict"] == found.verdict.document()
    (row,) = found.document["guards"]
    assert (row["name"], row["rule"], row["outcome"]) == ("forbid", "forbid", "refused")
    assert row["reasons"][0].startswith("1 effect on what is forbidden")


def test_where_no_guard_says_anything_nothing_is_said(journal: Journal) -> None:
    """A document of a change that met no guard is as it was."""
    before = measured(name="user:deploy")
    (found,) = judged(hearing(journal, FORBID), [before], {})
    assert found == before
    assert "guards" not in found.document


@pytest.mark.parametrize("decision", [ALLOW, ASK, REFUSE])
def test_a_guard_that_is_passed_or_only_warns_leaves_the_verdict_as_it_was(journal: Journal, decision: str) -> None:
    """No guard says anything for a change: passing it is not an answer to the question."""
    (found,) = judged(hearing(journal, FORBID, passed=["forbid"]), [measured(decision=decision)], {})
    assert found.verdict == measured(decision=decision).verdict
    assert [row["outcome"] for row in found.document["guards"]] == ["overridden"]
    body = {"id": "i1", "environment": "production", "state": "open"}
    journal.append(at=1.0, actor="ops", type="incident", body=body)
    (found,) = judged(hearing(journal, FORBID), [measured(decision=decision)], {})
    assert found.verdict == measured(decision=decision).verdict
    assert [row["outcome"] for row in found.document["guards"]] == ["warned"]


def test_files_are_asked_for_once_a_round_and_never_without_end(journal: Journal) -> None:
    """A requirements file may include others, these again others, and at last itself."""
    asked: list[list[str]] = []
    hosts = [measured(name="python-package:/venv:flask"), measured(name="python-package:/venv:flask")]
    judged(hearing(journal, PINNED, asked), hosts, {})
    assert asked[:2] == [["/r.txt"], ["/0r.txt", "/1r.txt"]]
    paths = [path for together in asked for path in together]
    assert len(paths) == len(set(paths)) <= 200


def test_a_file_that_nobody_gives_is_asked_for_once(journal: Journal) -> None:
    """A host that does not answer must not be asked for ever."""
    told = hearing(journal, PINNED)._replace(texts=lambda *_: {})
    (found,) = judged(told, [measured(name="python-package:/venv:flask")], {})
    assert "cannot be read: /r.txt" in found.document["guards"][0]["reasons"][0]


def test_a_moment_is_told_as_the_clocks_of_each_zone_show_it() -> None:
    """Summer time, and a zone where it is another day already."""
    found = moments(1782907200.0, ["UTC", "Europe/Berlin", "Pacific/Auckland"])
    assert {zone: moment.told for zone, moment in found.items()} == {
        "UTC": "Wed 2026-07-01 12:00",
        "Europe/Berlin": "Wed 2026-07-01 14:00",
        "Pacific/Auckland": "Thu 2026-07-02 00:00",
    }
    assert found["Europe/Berlin"][:2] == (2, 14 * 60)
    assert found["Pacific/Auckland"][:2] == (3, 0)
