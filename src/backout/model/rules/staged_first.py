"""Refuses effects that are not applied and healthy on the environment that `same_as` names."""

from __future__ import annotations

from collections.abc import Mapping

from backout.model.guard import Guard, Key, Known, named, number
from backout.model.verdict import Reason

KEYS: Mapping[str, Key] = {}
NEEDS = ("staging",)


def judge(guard: Guard, known: Known) -> list[Reason]:
    """Refuse while anything remains that was not tried there; where nothing is known of it, everything."""
    del guard
    staging = known.staging
    assert staging is not None  # noqa: S101 - it is needed
    covered, left, _ = staging.found
    if not staging.is_known and (covered or left):
        what = f"nothing is known of {staging.name}. {staging.limits}".rstrip()
        return [Reason(what, next=f"backout log -e {staging.name}")]
    if not left:
        return []
    lacks = f"{len(left)} of {number(len(covered) + len(left))}"
    what = f"{staging.name} lacks {lacks}, or was unhealthy with them: {named(left)}. {staging.limits}".rstrip()
    return [Reason(what, next=staging.next)]
