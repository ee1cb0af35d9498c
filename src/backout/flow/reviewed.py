"""A review as a document, and its end: it is closed once every action is proven, accepted or handed over."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from backout.errors import RefusedError
from backout.flow.incidents import row_of
from backout.flow.instant import day_if_known, instant, instant_if_known
from backout.flow.review import Opened, Reviewing, Saved, below
from backout.model.closing import in_the_way, stands_on, worded
from backout.model.notice import told_of
from backout.model.proof import GUARD, PROOF, Proof
from backout.model.proof import fold as fold_proofs
from backout.model.review import CLOSED, Action, Problem, Review, actions, lacking, paths, problems


class NotClosedError(RefusedError):
    """Something keeps a review from being closed (3). `problems` has all of it, by lines of the file."""

    def __init__(self, incident: str, found: list[Problem]) -> None:
        """Tell all of it."""
        told = "; ".join(f"line {line}: {what.rstrip('.')}" for line, what in found)
        super().__init__(
            f"The review of {incident} is not closed: {told}.", next=f"backout review --incident {incident}"
        )
        self.problems = found


def document(reviewing: Reviewing, saved: Saved | None = None) -> dict[str, Any]:
    """Give the `backout.review/1` document: of what is on record, and what came of a save."""
    opened = reviewing.opened()
    review, text, seen = opened.review, opened.review.text, _Seen(reviewing, opened)
    return {
        "schema": "backout.review/1",
        "incident": reviewing.incident.id,
        "environment": reviewing.incident.environment,
        "state": review.state,
        "saved": _saved(review),
        "opens_at": instant_if_known(reviewing.opens_at),
        "known": opened.known,
        "text": text,
        "first_line": opened.first_line,
        "paths": [seen.row(path._asdict()) for path in paths(text)],
        "actions": [seen.action(action) for action in actions(text)],
        "problems": seen.problems(problems(text, reviewing.entries)),
        "lacking": seen.problems(lacking(text)),
        "findings": [seen.row(found._asdict()) for found in worded(text, _people(reviewing))],
        "is_new": saved is not None and saved.is_new,
        "masked": 0 if saved is None else saved.masked,
        "merged_with": None if saved is None or saved.with_ is None else _saved(saved.with_),
    }


def close(reviewing: Reviewing) -> Review:
    """Close the review; a NotClosedError tells all that is in the way, at once."""
    reviewing.require_open()
    opened = reviewing.opened()
    text, proofs = opened.review.text, proofs_of(reviewing)
    found = [*in_the_way(text, reviewing.entries, proofs, today(reviewing)), *_unsaid(reviewing, text)]
    if found:
        raise NotClosedError(reviewing.incident.id, below(sorted(found), opened.first_line))
    if opened.review.state == CLOSED:
        return opened.review
    return reviewing.keep(text, CLOSED, opened.review.seq)


def _unsaid(reviewing: Reviewing, text: str) -> list[Problem]:
    """Tell of guards that do not say in a client's words what they keep away: the letter about it could not, either."""
    if not told_of(reviewing.incident, reviewing.config.audiences):
        return []
    silent = {guard.name for guard in reviewing.config.guards if not guard.says}
    return [
        Problem(action.line, f"guard {action.proof.name} has no `says`: what is its sentence in the client's letter?")
        for action in actions(text)
        if action.proof is not None and action.proof.sort == GUARD and action.proof.name in silent
    ]


def proofs_of(reviewing: Reviewing) -> dict[tuple[str, str], Proof]:
    """Give what came last of each proof of the incident, by sort and name."""
    proofs = fold_proofs(map(row_of, reviewing.journal.events(type=PROOF)))
    return {key[1:]: proof for key, proof in proofs.items() if key[0] == reviewing.incident.id}


def _people(reviewing: Reviewing) -> set[str]:
    """Name who acted in the incident."""
    return {reviewing.incident.by, reviewing.who, *(entry.actor for entry in reviewing.incident.entries)}


def today(reviewing: Reviewing) -> date:
    """Give the day that it is where the person is."""
    return datetime.fromtimestamp(reviewing.now, tz=UTC).astimezone(reviewing.zone).date()


class _Seen:
    """Turns what was read from the text into rows, by lines of the file."""

    def __init__(self, reviewing: Reviewing, opened: Opened) -> None:
        self._first_line = opened.first_line
        self._proofs, self._today = proofs_of(reviewing), today(reviewing)

    def row(self, values: dict[str, Any]) -> dict[str, Any]:
        return {**values, "line": values["line"] + self._first_line - 1}

    def problems(self, found: list[Problem]) -> list[dict[str, Any]]:
        return [self.row(problem._asdict()) for problem in found]

    def action(self, action: Action) -> dict[str, Any]:
        stands = stands_on(action, self._proofs, self._today)
        proof = action.proof and {**action.proof._asdict(), "until": day_if_known(action.proof.until)}
        return self.row({**action._asdict(), "due": day_if_known(action.due), "proof": proof, "stands_on": stands})


def _saved(review: Review) -> dict[str, Any] | None:
    return None if review.seq == 0 else {"seq": review.seq, "at": instant(review.at), "actor": review.actor}
