"""What proofs are held between: the change that was bad in an incident, and one that was good. Pure.

A person may name both; where nobody does, the record tells, or says that it cannot.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from backout.model.incident import RESOLVED, Incident
from backout.model.replay import BACKED_OUT

BEFORE_S = 24 * 3600.0
"""How long before its first clock what an incident comes from may have been made, where nothing else tells."""
REST, LATER, EARLIER, NAMED = "the rest of it", "made since", "made before", "named"
"""Why a change is the good one: what split left of the bad one, the newest that stands since, the last one before."""


class Told(NamedTuple):
    """A change of the incident's environment, on all its hosts; `at` is in seconds since the epoch, UTC.

    `harm` is what shows that it did any; `refused`: never applied; `adopted`: drift that was taken into the record;
    `stands`: in place to this day; `split_from` the change of which it is a part, empty: none.
    """

    id: str
    at: float
    harm: str | None = None
    refused: bool = False
    adopted: bool = False
    stands: bool = False
    split_from: str = ""


class Good(NamedTuple):
    """The good change, and why it is taken for one."""

    id: str
    how: str


def bad_of(incident: Incident, changes: Sequence[Told], proven: Collection[str] = ()) -> tuple[str, ...]:
    """Name what may be the bad change, newest first: one where the record tells, several where it does not.

    The first of these that there is any of: what was `proven` against, its suspects, what was taken back while it was
    open, what backed itself out, drift that was adopted, what was refused. Of several, the one that was split is meant.
    """
    begun = min(values[-1] for values in incident.clocks.values())
    ended = incident.clock("resolved") if incident.state == RESOLVED else None
    near = [one for one in changes if begun - BEFORE_S <= one.at and (ended is None or one.at <= ended)]
    taken_back = _taken_back(incident)
    sorts = (
        [one.id for one in changes if one.id in proven],
        [one.id for one in changes if one.id in incident.suspects],
        [one.id for one in changes if one.id in taken_back],
        [one.id for one in near if one.harm == BACKED_OUT],
        [one.id for one in near if one.adopted and one.at >= begun],
        [one.id for one in near if one.refused and not one.split_from],
    )
    found = next(filter(None, sorts), [])
    split = {one.split_from for one in changes} & set(found)
    order = {one.id: (one.at, one.id) for one in changes}
    return tuple(sorted(split if len(split) == 1 else found, key=order.__getitem__, reverse=True))


def _taken_back(incident: Incident) -> set[str]:
    """Name the changes whose back-outs are on the timeline."""
    bodies = (entry.body.get("body") for entry in incident.entries)
    return {str(body["undoes"]) for body in bodies if isinstance(body, dict) and body.get("undoes")}


def good_of(bad: str, changes: Iterable[Told]) -> Good | None:
    """Give the change that a guard has to let through: what split made of the rest of the bad one, if it did.

    Else the newest that came after it and stands, else the last before it that did no harm; None where there is none.
    """
    known = sorted(changes, key=lambda one: (one.at, one.id), reverse=True)
    at = next(one.at for one in known if one.id == bad)
    quiet = [one for one in known if one.id != bad and one.harm is None and not one.adopted]
    sorts = (
        (REST, [one for one in quiet if one.split_from == bad]),
        (LATER, [one for one in quiet if one.stands and one.at >= at]),
        (EARLIER, [one for one in quiet if not one.refused and one.at <= at]),
    )
    return next((Good(found[0].id, how) for how, found in sorts if found), None)
