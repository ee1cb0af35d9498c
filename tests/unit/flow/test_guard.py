"""What is wrong with a guard, though backout.toml may have it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from backout.config.parse import parse
from backout.config.writing import table
from backout.flow.guard import listed, problems

TODAY = dt.date(2026, 11, 28)
COMMANDS = """
[commands.motd]
run = "date > /etc/motd"
expect = ["file:/etc/motd"]
[commands.anything]
run = "sh deploy.sh"
"""


def wrong(*, there: tuple[str, ...] = (), **keys: object) -> list[str]:
    """What is wrong with one guard, on a day, where only some programs are there."""
    config = parse(COMMANDS + table("guards", {"why": "so", **keys}))
    return [*problems(config.guards[0], config.commands, TODAY, there.__contains__)]


@pytest.mark.parametrize(("day", "count"), [("2026-11-27", 1), ("2026-11-28", 0), ("2027-01-01", 0), (None, 0)])
def test_a_review_is_due_until_the_day_is_over(day: str | None, count: int) -> None:
    """A guard that nobody looks at any more is how rules outlive their reasons."""
    due: dict[str, Any] = {} if day is None else {"review_by": day}
    assert len(wrong(rule="reversible", **due)) == count


def test_a_guard_that_forbids_all_that_a_command_expects_is_told() -> None:
    """One of the two is a mistake; whoever runs the command would find out last."""
    (said,) = wrong(rule="forbid", what=["file:/etc/*"])
    assert "all that the command motd expects" in said
    assert wrong(rule="forbid", what=["file:/srv/*"]) == []


@pytest.mark.parametrize(
    ("run", "said"),
    [
        ("conftest test -", ["conftest"]),
        ("./judge", ["./judge"]),
        ("jq . | grep x", []),
        ("test -e x && false", []),
        ("FORCE=1 conftest test -", []),
        ("(cd policy; conftest test -)", []),
        ("'unclosed", []),
    ],
)
def test_a_program_that_is_not_there_is_told_where_that_can_be_known(run: str, said: list[str]) -> None:
    """Its guard refuses everything; a line that only a shell can read is left to it."""
    found = wrong(there=("jq", "test"), rule="command", run=run)
    assert [word for word in said if word in " ".join(found)] == said
    assert len(found) == len(said)


def test_settings_are_told_as_the_file_has_them() -> None:
    """What a person wrote is what a person recognises."""
    values = {"rule": "window", "why": "so", "hours": "22:00-04:00", "days": ["mon-thu", "sat"], "owner": "ada"}
    config = parse(table("guards", values))
    (row,) = listed(config, [values], TODAY, lambda _: True)["guards"]
    assert row["settings"] == {"hours": "22:00-04:00", "days": ["mon-thu", "sat"]}
    assert (row["owner"], row["says"], row["problems"]) == ("ada", None, [])
