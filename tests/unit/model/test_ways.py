"""What was done before under a name is what will be wanted first when it breaks again."""

from __future__ import annotations

from typing import Any

from backout.model.incident import Entry
from backout.model.ways import Way, ways_out


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
        Way("Rebuild the virtualenv", ("make", "all"), (118.5, 90.0), (0, 2)),
        Way("fail over", ("make", "venv"), (118.5,), (0,)),
    ]


def test_what_is_no_way_out_or_cannot_be_read_is_passed_over() -> None:
    """A hostile or foreign line is never a reason to fail."""
    assert ways_out([done(1), done(2, **{"as": " "}), done(3, **{"as": "x", "duration_s": "long"})]) == []
    assert ways_out([done(1, **{"as": "x", "command": "make"})])[0].command == ("make venv",)
