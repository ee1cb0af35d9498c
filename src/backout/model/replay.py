"""What guards would have done to changes of the past: their worth, their price, and what cannot be told. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from backout.model import shape
from backout.model.guard import NEEDS, Guard, Known, number
from backout.model.ledger import KEPT, REFUSED, UNDONE, Change, has_effects
from backout.model.redact import redact
from backout.model.rules import lacking, rule

BACKED_OUT, TAKEN_BACK, SUSPECT = "backed out", "taken back", "suspect"
"""What shows that a change did harm: it took itself back, a person did, or an incident names it."""
_SUSPECTS = shape.many(shape.text)


class Past(NamedTuple):
    """A change on record: one id and one set of effects, on every host where these were alike.

    `at` is in seconds since the epoch; `harm` what shows that it did harm, None where nothing does; `refused` tells
    that it was never applied.
    """

    id: str
    at: float
    environment: str | None
    hosts: tuple[str, ...]
    command: tuple[str, ...]
    harm: str | None
    refused: bool


class Outcome(NamedTuple):
    """What a guard would have done to a change: the first reason for which it refuses, or why that cannot be told.

    `warned` tells that an incident was open on its environment, so that no guard would have stood in the way.
    """

    past: Past
    reason: str = ""
    missing: str = ""
    warned: bool = False


class Tally(NamedTuple):
    """A guard's outcomes, sorted. Together they are all."""

    harmful: list[Outcome]
    harmless: list[Outcome]
    refused_anyway: list[Outcome]
    warned: list[Outcome]
    passed: list[Outcome]
    not_judged: list[Outcome]


def is_measured(change: Change) -> bool:
    """Tell whether a change has effects of its own, and an end: not a back-out, a pause, or what a crash left."""
    return has_effects(change.body) and change.state in (KEPT, UNDONE, REFUSED)


def suspects(bodies: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """Give the changes that incidents name as what did it, from the bodies of their events."""
    named = (body["suspects"] for body in bodies if _SUSPECTS(body.get("suspects")))
    return frozenset(change for changes in named for change in changes)


def harm(changes: Iterable[Change], applied: Collection[str], suspected: Collection[str]) -> str | None:
    """Say what shows that a change, given as each of its hosts has it, did harm; None: nothing does.

    `applied` are the ids of those that were in place for a moment: what a crash ended before is no fault of the change.
    """
    found = set()
    for change in changes:
        if change.id in suspected:
            found.add(SUSPECT)
        if change.state == UNDONE and change.id in applied:
            found.add(BACKED_OUT)
        if change.undone_by is not None:
            found.add(TAKEN_BACK)
    return next((word for word in (BACKED_OUT, SUSPECT, TAKEN_BACK) if word in found), None)


def outcome(guard: Guard, past: Past, known: Known) -> Outcome:
    """Ask a guard about a change of the past, as if it had been there then."""
    missing = lacking(guard, known)
    if missing:
        told = known.lacks.get(missing[0])
        return Outcome(past, missing=told.what if told else f"It is not known {NEEDS[missing[0]]}.")
    reasons = rule(guard.rule).judge(guard, known)
    if not reasons:
        return Outcome(past)
    warned = bool((known.incidents or {}).get(past.environment or ""))
    return Outcome(past, redact(reasons[0].what), warned=warned)


def tally(outcomes: Iterable[Outcome]) -> Tally:
    """Sort outcomes, each into the one place where it belongs; their order stays."""
    found = Tally([], [], [], [], [], [])
    for one in outcomes:
        if one.missing:
            found.not_judged.append(one)
        elif not one.reason:
            found.passed.append(one)
        elif one.warned:
            found.warned.append(one)
        elif one.past.harm is not None:
            found.harmful.append(one)
        elif one.past.refused:
            found.refused_anyway.append(one)
        else:
            found.harmless.append(one)
    return found


def judged(found: Tally) -> int:
    """Count the changes that a guard could be asked about."""
    return sum(map(len, found)) - len(found.not_judged)


def told(name: str, found: Tally) -> str:
    """Say a guard's worth and its price in a sentence or two."""
    refused = [*found.harmful, *found.harmless, *found.refused_anyway]
    parts = [_verdict(name, found, refused)]
    missed = sum(one.past.harm is not None for one in (*found.passed, *found.warned))
    if missed:
        parts.append(f"It would have let {number(missed, 'change')} through that did harm.")
    if found.not_judged:
        parts.append(f"Of {number(len(found.not_judged), 'change')} nothing can be said.")
    return " ".join(parts)


def _verdict(name: str, found: Tally, refused: Sequence[Outcome]) -> str:
    if not judged(found):
        return f"{name} could be asked about no change on record."
    if not refused:
        return f"{name} would have refused none of {number(judged(found), 'change')}."
    more = len(found.refused_anyway)
    anyway = f"; {more} {'was' if more == 1 else 'were'} refused then, too" if more else ""
    return (
        f"{name} would have refused {len(refused)} of {number(judged(found), 'change')}: "
        f"its worth, {len(found.harmful)} that did harm; its price, {len(found.harmless)} that did none{anyway}."
    )
