"""What is known of an environment at a moment: its last changes, its checks, how long back-outs took. Pure.

From the entries of ledgers, as the journal has them or as hosts tell them, and from what checks said.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from backout.model import shape
from backout.model.check import BEFORE, NOT_RUN
from backout.model.incident import BACKUP, CHECK, Entry
from backout.model.ledger import (
    APPLIED,
    KEPT,
    PREPARED,
    REFUSED,
    UNDOING,
    UNDONE,
    LedgerEntry,
    by_host,
    entry_from,
    fold,
    is_pause,
)

STANDS, TAKEN_BACK, BACKED_OUT, UNFINISHED, GONE = "stands", "taken back", "backed out", "unfinished", "let go"
TO_APPLY, TO_TAKE_BACK = "apply", "take back"
RESTORE = " restore"
"""What follows a backup's name in that of the test of its restore."""
_TRIED = shape.fields({"exit_code": shape.signed, "duration_s": shape.number})


class Took(NamedTuple):
    """What tells how long it will take to take a change back, in seconds, on the slowest of its hosts.

    `what` is TO_TAKE_BACK where the same bits were taken back before, else TO_APPLY: a back-out does the same once
    more, the other way round. Both are with the services, the command after it and, of an apply, its checks.
    """

    what: str
    duration_s: float


class Changed(NamedTuple):
    """A change of an environment, on all its hosts; `at` is seconds since the epoch, UTC.

    `state` is UNFINISHED or STANDS where it is so on one of them. `took` is None where nothing was measured.
    """

    id: str
    at: float
    hosts: tuple[str, ...]
    who: str
    why: str
    command: tuple[str, ...]
    state: str
    undone_by: str | None
    took: Took | None = None


class Observed(NamedTuple):
    """What a check said, somewhere, at some time."""

    at: float
    host: str
    name: str
    result: str
    output: str


class Health(NamedTuple):
    """How a check is on a host: it says `result` since `since`, and was last asked at `at`."""

    host: str
    name: str
    result: str
    since: float
    at: float
    output: str


class Tried(NamedTuple):
    """An attempt at a backup or at its restore: when it was begun, what came of it, and how long it took."""

    at: float
    exit_code: int
    duration_s: float


class Made(NamedTuple):
    """When a backup was made last and went well, the last test of its restore, and the last one that went well.

    `failed` is the last attempt to make it, where that came to nothing.
    """

    made_at: float | None = None
    tried: Tried | None = None
    restored_at: float | None = None
    failed: Tried | None = None


def entries_of(documents: Iterable[Mapping[str, Any]]) -> list[LedgerEntry]:
    """Read ledger entries, each once; what is none is passed over: a damaged line hides nothing else."""
    found: dict[tuple[str, str, int], LedgerEntry] = {}
    for document in documents:
        try:
            entry = entry_from(document)
        except ValueError:
            continue
        found.setdefault((entry.host, entry.change, entry.seq), entry)
    return sorted(found.values(), key=lambda entry: (entry.host, entry.seq))


def of_environment(entries: Iterable[LedgerEntry], environment: str, hosts: Collection[str]) -> list[LedgerEntry]:
    """Give the entries of an environment's changes; on its `hosts`, by their own names, also those of no environment.

    Whoever works on a host itself, without a configuration, changes it all the same.
    """
    kept = list(entries)
    where = {
        (entry.host, entry.change): entry.body.get("environment") for entry in kept if entry.kind in (PREPARED, REFUSED)
    }
    there = {*hosts, *(host for (host, _), name in where.items() if name == environment)}

    def belongs(entry: LedgerEntry) -> bool:
        name = where.get((entry.host, entry.change))
        return name == environment or (name is None and entry.host in there)

    return [entry for entry in kept if belongs(entry)]


def last_changes(entries: Iterable[LedgerEntry]) -> list[Changed]:
    """Give what was changed, newest first: no refusals, which changed nothing, no back-outs, which are told of.

    And no pauses, which are part of mending.
    """
    told = list(entries)
    took = _took(told)
    found: dict[str, Changed] = {}
    for host, lines in by_host(told).items():
        for change in fold(lines):
            if change.undoes or change.state == REFUSED or is_pause(change.body):
                continue
            here = Changed(
                change.id,
                change.at,
                (host,),
                str(change.body.get("who", "")),
                str(change.body.get("why", "")),
                tuple(map(str, change.body.get("command", ()))),
                _state(change.state, taken_back=change.undone_by is not None, stands=change.stands),
                change.undone_by,
                took.get(change.id),
            )
            known = found.get(change.id)
            found[change.id] = here if known is None else _joined(known, here)
    return sorted(found.values(), key=lambda change: (change.at, change.id), reverse=True)


def _state(state: str, *, taken_back: bool, stands: bool) -> str:
    if state in (PREPARED, APPLIED, UNDOING):
        return UNFINISHED
    if state == UNDONE:
        return BACKED_OUT
    return TAKEN_BACK if taken_back else STANDS if stands else GONE


