"""What checks say, and which of it may stop a change: only green -> red (design, "Checks and rescue")."""

from __future__ import annotations

import pytest

from backout.model.check import (
    AFTER,
    BEFORE,
    HEALTHY,
    NOT_RUN,
    REHEARSAL,
    UNHEALTHY,
    Check,
    CheckResult,
    check_from,
    red_before,
    turned_red,
)


@pytest.mark.parametrize("where", [REHEARSAL, AFTER])
@pytest.mark.parametrize(
    ("before", "then", "red"),
    [
        (HEALTHY, UNHEALTHY, True),
        (UNHEALTHY, UNHEALTHY, False),
        (NOT_RUN, UNHEALTHY, False),
        (HEALTHY, NOT_RUN, False),
        (HEALTHY, HEALTHY, False),
        (UNHEALTHY, HEALTHY, False),
    ],
)
def test_only_a_check_that_was_green_and_is_red_has_turned_red(where: str, before: str, then: str, red: bool) -> None:
    """A tool that refuses the partial fix of a site that is down is worse than none."""
    results = [CheckResult("answers", BEFORE, before), CheckResult("answers", where, then)]
    assert turned_red(results) == (("answers",) if red else ())


def test_a_check_that_was_never_run_before_has_not_turned() -> None:
    """Nobody knows that this change is what broke it; undoing the change might mend nothing."""
    assert turned_red([CheckResult("answers", AFTER, UNHEALTHY)]) == ()


def test_a_check_is_compared_with_itself_alone() -> None:
    """That one check was healthy says nothing about another."""
    results = [
        CheckResult("imports", BEFORE, HEALTHY),
        CheckResult("answers", BEFORE, UNHEALTHY),
        CheckResult("imports", AFTER, HEALTHY),
        CheckResult("answers", AFTER, UNHEALTHY),
    ]
    assert turned_red(results) == ()


def test_what_turned_red_is_named_once_and_in_order() -> None:
    """It is red in the rehearsal and after; the person reads of it once, and first of what failed first."""
    results = [CheckResult(name, BEFORE, HEALTHY) for name in ("answers", "imports")]
    results += [CheckResult(name, where, UNHEALTHY) for where in (REHEARSAL, AFTER) for name in ("imports", "answers")]
    assert turned_red(results) == ("imports", "answers")


def test_what_was_red_before_is_what_was_seen_before_and_nothing_else() -> None:
    """It is asked about; a check that turned red is refused, and one that was not run is neither."""
    results = [
        CheckResult("down", BEFORE, UNHEALTHY),
        CheckResult("unknown", BEFORE, NOT_RUN),
        CheckResult("turned", BEFORE, HEALTHY),
        CheckResult("turned", REHEARSAL, UNHEALTHY),
    ]
    assert red_before(results) == ("down",)


def test_a_check_crosses_the_wire_whole() -> None:
    """Recovery runs the checks that the ledger holds: with a lost `within_s` it would give up on a slow start."""
    check = Check("answers", None, "http://127.0.0.1/", "gunicorn app:app", "http://127.0.0.1:8000/", 30.0)
    assert check_from(check._asdict()) == check


def test_a_check_of_another_release_is_read_as_far_as_it_is_known() -> None:
    """The ledger of an older release lacks fields that came later, and that of a newer one has more."""
    assert check_from({"name": "imports", "run": "true", "of_tomorrow": 1}) == Check("imports", run="true")
