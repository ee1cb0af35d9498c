"""The ledger: what a host must be able to undo, as a chain of entries.

And the fold that tells where each change stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from backout.model import shape
from backout.model.check import CHECK, RESULT
from backout.model.rollout import ROLLOUT

FORMAT = 1
PREPARED, APPLIED, UNDOING, KEPT, UNDONE, REFUSED, EXPIRED = (
    "prepared",
    "applied",
    "undoing",
    "kept",
    "undone",
    "refused",
    "expired",
)
"""prepared -> applied -> kept | undone; `undoing` is the intent of a back-out.

A refused change is recorded, too; `expired` says that gc let its bits go.
"""


_TEXTS = ("release", "who", "why", "cwd", "digest", "plan", "edits", "stuck", "failed")
_GUARD = shape.fields({**dict.fromkeys(("name", "rule", "outcome"), shape.text), "reasons": shape.many(shape.text)})
REHEARSED = shape.fields({"duration_s": shape.number, "failed": shape.maybe(shape.signed)})
"""How long a command took in its rehearsal, and the exit code with which it failed there; null: it did not."""
_OF_BODY = {
    **dict.fromkeys(_TEXTS, shape.text),
    **dict.fromkeys(("undoes", "redoes", "split_from"), shape.name),
    "parts": shape.many(shape.many(shape.text)),
    **dict.fromkeys(("environment", "after"), shape.maybe(shape.text)),
    **dict.fromkeys(("command", "edited", "found", "expect"), shape.many(shape.text)),
    **dict.fromkeys(("barrier_ns", "size_bytes"), shape.whole),
    **dict.fromkeys(("before", "results", "because"), shape.many(RESULT)),
    "checks": shape.many(CHECK),
    **dict.fromkeys(("recovered", "adopted", "asked"), shape.truth),
    "guards": shape.many(_GUARD),
    "rollout": ROLLOUT,
    "rehearsed": REHEARSED,
}
BODY = shape.fields(_OF_BODY, optional=_OF_BODY)
ENTRY = shape.fields(
    {
        "format": shape.whole,
        "host": shape.text,
        "change": shape.name,
        "seq": shape.whole,
        "prev": shape.text,
        "kind": shape.one_of(PREPARED, APPLIED, UNDOING, KEPT, UNDONE, REFUSED, EXPIRED),
        "at": shape.number,
        "body": BODY,
    }
)
"""What a line of format 1 must be like, and what it says (FORMATS.md)."""


class LedgerEntry(NamedTuple):
    """One line of the ledger. `prev` is the hash of the line before; `at` is seconds since the epoch, UTC.

    The body of `prepared` and `refused` holds who, why, argv, cwd, environment, checks, and the hash of the plan.
    """

    format: int
    host: str
    change: str
    seq: int
    prev: str
    kind: str
    at: float
    body: dict[str, Any]


class Change(NamedTuple):
    """A change as its entries tell it.

    `undoes` and `redoes` name the change that this one takes back or repeats; `undone_by` the change that took this
    one back.
    """

    id: str
    state: str
    at: float
    body: dict[str, Any]
    host: str = ""
    undone_by: str | None = None
    expired: bool = False

    @property
    def undoes(self) -> str | None:
        """Name the change that this one takes back."""
        undoes: str | None = self.body.get("undoes")
        return undoes

    @property
    def stands(self) -> bool:
        """Tell whether its effects are live and could be taken back; drift that was adopted never can."""
        gone = self.undone_by is not None or self.undoes is not None or self.expired
        return self.state == KEPT and not gone and not self.body.get("adopted", False)


def entry_from(document: Any) -> LedgerEntry:
    """Make an entry of a line's JSON, or of a copy of it; ValueError when it is none of format 1."""
    if not ENTRY(document):
        raise ValueError("not an entry of format 1")
    return LedgerEntry(**{name: document[name] for name in LedgerEntry._fields})


def has_effects(body: Mapping[str, Any]) -> bool:
    """Tell whether a change has effects of its own: a back-out has those of another one, of a pause none are measured.

    `body` is what its entries say.
    """
    return not body.get("undoes") and not is_pause(body)


def is_pause(body: Mapping[str, Any]) -> bool:
    """Tell whether a change only stops what would undo another one: whoever goes back does not mean to start that."""
    return list(body.get("command", ()))[:2] == ["backout", "pause"]


def fold(entries: Iterable[LedgerEntry]) -> list[Change]:
    """Tell where every change stands, oldest first."""
    changes: dict[str, Change] = {}
    for entry in entries:
        known = changes.get(entry.change)
        if known is None:
            changes[entry.change] = Change(entry.change, entry.kind, entry.at, entry.body, entry.host)
        elif entry.kind == EXPIRED:
            changes[entry.change] = known._replace(expired=True)
        else:
            changes[entry.change] = known._replace(state=entry.kind, body={**known.body, **entry.body})
        undoes = changes[entry.change].undoes
        if entry.kind == KEPT and undoes in changes:
            changes[undoes] = changes[undoes]._replace(undone_by=entry.change)
    return list(changes.values())


def by_host(entries: Iterable[LedgerEntry]) -> dict[str, list[LedgerEntry]]:
    """Give each host's entries, in the order in which they are given: every host has a ledger of its own."""
    found: dict[str, list[LedgerEntry]] = {}
    for entry in entries:
        found.setdefault(entry.host, []).append(entry)
    return found


def unfinished(changes: Iterable[Change]) -> list[Change]:
    """Name the changes that a crash left half-way: recovery brings each to all-old or all-new."""
    return [change for change in changes if change.state in (PREPARED, APPLIED, UNDOING)]