def _joined(one: Changed, other: Changed) -> Changed:
    order = (UNFINISHED, STANDS, TAKEN_BACK, BACKED_OUT, GONE)
    first = min(one, other, key=lambda change: order.index(change.state))
    return first._replace(hosts=tuple(sorted({*one.hosts, *other.hosts})), at=max(one.at, other.at))


def _took(entries: Sequence[LedgerEntry]) -> dict[str, Took]:
    """Tell of each change what tells how long taking it back will take; a redo has the bits of what it repeats."""
    redoes = {entry.change: entry.body["redoes"] for entry in entries if entry.body.get("redoes")}
    applied: dict[str, float] = {}
    backs: dict[str, dict[str, float]] = {}
    for entry, duration_s in _spans(entries):
        if entry.body.get("undoes"):
            times = backs.setdefault(_origin(entry.body["undoes"], redoes), {})
            times[entry.change] = max(duration_s, times.get(entry.change, 0.0))
        else:
            applied[entry.change] = max(duration_s, applied.get(entry.change, 0.0))
    found = {change: Took(TO_APPLY, duration_s) for change, duration_s in applied.items()}
    for change in {entry.change for entry in entries}:
        before = backs.get(_origin(change, redoes))
        if before:
            found[change] = Took(TO_TAKE_BACK, list(before.values())[-1])
    return found


def _origin(change: str, redoes: Mapping[str, str]) -> str:
    seen = {change}
    while (change := redoes.get(change, change)) not in seen:
        seen.add(change)
    return change


def _spans(entries: Iterable[LedgerEntry]) -> list[tuple[LedgerEntry, float]]:
    """Give each entry with which something was begun that was kept, and how long that took; ended last, told last.

    What a crash left until somebody came tells nothing of how long it takes.
    """
    begun: dict[tuple[str, str], LedgerEntry] = {}
    spans: list[tuple[float, LedgerEntry, float]] = []
    for entry in entries:
        key = (entry.host, entry.change)
        if entry.kind == PREPARED:
            begun[key] = entry
        elif entry.kind == KEPT and key in begun:
            first = begun.pop(key)
            if not entry.body.get("recovered"):
                spans.append((entry.at, first, max(0.0, entry.at - first.at)))
    return [(first, duration_s) for _, first, duration_s in sorted(spans, key=lambda span: span[0])]


def backs_took(entries: Iterable[LedgerEntry]) -> list[float]:
    """Give how long each back-out took on its host, in seconds, oldest first: from its first entry to its last."""
    return [duration_s for first, duration_s in _spans(entries) if first.body.get("undoes")]


def seen_by_ledgers(entries: Iterable[LedgerEntry]) -> list[Observed]:
    """Give what checks said of live hosts around changes; in rehearsals they tell nothing of these."""
    return [
        Observed(entry.at, entry.host, row["name"], row["result"], row.get("output", ""))
        for entry in entries
        for row in (*entry.body.get("before", ()), *entry.body.get("results", ()))
        if row["where"] == BEFORE or entry.kind == KEPT
    ]


def seen_by_lines(entries: Iterable[Entry]) -> list[Observed]:
    """Give what the `check` lines of timelines tell."""
    return [
        Observed(entry.at, *(str(entry.body.get(name, "")) for name in ("host", "name", "result", "output")))
        for entry in entries
        if entry.kind == CHECK
    ]


def health(observed: Iterable[Observed]) -> list[Health]:
    """Give how each check is on each host, by what was seen last; since when, as far as that was seen."""
    found: dict[tuple[str, str], Health] = {}
    for seen in sorted(observed, key=lambda seen: seen.at):
        if seen.result == NOT_RUN:
            continue
        before = found.get((seen.host, seen.name))
        since = before.since if before is not None and before.result == seen.result else seen.at
        found[seen.host, seen.name] = Health(seen.host, seen.name, seen.result, since, seen.at, seen.output)
    return list(found.values())


def made(entries: Iterable[Entry], name: str) -> Made:
    """Tell of a backup by its name: from what `panic` ran, and from commands that were done as that.

    A test of its restore is what was done as `NAME restore`.
    """
    found = Made()
    for entry in sorted(entries, key=lambda entry: entry.at):
        body = entry.body
        done = body.get("name" if entry.kind == BACKUP else "as")
        if done not in (name, name + RESTORE) or not _TRIED(body):
            continue
        tried = Tried(entry.at, body["exit_code"], float(body["duration_s"]))
        if done == name and tried.exit_code == 0:
            found = found._replace(made_at=entry.at, failed=None)
        elif done == name:
            found = found._replace(failed=tried)
        else:
            restored_at = entry.at if tried.exit_code == 0 else found.restored_at
            found = found._replace(tried=tried, restored_at=restored_at)
    return found
