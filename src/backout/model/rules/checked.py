"""Refuses a change that nobody is asked about, where the environment has no check."""

from __future__ import annotations

from collections.abc import Mapping

from backout.model.guard import Guard, Key, Known
from backout.model.verdict import Reason

KEYS: Mapping[str, Key] = {}
NEEDS = ("asked", "checks")


def judge(guard: Guard, known: Known) -> list[Reason]:
    """Refuse what neither a person nor a check looks at."""
    del guard
    if known.asked or known.checks:
        return []
    where = known.environment
    what = f"nobody is asked, and {f'{where} has' if where else 'without an environment there is'} no check."
    add = f"Add one to [[environments.{where}.checks]]" if where else "Name an environment that has one with -e"
    return [Reason(what, next=f"{add}, or leave the decision to a person: without --yes, --accept and --expect.")]
