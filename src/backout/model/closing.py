"""What keeps a review from being closed: an action that is only words. And which words are told. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date

from backout.model.proof import Proof
from backout.model.review import ACCEPTED, HANDED, PROOFS, Action, Problem, actions, lacking, problems
from backout.model.wording import Finding, findings, weak

PROVEN, NOT_PROVEN, OVER, NOTHING = "proven", "not proven", "over", "nothing"


def stands_on(action: Action, proofs: Mapping[tuple[str, str], Proof], today: date) -> str:
    """Say what an action stands on: PROVEN, NOT_PROVEN, ACCEPTED, HANDED, OVER (that day is past), or NOTHING.

    `proofs` are the newest of the incident, by sort and name.
    """
    if action.proof is None:
        return NOTHING
    if action.proof.sort in (ACCEPTED, HANDED):
        return OVER if action.proof.until is not None and action.proof.until < today else action.proof.sort
    proof = proofs.get((action.proof.sort, action.proof.name))
    return PROVEN if proof is not None and proof.held else NOT_PROVEN


def in_the_way(
    text: str, entries: Collection[int], proofs: Mapping[tuple[str, str], Proof], today: date
) -> list[Problem]:
    """Give all that is in the way of closing, by the lines of the text."""
    found = [*problems(text, entries), *lacking(text)]
    for action in actions(text):
        stands = stands_on(action, proofs, today)
        if (what := _missing(action, stands, proofs)) is not None:
            found.append(Problem(action.line, what))
        if stands != PROVEN:  # what a guard refuses may be called anything
            found += [Problem(one.line, f"{one.words!r} is weak. Instead: {one.better}") for one in _weak(text, action)]
    return sorted(dict.fromkeys(found))


def worded(text: str, names: Collection[str]) -> list[Finding]:
    """Find what another wording would serve better: in the actions' headings what is weak, anywhere what blames.

    `names` are those who acted, or own something; owners of the actions are known from the text.
    """
    known = actions(text)
    found = [found for action in known for found in _weak(text, action)]
    return sorted([*found, *findings(text, {*names, *(action.owner for action in known if action.owner)})])


def _weak(text: str, action: Action) -> list[Finding]:
    """Find what is weak in a heading, at its place in the text."""
    before = text.split("\n")[action.line - 1].find(action.title)
    return [found._replace(line=action.line, column=found.column + before) for found in weak(action.title)]


def _missing(action: Action, stands: str, proofs: Mapping[tuple[str, str], Proof]) -> str | None:
    if action.proof is None:
        return f"{action.key} stands on nothing: - proof: {PROOFS}."
    named = f"{action.proof.sort} {action.proof.name}"
    if stands == OVER:
        return f"{action.key} is {action.proof.sort} until {action.proof.until}, which is over."
    if stands == NOT_PROVEN:
        proof = proofs.get((action.proof.sort, action.proof.name))
        why = f"it did not hold: {proof.why}" if proof is not None else "it was never tried: backout review prove"
        return f"{action.key} is not proven by {named}; {why}"
    return None
