"""What reviews promised and the days went over: actions, accepted risks, guards, checks, proofs. Pure.

It reminds, and refuses nothing. What backout.toml has is judged only for environments that it names: another one's
guards are missing in every other file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from backout.model.guard import Guard
from backout.model.proof import Proof, follows
from backout.model.recurrence import Today
from backout.model.review import ACCEPTED, GUARD, HANDED, Action, Review, Standing, actions

OVERDUE, RAN_OUT, NOT_HANDED, RED, GONE, TO_REVIEW = "overdue", "ran out", "not handed over", "red", "gone", "to review"
"""An action past its due day, a risk that is accepted no more, a handover past its day, a proof that turned red, a
guard, check or command that proved something and is not there any more, a guard past its `review_by`."""

Key = tuple[str, str, str]


class Obligation(NamedTuple):
    """One thing that is not as it was to be: of which incident and action (empty: of none), and since which day.

    `since` is the last day on which it was well, None where no day tells. `what` is a sentence, `next` a command.
    `guard` names the guard that it is about, if it is about one.
    """

    sort: str
    incident: str
    action: str
    since: date | None
    what: str
    next: str
    guard: str = ""


def obligations(
    reviews: Iterable[Review], proofs: Mapping[Key, Sequence[Proof]], there: Mapping[str, Today], day: date
) -> list[Obligation]:
    """Give what is overdue on a day: first what does not hold any more, then the rest, oldest first.

    `proofs` are all of each incident, sort and name, oldest first; `there` is what backout.toml has for the environment
    of each incident that it knows.
    """
    found = []
    for review in reviews:
        for action in actions(review.text):
            told = _of_action(review.incident, action, proofs, there.get(review.incident), day)
            found += [] if told is None else [told]
    return sorted(found, key=lambda one: (one.since is not None, one.since or day, one.incident, one.action))


def to_review(guards: Iterable[Guard], day: date) -> Iterator[Obligation]:
    """Give the guards of which somebody was to say by now whether they are still right."""
    for guard in guards:
        if guard.review_by and date.fromisoformat(guard.review_by) < day:
            what = f"The review of guard {guard.name} was due on {guard.review_by}."
            since = date.fromisoformat(guard.review_by)
            yield Obligation(TO_REVIEW, guard.incident, "", since, what, "backout guard list", guard.name)


def _of_action(
    incident: str, action: Action, proofs: Mapping[Key, Sequence[Proof]], today: Today | None, day: date
) -> Obligation | None:
    proof, edit = action.proof, f"backout review --incident {incident}"
    named = f"{action.key} of {incident}"
    if proof is not None and proof.sort in (ACCEPTED, HANDED):
        return _of_word(incident, action, proof, day)
    if proof is not None:
        held = _of_proof(incident, action, proof, proofs, today)
        if held is not None or _ever_held(proofs.get((incident, proof.sort, proof.name), ())):
            return held
    if action.due is None or action.due >= day:
        return None
    missing = f"is not proven by {proof.sort} {proof.name}" if proof else "has no proof"
    what = f"{named} was due on {action.due} and {missing} ({action.owner or 'nobody'}): {action.title}"
    way = edit if proof is None else f"backout review prove --incident {incident}"
    return Obligation(OVERDUE, incident, action.key, action.due, what, way)


def _of_word(incident: str, action: Action, proof: Standing, day: date) -> Obligation | None:
    """Tell of what somebody accepted or took over, where that day is past."""
    if proof.until is None or proof.until >= day:
        return None
    is_risk = proof.sort == ACCEPTED
    said = f"was accepted by {proof.name} until" if is_risk else f"was to be done by {proof.name}, by"
    what = f"{action.key} of {incident} {said} {proof.until}: {action.title}"
    sort = RAN_OUT if is_risk else NOT_HANDED
    return Obligation(sort, incident, action.key, proof.until, what, f"backout review --incident {incident}")


def _of_proof(
    incident: str,
    action: Action,
    proof: Standing,
    proofs: Mapping[Key, Sequence[Proof]],
    today: Today | None,
) -> Obligation | None:
    """Tell of what proved an action once, and does so no more; of what follows in its place nothing is to be told."""
    tried = proofs.get((incident, proof.sort, proof.name), ())
    if not _ever_held(tried) or follows(tried[-1], [one[-1] for one in proofs.values() if one]):
        return None
    guard = proof.name if proof.sort == GUARD else ""
    what, way = f"{proof.sort} {proof.name}, which proved {action.key} of {incident}", "backout guard test --proofs"
    if today is not None and not today.has(proof.sort, proof.name):
        said = f"There is no {what}, in backout.toml any more: {action.title}"
        return Obligation(GONE, incident, action.key, None, said, way, guard)
    if not tried[-1].held:
        said = f"{what[0].upper()}{what[1:]}, does not hold any more: {tried[-1].why}"
        return Obligation(RED, incident, action.key, None, said, way, guard)
    return None


def _ever_held(tried: Iterable[Proof]) -> bool:
    return any(one.held for one in tried)
