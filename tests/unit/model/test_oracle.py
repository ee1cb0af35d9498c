"""What first trials are worth: which checks tell of a change, and which tell nothing."""

from __future__ import annotations

import pytest

from backout.model.check import HEALTHY, NOT_RUN, REHEARSAL, UNHEALTHY, CheckResult
from backout.model.oracle import Flaky, Oracle, oracle, outcome

GONE = "ModuleNotFoundError: No module named 'pkg_resources'"


def result(said: str | None, name: str = "imports") -> CheckResult:
    """What a check said: nothing where it is healthy, None where it is not run."""
    return CheckResult(name, REHEARSAL, NOT_RUN if said is None else UNHEALTHY if said else HEALTHY, said or "")


def judged(with_it: list[str | None], without_it: list[str | None]) -> Oracle:
    """Ask one check twice of all, and twice of none."""
    return oracle([[result(said)] for said in with_it], [[result(said)] for said in without_it])


def test_a_check_that_fails_with_the_change_alone_tells_of_it() -> None:
    """Both times, and in the same way: then its signature is what a part is known by."""
    known = judged([GONE, GONE], ["", ""])
    assert (known.checks, known.flaky) == (("imports",), ())
    assert known.broken == outcome([result(GONE)])


def test_what_differs_from_time_to_time_is_no_contradiction() -> None:
    """Numbers, times and addresses are new in every trial."""
    known = judged(
        ["worker 4711 died after 0.31 s: no such table", "worker 12 died after 0.4 s: no such table"], ["", ""]
    )
    assert known.checks == ("imports",)


@pytest.mark.parametrize(
    ("with_it", "without_it"),
    [
        ([GONE, ""], ["", ""]),
        (["", GONE], ["", ""]),
        ([GONE, GONE], ["", GONE]),
        ([GONE, "no such table: users"], ["", ""]),
        ([GONE, None], ["", ""]),
    ],
)
def test_two_answers_about_the_same_bits_are_flaky(with_it: list[str | None], without_it: list[str | None]) -> None:
    """Healthy and not, or unhealthy in two ways: a search that believes it finds anything."""
    known = judged(with_it, without_it)
    assert (known.checks, known.broken, len(known.flaky)) == ((), frozenset(), 1)
    said = with_it if len(set(with_it)) > 1 else without_it
    assert known.flaky == (Flaky(*map(result, said)),)


def test_what_tells_nothing_is_told_apart() -> None:
    """Each has another remedy: a rehearsal of the check, or a host that is mended first."""
    assert judged(["", ""], ["", ""]).passing == (result(""),)
    assert judged([GONE, GONE], [GONE, GONE]).unwell == (result(GONE),)
    assert judged(["", ""], [GONE, GONE]).unwell == (result(GONE),)
    assert judged([None, None], [None, None]).not_run == (result(None),)


def test_each_check_is_judged_for_itself() -> None:
    """One that tells nothing does not spoil the others."""
    good, bad = [result(GONE), result("", "answers")], [result(""), result("", "answers")]
    known = oracle([good, good], [bad, bad])
    assert (known.checks, known.passing) == (("imports",), (result("", "answers"),))
