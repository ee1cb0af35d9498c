"""`backout compare`: whether two environments are the same where they should be."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from backout.config.values import Environment
from backout.errors import FailedError, UsageError
from backout.flow.instant import instant
from backout.flow.looked import Look, compared, content, heads
from backout.model import shape
from backout.model.agreement import Row, op, rows
from backout.model.digest import canonical
from backout.model.meant import Accepted, accepted, sort, split
from backout.model.parity import Comparison, Difference, masked, names
from backout.model.redact import redact
from backout.model.selector import Rule
from backout.model.service import unit_name
from backout.store.journal import Journal

BASELINE = "baseline"
"""The type of an event that accepts what differs for a while."""
SAME, NOT_THE_SAME = 0, 3


class Side(NamedTuple):
    """An environment and the newest look at each of its hosts; `stale` says of which it is a stored one, and why."""

    environment: Environment
    looks: Mapping[str, Look]
    stale: Mapping[str, str]
    missing: Mapping[str, str]
    """The hosts of which there is no look at all, and why."""


class Acceptance(NamedTuple):
    """Who accepts what differs, why, and until which day (that day included, UTC)."""

    who: str
    why: str
    until: str


Since = Callable[[Row], dict[str, Any]]
"""Tells since when a difference is there, and what made it."""


def compare(
    journal: Journal,
    here: Side,
    there: Side,
    accept: Acceptance | None = None,
    since: Since | None = None,
) -> tuple[dict[str, Any], int]:
    """Give the `backout.parity/1` document and the exit code; with `accept`, what differs becomes the baseline."""
    for side in (here, there):
        if not side.looks:
            raise _never_looked(side)
    told, hidden = _rows(journal, here, there)
    rules = [(side.environment.name, rule) for side in (here, there) for rule in side.environment.differs]
    sorted_rows = sort(told, [rule for _, rule in rules])
    pair = (here.environment.name, there.environment.name)
    if accept is not None:
        _accept(journal, pair, sorted_rows.left, accept)
    baseline, held = _baseline(journal, pair)
    left, folded = split(sorted_rows.left, held)
    document = {
        "schema": "backout.parity/1",
        "here": pair[0],
        "there": pair[1],
        "looks": [row for side in (here, there) for row in _looks(side)],
        "differences": [_document(row, since) for row in left],
        "own": [{"why": why, "count": count} for why, count in sorted_rows.own.items()],
        "differs": [_rule(*named, count) for named, count in zip(rules, sorted_rows.counts, strict=True)],
        "baseline": baseline and {**baseline, "folded": folded},
        "not_comparable": sorted(":".join(key) for key in hidden),
        "limits": _limits(here, there),
    }
    return document, NOT_THE_SAME if left else SAME


def _never_looked(side: Side) -> FailedError:
    name = side.environment.name
    reasons = "; ".join(f"{host}: {why}" for host, why in side.missing.items())
    return FailedError(f"There is no look at any host of {name}. {reasons}".strip(), next=f"backout look {name}")


def _rows(journal: Journal, here: Side, there: Side) -> tuple[list[Row], set[tuple[str, str]]]:
    """Compare every host with the first; gives the rows, and what could not be compared."""
    first, *others = here.looks.values()
    known, secret = names(heads(journal, first)), masked(heads(journal, first))
    is_meant = _scope(here.environment, there.environment)
    hidden: set[tuple[str, str]] = set()
    found: dict[str, list[Difference]] = {}
    for look in (*others, *there.looks.values()):
        comparison = Comparison(known, names(heads(journal, look)), secret, is_meant)
        found[_key(look)] = list(comparison.differences(compared(journal, first, look)))
        hidden |= comparison.hidden
    sides = [(side.environment.name, [_key(look) for look in side.looks.values()]) for side in (here, there)]
    told = rows(sides[0], sides[1], found)
    return [
        row._replace(hosts=tuple(map(_host, row.hosts)), usual=tuple(map(_host, row.usual))) for row in told
    ], hidden


def _key(look: Look) -> str:
    """Name a host within its environment: one of both is looked at with what each says of it."""
    return f"{look.environment}\0{look.host}"


def _host(key: str) -> str:
    return key.partition("\0")[2]


def _scope(here: Environment, there: Environment) -> Callable[[str, str], bool]:
    """Leave out what only one of the two is looked at for."""
    units = [{unit_name(name) for name in side.services} for side in (here, there)]

    def is_meant(kind: str, subject: str) -> bool:
        if kind == "variable":
            return (subject.partition("#")[0] in units[0]) == (subject.partition("#")[0] in units[1])
        return kind not in ("file", "config") or _watched(subject, here) == _watched(subject, there)

    return is_meant


def _watched(path: str, environment: Environment) -> bool:
    return any(path.startswith((f"{top.rstrip('/')}/", f"{top}#")) or path == top for top in environment.watch)


def _limits(here: Side, there: Side) -> list[str]:
    limits = []
    for one, other in itertools.permutations([here.environment, there.environment]):
        alone = [path for path in one.watch if not _watched(path, other)]
        alone += [f"service {unit}" for unit in one.services if unit_name(unit) not in map(unit_name, other.services)]
        if alone:
            limits.append(f"Only {one.name} is looked at for {', '.join(alone)}: that is not compared.")
    for side in (here, there):
        limits += [f"{host} of {side.environment.name} is left out: {why}" for host, why in side.missing.items()]
    return limits


def _looks(side: Side) -> list[dict[str, Any]]:
    return [
        {
            "environment": side.environment.name,
            "host": host,
            "at": instant(look.at),
            "stored": side.stale.get(host),
        }
        for host, look in side.looks.items()
    ]


def _document(row: Row, since: Since | None) -> dict[str, Any]:
    found = row.difference
    return {
        "within": row.within,
        "kind": found.kind,
        "subject": found.subject,
        "op": op(row),
        "before": found.before,
        "after": found.after,
        "owners": owners(found),
        "hosts": list(row.hosts),
        "hidden": list(found.hidden),
        "since": None if since is None else since(row),
    }


def owners(found: Difference) -> list[Any] | None:
    """Name the owners of a file on both sides where they are not the same: its numbers may be."""
    if found.kind != "file":
        return None
    sides = [side and f"{side.get('uid', '')}:{side.get('gid', '')}" for side in (found.here, found.there)]
    return None if sides[0] == sides[1] else sides


def _rule(environment: str, rule: Rule, count: int) -> dict[str, Any]:
    return {"environment": environment, "what": str(rule.what), "why": rule.why, "count": count}


def acceptance(who: str, why: str, until: str | None, today: dt.date) -> Acceptance:
    """Check what --accept needs: a reason, and a day that is not past; a UsageError says what is missing."""
    if not why or until is None:
        raise UsageError(
            "What differs is accepted for a reason and until a day: --accept needs --why TEXT and --until DATE.",
            next="Give for example --until 2026-12-31; after that day everything is told again.",
        )
    try:
        day = dt.date.fromisoformat(until)
    except ValueError:
        raise UsageError(f"{until!r} is not a day such as 2026-12-31.") from None
    if day < today:
        raise UsageError(f"{day} is past.", next="Give the last day on which this is to be accepted.")
    return Acceptance(who, redact(why), day.isoformat())


def _accept(journal: Journal, pair: tuple[str, str], left: Sequence[Row], accept: Acceptance) -> None:
    kept = canonical([list(accepted(row)) for row in left])
    body = {**accept._asdict(), "pair": list(pair), "differences": journal.keep([kept])[0], "count": len(left)}
    journal.append(at=time.time(), actor=accept.who, type=BASELINE, body=body)


_HOSTS = shape.many(shape.text)
_ACCEPTED = shape.many(
    shape.row(shape.maybe(shape.text), shape.text, shape.text, shape.anything, shape.anything, _HOSTS, _HOSTS)
)


def _baseline(journal: Journal, pair: tuple[str, str]) -> tuple[dict[str, Any] | None, list[Accepted]]:
    """Find the newest baseline of two environments, whichever was named first; one that is over folds nothing."""
    event = None
    for found in journal.events(type=BASELINE):
        if sorted(found.body["pair"]) == sorted(pair):
            event = found
    if event is None:
        return None, []
    over = dt.date.fromisoformat(event.body["until"]) < dt.datetime.now(dt.UTC).date()
    told = {
        "at": instant(event.at),
        "who": event.body["who"],
        "why": event.body["why"],
        "until": event.body["until"],
        "expired": over,
        "accepted": event.body["count"],
    }
    if over:
        return told, []
    rows = json.loads(content(journal, event.body["differences"]))
    if not _ACCEPTED(rows):
        raise FailedError("The baseline in the journal cannot be read.", next="Accept anew what differs.")
    held = [Accepted._make((*row[:-2], *map(tuple, row[-2:]))) for row in rows]
    return told, held if tuple(event.body["pair"]) == pair else list(map(_turned, held))


def _turned(held: Accepted) -> Accepted:
    """Give a row as it is when the environments are named the other way around; within one, nothing changes."""
    return (
        held
        if held.within is not None
        else held._replace(here=held.there, there=held.here, ours=held.theirs, theirs=held.ours)
    )
