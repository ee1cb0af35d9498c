"""Refuses anything while an incident is open on another environment."""

from __future__ import annotations

from collections.abc import Mapping

from backout.model.guard import Guard, Key, Known
from backout.model.verdict import Reason

KEYS: Mapping[str, Key] = {}
NEEDS = ("incidents",)


def judge(guard: Guard, known: Known) -> list[Reason]:
    """Refuse while people are busy elsewhere; on the environment that has the incident it stands in nobody's way."""
    del guard
    elsewhere = {name: ids for name, ids in (known.incidents or {}).items() if name != known.environment and ids}
    if not elsewhere:
        return []
    told = "; ".join(f"{', '.join(ids)} on {name}" for name, ids in sorted(elsewhere.items()))
    return [Reason(f"an incident is open: {told}.", next="Wait until it is resolved.")]
