"""What checks say in trials, and what is to be believed of it: which of them tell that a change broke them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from backout.model.check import HEALTHY, NOT_RUN, UNHEALTHY, CheckResult
from backout.model.ddmin import Outcome
from backout.model.signature import signature

Results = Sequence[CheckResult]
"""What each check said in one trial."""


class Flaky(NamedTuple):
    """A check that answered both ways about the same bits: two of its results."""

    one: CheckResult
    other: CheckResult


class Oracle(NamedTuple):
    """What the first trials told of each check.

    `broken` are the signatures of those that fail with all of a change, and do not with none of it; `checks` are their
    names. Of the others some pass with all of it, some fail with none of it (`unwell`), some are `not_run`.
    """

    checks: tuple[str, ...]
    broken: Outcome
    passing: tuple[CheckResult, ...] = ()
    unwell: tuple[CheckResult, ...] = ()
    not_run: tuple[CheckResult, ...] = ()
    flaky: tuple[Flaky, ...] = ()


def outcome(results: Iterable[CheckResult]) -> Outcome:
    """Give what a trial broke: the signatures of its unhealthy checks."""
    return frozenset(signature(r.name, r.output) for r in results if r.result == UNHEALTHY)


def oracle(all_of_it: Sequence[Results], none_of_it: Sequence[Results]) -> Oracle:
    """Tell what the same checks, asked several times of all and of none of a change, are good for."""
    red: list[CheckResult] = []
    passing: list[CheckResult] = []
    unwell: list[CheckResult] = []
    not_run: list[CheckResult] = []
    flaky: list[Flaky] = []
    for with_it, without_it in zip(zip(*all_of_it), zip(*none_of_it)):
        one, other = with_it[0], without_it[0]
        contradictions = [*contradicting(with_it), *contradicting(without_it)]
        if contradictions:
            flaky.append(contradictions[0])
        elif NOT_RUN in (one.result, other.result):
            not_run.append(one if one.result == NOT_RUN else other)
        elif other.result == UNHEALTHY:
            unwell.append(other)
        else:
            (passing if one.result == HEALTHY else red).append(one)
    names = tuple(result.name for result in red)
    return Oracle(names, outcome(red), tuple(passing), tuple(unwell), tuple(not_run), tuple(flaky))


def contradicting(said: Sequence[CheckResult]) -> list[Flaky]:
    """Find what a check said of the same bits in two ways: healthy and not, or unhealthy in another way."""
    return [Flaky(said[0], other) for other in said[1:] if _essence(other) != _essence(said[0])]


def _essence(result: CheckResult) -> tuple[str, Outcome]:
    return result.result, outcome([result])
