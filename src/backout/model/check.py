"""Checks: commands and HTTP requests that tell whether the application is healthy."""

from __future__ import annotations

from typing import Any, NamedTuple

from backout.model import shape

HEALTHY, UNHEALTHY, NOT_RUN = "healthy", "unhealthy", "not_run"
BEFORE, REHEARSAL, AFTER = "before", "rehearsal", "after"


class Check(NamedTuple):
    """One check: exactly one of `run` (a shell command, healthy on exit 0) and `http` (a URL, healthy on 2xx or 3xx).

    `start` and `rehearsal_http` say how the application is started and asked inside a rehearsal. `within_s` is how
    long it may take to become healthy, in seconds.
    """

    name: str
    run: str | None = None
    http: str | None = None
    start: str | None = None
    rehearsal_http: str | None = None
    within_s: float = 10.0


class CheckResult(NamedTuple):
    """What a check said, and where it was run: before, rehearsal or after."""

    name: str
    where: str
    result: str
    output: str = ""


CHECK = shape.fields(
    {
        "name": shape.text,
        **dict.fromkeys(("run", "http", "start", "rehearsal_http"), shape.maybe(shape.text)),
        "within_s": shape.number,
    },
    optional=("run", "http", "start", "rehearsal_http", "within_s"),
)
RESULT = shape.fields(
    {
        "name": shape.text,
        "where": shape.one_of(BEFORE, REHEARSAL, AFTER),
        "result": shape.one_of(HEALTHY, UNHEALTHY, NOT_RUN),
        "output": shape.text,
    },
    optional=("output",),
    closed=True,
)
"""What a check, and what its result, must be like as JSON."""


def check_from(document: dict[str, Any]) -> Check:
    """Read back a check that crossed the wire as a dictionary."""
    return Check(**{name: document[name] for name in Check._fields if name in document})


def turned_red(results: list[CheckResult]) -> tuple[str, ...]:
    """Name the checks that were healthy before and are unhealthy in the rehearsal or after; nothing else refuses."""
    before = {r.name: r.result for r in results if r.where == BEFORE}
    red = [r.name for r in results if r.where != BEFORE and r.result == UNHEALTHY and before.get(r.name) == HEALTHY]
    return tuple(dict.fromkeys(red))


def red_before(results: list[CheckResult]) -> tuple[str, ...]:
    """Name the checks that were already unhealthy before: shown and asked, never refused."""
    return tuple(r.name for r in results if r.where == BEFORE and r.result == UNHEALTHY)
