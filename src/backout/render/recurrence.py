"""A recurrence in words: what both incidents said, and what became of each action of the earlier review."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from backout.model.guard import OVERRIDDEN, REFUSED, WARNED
from backout.model.recurrence import IN_FORCE, MISSING, UNKNOWN
from backout.model.review import ACCEPTED, CLOSED, HANDED

_MOST_LINES = 2
_OF_A_CHANGE = {
    OVERRIDDEN: "was overridden in",
    WARNED: "only warned of",
    REFUSED: "refused",
    IN_FORCE: "was in force, and let through",
}


def sentences(row: Mapping[str, Any], most: int | None = None) -> list[str]:
    """Tell of a recurrence (a row of `flow.recurrences`), a line each; at most so many actions, all unless told."""
    said, actions = row["signatures"], row["actions"]
    lines = [f"both said: {line}" for line in said[:_MOST_LINES]]
    lines += [f"and {len(said) - _MOST_LINES} lines more"] if len(said) > _MOST_LINES else []
    if row["reviewed"] is None:
        lines.append("it was never reviewed")
    elif not actions:
        lines.append("its review has no action")
    elif row["reviewed"] != CLOSED:
        lines.append("its review was never closed")
    lines += [f"{action['action']} {became(action, row['change'])}: {action['title']}" for action in actions[:most]]
    more = 0 if most is None else len(actions) - most
    return [*lines, *([f"and {more} actions more"] if more > 0 else [])]


def became(action: Mapping[str, Any], change: str | None) -> str:
    """Say what became of an action until a change was made; None: no change is known that did it."""
    proof, standing = action["proof"], action["standing"]
    if proof is None:
        due = f", due {action['due']}" if action["due"] else ""
        return f"without a proof ({action['owner'] or 'nobody'}{due})"
    if proof["sort"] == ACCEPTED:
        return f"accepted by {proof['name']} until {proof['until']}"
    if proof["sort"] == HANDED:
        return f"handed to {proof['name']} by {proof['until']}"
    what = f"{proof['sort']} {proof['name']}"
    if standing in (MISSING, UNKNOWN):
        return f"{what} is missing" if standing == MISSING else f"not known whether {what} was there"
    if change is None or (standing == IN_FORCE and proof["sort"] != "guard"):
        return f"{what} is {standing}"
    return f"{what} {_OF_A_CHANGE[standing]} {change}"
