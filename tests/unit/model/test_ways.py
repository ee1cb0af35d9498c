"""What was done before under a name is what will be wanted first when it breaks again."""

from __future__ import annotations

from typing import Any

from backout.model.incident import Entry
from backout.model.ledger import LedgerEntry
from backout.model.ways import Rehearsed, Way, rehearsed, ways_out


def done(at: float, **body: Any) -> Entry:
    """Give a line of a timeline that tells of a command."""
    told = {"command": ["make", "venv"], "exit_code": 0, "duration_s": 118.5, **body}
    return Entry(int(at), at, at, "ada", "command", "make venv", told)


def test_each_way_out_has_what_it_took_each_time_the_latest_last() -> None:
    """Minutes are what the choice is between, and a way that failed last is no way."""
    ways = ways_out(
        [
            done(30, **{"as": "Rebuild  the virtualenv", "duration_s": 90, "exit_code": 2, "command": ["make", "all"]}),
            done(10, **{"as": "rebuild the virtualenv"}),
            done(20, **{"as": "fail over"}),
        ]
    )
    assert ways == [
        Way("Rebuild the virtualenv", ("make", "all"), (118.5, 90.0), (0, 2), 30),
        Way("fail over", ("make", "venv"), (118.5,), (0,), 20),
    ]


def test_what_is_no_way_out_or_cannot_be_read_is_passed_over() -> None:
    """A hostile or foreign line is never a reason to fail."""
    assert ways_out([done(1), done(2, **{"as": " "}), done(3, **{"as": "x", "duration_s": "long"})]) == []
    assert ways_out([done(1, **{"as": "x", "command": "make"})])[0].command == ("make venv",)


def prepared(change: str, at: float, command: list[str], duration_s: float, **more: Any) -> LedgerEntry:
    """Give a line of a ledger that tells of a change's rehearsal."""
    body = {"command": command, "rehearsed": {"duration_s": duration_s, "failed": None}, **more}
    return LedgerEntry(1, "web1", change, int(at), "", "prepared", at, body)


def test_how_long_a_rehearsal_took_is_that_of_the_last_one_on_its_slowest_host() -> None:
    """Of three hosts the slowest is waited for; what it took last year is no measure."""
    entries = [
        prepared("a", 10, ["make", "venv"], 90),
        prepared("b", 20, ["make venv"], 2),
        prepared("b", 21, ["make venv"], 3),
        prepared("b", 22, ["make venv"], 1),
    ]
    assert rehearsed(entries) == {"make venv": Rehearsed(22, 3, failed=False)}
    failed = {"command": ["make", "venv"], "rehearsed": {"duration_s": 4, "failed": 2}}
    assert rehearsed(entries, [(30.0, failed), (5.0, failed)])["make venv"] == Rehearsed(30, 4, failed=True)


def test_a_redo_was_no_rehearsal_and_what_cannot_be_read_is_none() -> None:
    """Its bits are put back without its command: how long that took says nothing."""
    entries = [prepared("a", 10, ["x"], 2, redoes="b"), prepared("b", 11, [], 2), prepared("c", 12, ["x"], -1)]
    assert rehearsed(entries, [(1.0, {"command": "x"}), (2.0, {"rehearsed": {}})]) == {}
