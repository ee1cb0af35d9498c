"""Which moves of a version a person is warned of."""

from __future__ import annotations

import pytest

from backout.render.version import ADDED, MAJOR, MINOR, REMOVED, SAME, Jump, jump


@pytest.mark.parametrize(
    ("before", "after", "move"),
    [
        ("65.5.0", "84.2.1", Jump(MAJOR, 19)),
        ("2.2.5", "2.3.0", Jump(MINOR)),
        ("3.0", "2.9", Jump(MAJOR, 1)),
        ("0.6.0", "0.19.3", Jump(MAJOR, 0)),
        ("0.6.2", "0.6.3", Jump(MINOR)),
        ("2022.12.7", "2026.10.18", Jump(MINOR)),
        ("1.22.1-9+deb12u1", "1.22.1-9+deb12u2", Jump(MINOR)),
        ("1:9.2p1-2", "2:9.2p1-2", Jump(MINOR)),
        ("1!2.0", "1!3.0", Jump(MAJOR, 1)),
        ("1.0", "1.0", Jump(SAME)),
        ("odd", "other", Jump(MINOR)),
        (None, "1.0", Jump(ADDED)),
        ("1.0", None, Jump(REMOVED)),
    ],
)
def test_a_major_is_a_promise_broken_and_a_year_is_none(before: str | None, after: str | None, move: Jump) -> None:
    """Too many warnings hide the one that matters; too few are the story that this tool is for."""
    assert jump(before, after) == move


def test_what_may_break_most_comes_first() -> None:
    """On a small screen only the first few are seen."""
    moves = [jump("1.0", "1.1"), jump(None, "1"), jump("2.2", "3.1"), jump("65", "84"), jump("1", None)]
    kinds = [(move.kind, move.majors) for move in sorted(moves, key=lambda move: move.reach)]
    assert kinds == [(REMOVED, 0), (MAJOR, 19), (MAJOR, 1), (ADDED, 0), (MINOR, 0)]
