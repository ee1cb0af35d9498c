"""What is known of an environment when it breaks: told from ledgers and from what checks said."""

from __future__ import annotations

from typing import Any

from backout.model.incident import Entry
from backout.model.ledger import LedgerEntry
from backout.model.situation import (
    Made,
    Observed,
    Took,
    Tried,
    backs_took,
    entries_of,
    health,
    last_changes,
    made,
    of_environment,
    seen_by_ledgers,
)


def told(change: str, kind: str, at: float, host: str = "web1", **body: Any) -> LedgerEntry:
    """One line of a host's ledger."""
    return LedgerEntry(1, host, change, int(at), "", kind, at, body)


def kept(change: str, at: float, host: str = "web1", **body: Any) -> list[LedgerEntry]:
    """A change that was applied and kept."""
    return [
        told(change, "prepared", at, host, **{"environment": "production", "command": ["true"], **body}),
        told(change, "kept", at + 1, host),
    ]


def test_changes_are_told_newest_first_with_where_they_stand() -> None:
    """What is at the top is tried first: it must be what changed last, and say whether it can be taken back."""
    entries = [*kept("a", 10), *kept("b", 20), *kept("c", 30, undoes="a"), told("d", "refused", 40)]
    assert [(change.id, change.state) for change in last_changes(entries)] == [("b", "stands"), ("a", "taken back")]


def test_a_change_on_two_hosts_stands_while_it_stands_on_one() -> None:
    """Whoever is told that it was taken back would look elsewhere."""
    entries = [*kept("a", 10), *kept("a", 11, "web2"), *kept("b", 20, undoes="a")]
    (change,) = last_changes(entries)
    assert (change.state, change.hosts) == ("stands", ("web1", "web2"))


def test_what_a_crash_left_is_told_before_all_else() -> None:
    """It may be the very cause, and nothing else can be done there before recover."""
    (change,) = last_changes([told("a", "prepared", 10, command=["x"]), told("a", "applied", 11)])
    assert change.state == "unfinished"


def test_what_was_done_on_the_hosts_without_a_configuration_counts() -> None:
    """Root on the host itself, in a hurry, is how most of it happens."""
    entries = [
        *kept("a", 10),
        *kept("b", 20, environment=None),
        *kept("c", 30, "elsewhere", environment=None),
        *kept("d", 40, environment="staging"),
    ]
    assert {entry.change for entry in of_environment(entries, "production", ())} == {"a", "b"}
    assert {entry.change for entry in of_environment(entries, "production", ("elsewhere",))} == {"a", "b", "c"}


def test_an_entry_counts_once_and_a_damaged_one_hides_no_other() -> None:
    """The journal and the host tell the same; either may have a line that cannot be read."""
    one = told("a", "prepared", 10, command=["x"])._asdict()
    assert len(entries_of([one, {"format": 1}, one, told("b", "prepared", 11)._asdict()])) == 2


def test_a_check_fails_since_it_was_first_seen_failing() -> None:
    """Since when is what leads to the change: a later look at the same state must not move it."""
    seen = [
        Observed(30, "web1", "answers", "unhealthy", "502"),
        Observed(10, "web1", "answers", "healthy", ""),
        Observed(20, "web1", "answers", "unhealthy", "500"),
        Observed(40, "web1", "answers", "not_run", ""),
    ]
    (check,) = health(seen)
    assert (check.result, check.since, check.at, check.output) == ("unhealthy", 20, 30, "502")


def test_what_checks_said_in_a_rehearsal_or_before_a_back_out_tells_nothing_of_now() -> None:
    """A change that was backed out would otherwise leave its red check behind for ever."""
    red = {"name": "answers", "where": "after", "result": "unhealthy", "output": ""}
    green = {**red, "where": "before", "result": "healthy"}
    rehearsed = {**red, "where": "rehearsal"}
    entries = [told("a", "prepared", 10, before=[green, rehearsed]), told("a", "undone", 11, results=[red])]
    assert [seen.result for seen in seen_by_ledgers(entries)] == ["healthy"]
    assert [seen.result for seen in seen_by_ledgers([told("b", "kept", 12, results=[red])])] == ["unhealthy"]


def test_how_long_it_takes_to_take_a_change_back_is_what_was_measured_of_its_own_bits() -> None:
    """A figure of another change, or a guess, would be believed while the site is down."""
    entries = [
        *kept("a", 10),
        *kept("a", 12, "web2"),
        told("b", "prepared", 20, undoes="a"),
        told("b", "kept", 27),
        *kept("c", 30, redoes="a"),
        told("d", "prepared", 40, command=["x"]),
        told("d", "kept", 40_000, recovered=True),
    ]
    took = {change.id: change.took for change in last_changes(entries)}
    assert took == {"a": Took("take back", 7), "c": Took("take back", 7), "d": None}
    assert [change.took for change in last_changes(kept("a", 10))] == [Took("apply", 1)]


def test_changes_that_say_that_they_repeat_each_other_are_told_all_the_same() -> None:
    """A hostile line must not keep the first screen from coming."""
    assert len(last_changes([*kept("a", 10, redoes="b"), *kept("b", 20, redoes="a")])) == 2


def test_a_back_out_took_from_its_first_entry_until_it_was_kept() -> None:
    """It is what a person hopes for while the site is down; other changes do not count, nor one that never ended."""
    entries = [*kept("a", 10), *kept("b", 20, undoes="a"), told("c", "prepared", 30, undoes="a")]
    assert backs_took(entries) == [1]


def test_a_backup_is_as_old_as_the_last_one_that_went_well_and_as_good_as_its_last_test() -> None:
    """One that failed is none; a test that failed since says that what there is may be worth nothing."""

    def line(at: float, kind: str, **body: Any) -> Entry:
        return Entry(int(at), at, at, "ada", kind, "", {"exit_code": 0, "duration_s": 2.0, **body})

    entries = [
        line(40, "command", **{"as": "dump", "exit_code": 1}),
        line(30, "backup", name="dump"),
        line(20, "command", **{"as": "dump restore"}),
        line(50, "backup", name="dump restore", exit_code=3),
        line(10, "command", **{"as": "dump"}),
        line(60, "backup", name="dump restore", exit_code="none"),
    ]
    assert made(entries, "dump") == Made(30, Tried(50, 3, 2.0), 20, Tried(40, 1, 2.0))
    assert made(entries, "other") == Made()
