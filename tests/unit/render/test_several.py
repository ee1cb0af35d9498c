"""What several hosts answered, drawn: what is alike once, what is odd and what failed by name."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import pytest

from backout.errors import FailedError, NeedsPersonError
from backout.flow.backs import Answers
from backout.flow.records import document
from backout.render import several
from backout.render.screen import Screen
from unit.render.test_change import row, valid

SCREEN = Screen(width=80)
MANY = [f"web{n}" for n in range(1, 39)]


def changes(*rows: dict[str, Any]) -> dict[str, Any]:
    """Give a valid document of changes."""
    return valid({"schema": "backout.changes/1", "changes": list(rows)})


@pytest.mark.parametrize(
    ("hosts", "text"),
    [(["a"], "a"), (["a", "b", "c"], "a, b, c"), (["a", "b", "c", "d"], "a, b, +2"), (MANY, "web1, web2, +36")],
)
def test_hosts_are_named_and_then_counted(hosts: list[str], text: str) -> None:
    """Fifty names on a line say less than two and a number; "+1" would be longer than most names."""
    assert several.names(hosts) == text


def test_a_change_on_many_hosts_is_one_row() -> None:
    """A rollout has one id."""
    drawn = several.log(changes(*(row(host=host) for host in MANY)), SCREEN, UTC)
    assert drawn == (
        "c3f9 kept 2026-07-23 17:05 UTC web1, web2, +36 anna\n  four workers · puppet apply 'shop site.pp'\n"
    )


def test_a_change_that_stands_differently_says_where() -> None:
    """The one host where it was taken back is what somebody is looking for."""
    rows = [row(host="web1"), row(host="web2", undone_by="d4"), row(host="web3", state="prepared")]
    first, _, *mixed = several.log(changes(*rows), SCREEN, UTC).splitlines()
    assert " mixed " in first
    assert mixed == ["  kept: web1", "  undone: web2", "  unfinished: web3"]


def test_a_record_without_changes_says_so() -> None:
    """Nothing at all would look like a failure."""
    assert several.log(changes(), SCREEN) == "No change is on record.\n"


def test_what_hosts_answer_alike_is_drawn_once_and_errors_come_last() -> None:
    """Most hosts are well: the one that is not must be seen."""
    well: dict[str, Any] = {"schema": "backout.recovered/1", "mended": 0, "recovered": []}
    answers: Answers = {
        "web1": FailedError("web1: no answer.", next="ssh web1"),
        "web2": well,
        "web3": NeedsPersonError("It is damaged.", next="backout recover"),
        "web4": well,
        "web5": FailedError("web5: no answer.", next="ssh web1"),
    }
    told = valid(document("production", answers))
    assert told["exit_code"] == 5
    assert several.hosts(told, "recovered", SCREEN) == (
        "web2, web4\n  No change was left unfinished.\n\n"
        "web1, web5\n  backout: No answer.\n           Nothing was changed.\n  next:    ssh web1\n\n"
        "web3\n  backout: It is damaged.\n           Nothing was changed.\n  next:    backout recover\n"
    )


def test_one_change_is_shown_once_and_the_odd_host_after(surprise: dict[str, Any]) -> None:
    """What it did is the same on most; where it is not, both are to be seen."""
    other = {**surprise, "digest": "sha256:" + "1" * 64}
    found = {"web1": (row(), other), "web2": (row(), surprise), "web3": (row(), surprise)}
    drawn = several.show(found, {}, SCREEN, UTC)
    assert drawn.count("Change ") == 2
    assert drawn.index("web2, web3") < drawn.index("production · web1")
